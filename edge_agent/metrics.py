"""The agent's view as Prometheus metrics. The one label of a reader is its device number."""

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

# Of a view's reader: field -> name and help of the metric.
_OF_READER = {
    "waiting": ("waiting_records", "Records stored here that the ledger has not booked"),
    "last_seen_s": ("last_seen_timestamp_seconds", "When it last said anything"),
    "battery_mv": ("battery_millivolts", "Its battery, when it last wrote that down"),
    "power_source": ("power_source", "1: battery, 0: mains, when it last changed"),
    "clock_ahead_s": ("clock_ahead_seconds", "At least so much its clock is before ours"),
    "map_made_s": ("map_made_timestamp_seconds", "How new its list of lost cards was"),
    "cards_lacking": ("cards_lacking", "Changes of cards it has not said that it has"),
    "inspected_s": ("inspected_timestamp_seconds", "Its last inspection by the merchant"),
    "is_shunned": ("shunned", "1: it floods and is not listened to for a minute"),
    "fault_s": ("fault_timestamp_seconds", "When it last called for somebody"),
}
_PREFIX = "onecard_agent_"


class AgentCollector(Collector):
    """Metrics of the view that `current()` gives, made when they are asked for."""

    def __init__(self, current: Callable[[], dict[str, Any]]) -> None:
        self._current = current

    def collect(self) -> Iterable[Metric]:
        view = self._current()
        if not view:
            return
        yield from self._links(view["links"])
        yield self._certificates(view["certificates"])
        store = view["store"]
        for field, about in (
            ("used_bytes", "What records use of the disk"),
            ("limit_bytes", "What they may use"),
            ("waiting", "Records that the ledger has not booked"),
        ):
            yield GaugeMetricFamily(f"{_PREFIX}store_{field}", about, value=store[field])
        if store["hours_left"] is not None:
            about = "Until the disk is full at the rate of the last hour"
            yield GaugeMetricFamily(f"{_PREFIX}store_left_hours", about, value=store["hours_left"])
        events = CounterMetricFamily(f"{_PREFIX}events", "What has happened", labels=["event"])
        for name, number in view["counters"].items():
            events.add_metric([name], number)
        yield events
        yield from self._readers(view["readers"])
        if view["enrolment"] is not None:
            about = "Readers heard on a link that they are not admitted on"
            count = len(view["enrolment"]["waiting"])
            yield GaugeMetricFamily(f"{_PREFIX}quarantined_readers", about, value=count)

    def _links(self, links: dict[str, Any]) -> Iterable[Metric]:
        up = GaugeMetricFamily(f"{_PREFIX}link_up", "Whether a link is up", labels=["link"])
        for name, link in links.items():
            up.add_metric([name], int(link["connected"]))
        yield up

    def _certificates(self, certificates: list[dict[str, Any]]) -> Metric:
        about = "Until a certificate ends that a link rests on"
        labels = ["link", "whose"]
        left = GaugeMetricFamily(f"{_PREFIX}certificate_left_days", about, labels=labels)
        for one in certificates:
            left.add_metric([one["link"], one["whose"]], one["days_left"])
        return left

    def _readers(self, readers: list[dict[str, Any]]) -> Iterable[Metric]:
        for field, (name, about) in _OF_READER.items():
            gauge = GaugeMetricFamily(f"{_PREFIX}reader_{name}", about, labels=["device"])
            for reader in readers:
                if reader.get(field) is not None:
                    gauge.add_metric([str(reader["device"])], reader[field])
            yield gauge
