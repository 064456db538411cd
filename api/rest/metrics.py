"""What the service counts, in the text format of Prometheus. Labels are routes, statuses and codes: never content."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
METHODS: Final = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"})


class Metrics:
    """One set of counters for each application, so that two in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        where = self.registry
        self.requests = Counter(
            "threadwise_requests", "Requests that were answered.", ("method", "route", "status"), registry=where
        )
        self.latency = Histogram(
            "threadwise_request_seconds", "Until the last byte was sent.", ("route",), buckets=SECONDS, registry=where
        )
        self.open_requests = Gauge("threadwise_requests_open", "Requests in the house.", registry=where)
        self.asks = Counter("threadwise_asks", "Questions by how they ended.", ("outcome",), registry=where)
        self.ask = Histogram("threadwise_ask_seconds", "Until the answer was whole.", buckets=SECONDS, registry=where)
        self.first_text = Histogram(
            "threadwise_first_text_seconds",
            "Until the first quote or verified sentence.",
            buckets=SECONDS,
            registry=where,
        )
        self.first_token = Histogram(
            "threadwise_first_token_seconds", "Until the model's first token.", buckets=SECONDS, registry=where
        )
        self.refusals = Counter("threadwise_refusals", "Requests that were refused.", ("code",), registry=where)
        self.tokens = Counter("threadwise_model_tokens", "Tokens of the language model.", ("kind",), registry=where)
        self.uploaded = Counter("threadwise_uploaded_bytes", "Bytes of uploads that became runs.", registry=where)
        self.slack = Counter("threadwise_slack_replies", "Tries to reply in Slack.", ("outcome",), registry=where)
        ProcessCollector(registry=self.registry)

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A number that is looked up whenever somebody asks."""
        Gauge(name, text, registry=self.registry).set_function(value)

    def by_state(self, name: str, text: str, values: Callable[[], Mapping[str, int]]) -> None:
        """The same, one number for each state."""
        self.registry.register(_ByState(name, text, values))

    def seen(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that is over."""
        self.requests.labels(method if method in METHODS else "OTHER", route, str(status)).inc()
        self.latency.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)


class _ByState(Collector):
    def __init__(self, name: str, text: str, values: Callable[[], Mapping[str, int]]) -> None:
        self._family = (name, text)
        self._values = values

    def describe(self) -> Iterable[Metric]:
        """What there will be, without asking for it."""
        yield GaugeMetricFamily(*self._family, labels=["state"])

    def collect(self) -> Iterable[Metric]:
        """One sample for each state."""
        family = GaugeMetricFamily(*self._family, labels=["state"])
        for state, count in self._values().items():
            family.add_metric([state], count)
        yield family
