"""Every metric of one instance, in a registry of its own, with bounded labels."""

import time
from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from sandbox.normalization.modes import CANARY, ENDPOINTS, EVERYBODY, Endpoint, Mode

VALIDATION_BUCKETS = (0.0001, 0.0005, 0.001, 0.005, 0.01)
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
RESULTS = {Mode.WARN: ("ok", "warn"), Mode.ENFORCE: ("ok", "reject")}
"""What a validation can end with; in off nothing is validated."""
COHORTS = ("main", CANARY, "other")
OTHER_ROUTE = "other"
_STEPS = ((1, "1"), (5, "2-5"), (10, "6-10"))


def cardinality(entries: int) -> str:
    """Return the bucket of a number of entries: 1, 2-5, 6-10, 11+; unknown if there are none."""
    if entries < 1:
        return "unknown"
    return next((name for most, name in _STEPS if entries <= most), "11+")


def cohort_label(header: str | None) -> str:
    """Return the label of a request's cohort, of three."""
    if header is None:
        return "main"
    return CANARY if header == CANARY else "other"


class Metrics:
    """The counters, histograms and gauges; durations are in seconds.

    Those of the validator are shown only where there is one.
    """

    def __init__(self, mode: Callable[[Endpoint, str], float], *, validates: bool = True) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        validator = registry if validates else CollectorRegistry()
        started = Gauge("process_start_time_seconds", "When the process started, in unix seconds", registry=registry)
        started.set(time.time())
        place = ["endpoint", "mode"]
        self.seconds = Histogram(
            "stage_validation_duration_seconds",
            "Duration of a validation",
            [*place, "input_type", "cardinality"],
            registry=validator,
            buckets=VALIDATION_BUCKETS,
        )
        self.validations = Counter(
            "stage_validation_validations", "Validations", [*place, "input_type", "result"], registry=validator
        )
        self.errors = Counter(
            "stage_validation_errors", "Rejected requests", [*place, "error_code"], registry=validator
        )
        self.headers = Counter(
            "stage_deprecation_header_emitted",
            "Answers with deprecation headers",
            [*place, "input_type"],
            registry=validator,
        )
        self.requests = Counter("http_requests", "Requests", ["route", "code", "cohort"], registry=registry)
        self.request_seconds = Histogram(
            "http_request_duration_seconds",
            "Request duration",
            ["route", "cohort"],
            registry=registry,
            buckets=REQUEST_BUCKETS,
        )
        _show_modes(validator, mode)
        self._be_born_at_zero()

    def _be_born_at_zero(self) -> None:
        """Create the known children: a counter born at 1 hides its first event from increase()."""
        for endpoint in ENDPOINTS:
            for mode, results in RESULTS.items():
                for result in results:
                    self.validations.labels(endpoint.template, mode, endpoint.input_type, result)
            self.errors.labels(endpoint.template, Mode.ENFORCE, endpoint.error_code)
            self.headers.labels(endpoint.template, Mode.WARN, endpoint.input_type)
            for cohort in COHORTS[:2]:
                self.requests.labels(endpoint.template, "200", cohort)

    def hide(self, name: str) -> None:
        """Expose one of the metrics no more."""
        self.registry.unregister(getattr(self, name))

    def exposition(self) -> bytes:
        """Return the Prometheus text format."""
        return generate_latest(self.registry)


def _show_modes(registry: CollectorRegistry, mode: Callable[[Endpoint, str], float]) -> None:
    """Register the gauges; they ask for the mode at every scrape."""
    shown = (
        ("stage_validation_mode", "Mode of everybody: 0 off, 1 warn, 2 enforce", EVERYBODY),
        ("stage_validation_canary_mode", "Mode of the canary cohort", CANARY),
    )
    for name, text, cohort in shown:
        gauge = Gauge(name, text, ["endpoint"], registry=registry)
        for endpoint in ENDPOINTS:
            gauge.labels(endpoint.template).set_function(partial(mode, endpoint, cohort))
