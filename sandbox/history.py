"""A past for Prometheus: the stretch before the first scrape, without a reset where the two meet.

The application starts with its counters already seeded. Every counter-like series is ramped from 0 to that value,
every gauge is constant. Afterwards the series are copied once a second until Prometheus scrapes them itself.
"""

import json
import math
import time
import urllib.error
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from sandbox.components import request
from sandbox.remote_write import Samples, remote_write

STEP_SECONDS = 1.0
"""The scrape interval, or the coverage of the stretch would not be full."""
BRIDGE_SECONDS = 30.0
_COUNTERS = ("counter", "histogram", "summary")


class Target(NamedTuple):
    """What is scraped: the metrics' address and the labels job and instance."""

    metrics: str
    job: str
    instance: str


class _Series(NamedTuple):
    labels: Mapping[str, str]
    value: float
    grows: bool

    def samples(self, times: list[float]) -> Samples:
        """Return the ramp to the present value, in whole steps if the value is whole."""
        if not self.grows or not self.value:
            return [(when, self.value) for when in times]
        # The last share is exactly 1: a sum that overshot by one rounding would look like a reset at the joint.
        shares = (self.value * (step / (len(times) - 1 or 1)) for step in range(len(times)))
        whole = self.value.is_integer()
        return [(when, math.floor(share) if whole else share) for when, share in zip(times, shares, strict=True)]


def fill(prometheus: str, target: Target, since: float) -> None:
    """Write the target's series into Prometheus, one sample a second from ``since`` (unix time) up to now."""
    end = round(time.time(), 3)
    steps = math.ceil((end - since) / STEP_SECONDS)
    times = [end - STEP_SECONDS * (steps - step) for step in range(steps + 1)]
    remote_write(prometheus, [(series.labels, series.samples(times)) for series in _present(target)])


def bridge(prometheus: str, target: Target) -> None:
    """Copy the target's present values once a second until Prometheus scrapes it, at most 30 s.

    A copy that arrives after the first scrape is out of order and refused, which does no harm.
    """
    deadline = time.monotonic() + BRIDGE_SECONDS
    while time.monotonic() < deadline:
        with suppress(urllib.error.URLError):
            if _scraped(prometheus, target):
                return
            now = round(time.time(), 3)
            remote_write(prometheus, [(one.labels, [(now, one.value)]) for one in _present(target)])
        time.sleep(STEP_SECONDS)


def _present(target: Target) -> Iterator[_Series]:
    """Yield the target's series as they are now, and ``up``."""
    where = {"job": target.job, "instance": target.instance}
    yield _Series({"__name__": "up", **where}, 1, grows=False)
    for family in text_string_to_metric_families(request(target.metrics).decode()):
        for sample in family.samples:
            labels = {**sample.labels, **where, "__name__": sample.name}
            yield _Series(labels, float(sample.value), grows=family.type in _COUNTERS)


def _scraped(prometheus: str, target: Target) -> bool:
    """Return whether Prometheus itself has scraped the target."""
    query = urllib.parse.quote(f'scrape_duration_seconds{{job="{target.job}"}}')
    answer = json.loads(request(f"{prometheus}/api/v1/query?query={query}"))
    return bool(answer["data"]["result"])
