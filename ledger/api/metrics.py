"""What the API has done, for Prometheus. No account, order, card or person is in a label."""

from prometheus_client import CollectorRegistry, Counter, Histogram

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0)


class Metrics:
    """`registry` is to be shown; `heard` is told of each request."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ["operation", "client", "status"]
        self._requests = Counter(
            "onecard_ledger_api_requests", "Requests answered", labels, registry=self.registry
        )
        self._refusals = Counter(
            "onecard_ledger_api_refusals", "Refusals", ["reason"], registry=self.registry
        )
        self._seconds = Histogram(
            "onecard_ledger_api_answer_seconds",
            "From the request to its answer",
            ["operation"],
            buckets=_SECONDS,
            registry=self.registry,
        )

    def heard(self, operation: str, client: str, status: int, reason: int, took_s: float) -> None:
        """`client` "" for who has no token; `reason` 0 for what was done."""
        self._requests.labels(operation, client, str(status)).inc()
        self._seconds.labels(operation).observe(took_s)
        if reason:
            self._refusals.labels(str(reason)).inc()
