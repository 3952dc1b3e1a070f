"""The books as Prometheus metrics, in a text file that node_exporter reads (--collector.textfile).

A file and no port of ours: the ledger's process waits for nobody, and nothing listens. A timer
writes it anew; `made` in it tells when. The labels are reasons (docs/reason-codes.md) and files.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from ledger.health import Health

PREFIX = "onecard_ledger_"
# Of Health.counts: help of the metric.
_COUNTS = {
    "readers": "Readers, doors and locks of the register",
    "forked_readers": "Readers with whose key two speak",
    "records": "Booked records",
    "parked_records": "Records that wait for one before them",
    "open_intents": "Spends whose end nobody knows",
    "early_outcomes": "Outcomes that came before their intents",
    "waiting_loads": "Credits that wait for their cards",
    "open_reservations": "Payments by code that no record has settled",
    "overdrawn_accounts": "Accounts below their floor",
    "unproven_carry_overs": "Carry-overs made while a spend may have been missing",
}
_BY_REASON = {
    "cases": "Cases, ever, by reason",
    "suspense_fen": "Money whose proper account is not known, by reason",
    "loss_fen": "What the card centre has borne, by reason",
}


class HealthCollector(Collector):
    """Metrics of `health`, made at `made_s`; `seen` is name -> (help, value) of what is beside."""

    def __init__(
        self, health: Health, made_s: int, seen: Mapping[str, tuple[str, int]] | None = None
    ) -> None:
        self._health = health
        self._made_s = made_s
        self._seen = dict(seen or {})

    def collect(self) -> Iterable[Metric]:
        health = self._health
        for name, about in _BY_REASON.items():
            gauge = GaugeMetricFamily(PREFIX + name, about, labels=["reason"])
            for reason, value in getattr(health, name).items():
                gauge.add_metric([str(reason)], value)
            yield gauge
        for name, about in _COUNTS.items():
            yield GaugeMetricFamily(PREFIX + name, about, value=health.counts[name])
        for name, about, value in (
            ("card_map_epoch", "The newest card map", health.map_epoch),
            (
                "readers_without_newest_card_map",
                "Readers that have not said that they have it",
                len(health.without_map),
            ),
            ("barred_readers", "Readers that were opened or moved", len(health.barred)),
            ("made_timestamp_seconds", "When this was looked at", self._made_s),
            *((name, about, value) for name, (about, value) in self._seen.items()),
        ):
            yield GaugeMetricFamily(PREFIX + name, about, value=value)


def text(collector: Collector) -> bytes:
    """The metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(registry)


def write(path: Path, data: bytes) -> None:
    """Put them into `path`, whole or not at all: whoever reads meanwhile reads the ones before."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    os.replace(partial, path)
