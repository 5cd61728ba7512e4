"""Remote write by hand, against a real Prometheus."""

import json
import urllib.error
from typing import Any
from urllib.parse import quote

import pytest

from sandbox.components import Component, request
from sandbox.remote_write import remote_write

START = 1_700_000_000.0


def query(prometheus: Component, expression: str, time: float) -> Any:
    answer = request(f"{prometheus.url}/api/v1/query?query={quote(expression)}&time={time}")
    return json.loads(answer)["data"]["result"]


def test_round_trip_over_hours_of_several_series(prometheus: Component) -> None:
    times = [START + 15 * step for step in range(3 * 240 + 1)]
    written = {
        "steady": [(when, 1.5) for when in times],
        "late": [(when, when - START) for when in times[200:]],
        "short": [(times[0], -0.25), (times[1], float("inf"))],
    }
    remote_write(prometheus.url, [({"__name__": "trip", "job": "t", "which": name}, s) for name, s in written.items()])
    found = query(prometheus, "trip[4h]", times[-1])
    read = {row["metric"]["which"]: [(when, float(value)) for when, value in row["values"]] for row in found}
    assert read == written


def test_labels_of_any_text_and_size_survive(prometheus: Component) -> None:
    labels = {"__name__": "labels_trip", "text": 'é "quoted" \\ /', "long": "x" * 70_000}
    remote_write(prometheus.url, [(labels, [(START + 4 * 3600, 1.0)])])
    assert query(prometheus, "labels_trip", START + 4 * 3600)[0]["metric"] == labels


def test_refused_samples_are_an_error(prometheus: Component) -> None:
    labels = {"__name__": "ordered"}
    remote_write(prometheus.url, [(labels, [(START + 5 * 3600, 1.0)])])
    with pytest.raises(urllib.error.HTTPError, match="400"):
        remote_write(prometheus.url, [(labels, [(START + 5 * 3600 - 1, 1.0)])])


def test_nothing_to_write_is_no_request() -> None:
    remote_write("http://nobody.invalid", [({"__name__": "empty"}, [])])
