"""Rises of counters: exact, exclusive, and never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_rollout.golden.deltas import MetricReadings, metric_findings
from pytest_rollout.golden.endpoint import MetricSource
from pytest_rollout.golden.exposition import Exposition, name_of
from pytest_rollout.golden.wire import Reply

SOURCE = MetricSource.model_validate({"path": "/metrics", "control": "1s", "hold": "1s"})
NAME = 'seen_total{kind="a"}'


def exposition(*lines: str, head: str = "# TYPE seen_total counter", started: float | None = 5.0) -> Reply:
    start = [] if started is None else [f"process_start_time_seconds {started}"]
    text = "\n".join([head, *lines, *start, ""])
    return Reply.received(200, [("Content-Type", "text/plain")], text.encode())


def count(value: float | str, **labels: str) -> str:
    given = ",".join(f'{key}="{text}"' for key, text in {"kind": "a", **labels}.items())
    return f"seen_total{{{given}}} {value}"


def readings(*values: float | None, **keys: Any) -> MetricReadings:
    """Return readings with one counter; None for a reading before it exists."""
    return replace(taken([exposition(*([] if value is None else [count(value)])) for value in values]), **keys)


def taken(replies: Sequence[Reply]) -> MetricReadings:
    """Return four readings, far enough apart."""
    control, before, after, held = replies
    return MetricReadings(control, before, after, held, quiet=1.0, kept=1.0)


def said(
    given: MetricReadings | None, expected: dict[str, int] | None = None, source: MetricSource = SOURCE
) -> list[str]:
    return [f"{one.verdict}: {one.line}" for one in metric_findings(expected or {NAME: 1}, source, given)]


def test_a_rise_by_exactly_what_was_said() -> None:
    assert said(readings(3, 3, 4, 4)) == []
    assert said(readings(None, None, 1, 1)) == []
    assert said(readings(None, None, None, None), {NAME: 0}) == []


@pytest.mark.parametrize(
    ("values", "got"),
    [
        ((3, 3, 3, 3), "+0"),
        ((3, 3, 5, 5), "+2"),
        ((3, 3, 4, 5), "+2 (+1 of it late)"),
        ((None, None, 2, 2), "+2"),
    ],
)
def test_another_rise_is_a_breach(values: tuple[float | None, ...], got: str) -> None:
    assert said(readings(*values)) == [f"breached: #metric/{NAME}: metric: expected +1, got {got} [exact rise]"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "#metric: no-data: expected a reading of the metrics, got nothing was read [metrics]"),
        (readings(3, 3, 4, 4, held=None), "expected a reading of the metrics (held), got nothing [metrics]"),
        (readings(3, 3, 4, 4, control=None), "expected a reading of the metrics (control), got nothing [metrics]"),
        (
            readings(3, 3, 4, 4, before=Reply.received(503, [], b"")),
            "expected a reading of the metrics (before), got HTTP 503 [metrics]",
        ),
        (
            readings(3, 3, 4, 4, after=replace(exposition(count(4)), body=b"")),
            "expected a reading of the metrics (after), got an incomplete answer [metrics]",
        ),
        (
            readings(3, 3, 4, 4, after=Reply.received(200, [], b"<html>")),
            "(after), got not an exposition of metrics:",
        ),
        (readings(3, 3, 4, 4, after=exposition(count(4), count(4))), 'the series seen_total{kind="a"} is there twice'),
        (readings(2, 3, 4, 4), "not-exclusive: expected a counter that nobody else moves, got +1 without a request"),
        (readings(3, 3, 3, 4), "not-exclusive: expected a counter that stands still after the rise, got +1"),
        (readings(3, 3, 1, 1), "restart-in-window: expected counters that never fall"),
        (readings(3, 3, 4, None), 'got seen_total{kind="a"} fell or vanished [metrics]'),
        (readings(3, None, 1, 1), 'got seen_total{kind="a"} fell or vanished [metrics]'),
        (readings(None, 3, 4, 4), "not-exclusive: expected a counter that nobody else moves, got +3 without"),
        (readings(3, 3, 4, 4, quiet=0.9), "watched too briefly, or what moved is not explained by other cases"),
        (readings(3, 3, 4, 4, kept=0.9), "watched too briefly, or what moved is not explained by other cases"),
        (readings(3, 3, 4, "NaN"), "not-a-number: expected numbers, got a sample that is none"),  # type: ignore[arg-type]
        (
            readings(3, 3, 4, 4, held=exposition(count(4), started=6.0)),
            "#metric: restart-in-window: expected one process all the time, got another start time [restart]",
        ),
        (readings(3, 3, 4, 4, held=exposition(count(4), started=None)), "expected one process all the time"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_never_a_pass(given: MetricReadings, words: str) -> None:
    (line,) = said(given)
    assert line.startswith("inconclusive: ")
    assert words in line


def test_a_metric_that_does_not_exist_is_not_zero() -> None:
    (line,) = said(readings(3, 3, 4, 4), {"sene_total": 0})
    assert line == (
        "inconclusive: #metric/sene_total: series-missing: expected a metric that exists, "
        "got no such metric; check the name [metrics]"
    )


def test_the_sum_of_all_that_is_selected_counts() -> None:
    steps = [(1, 5), (1, 5), (2, 5), (2, 5)]
    given = taken([exposition(count(a, code="1"), count(b, code="2")) for a, b in steps])
    rises = {NAME: 1, 'seen_total{code="1"}': 1, 'seen_total{code="2"}': 0, 'seen_total{code=~"1|2"}': 1}
    assert said(given, rises) == []


BOUNDED = MetricSource.model_validate(
    {"path": "/m", "bounded": {"seen_total": {"kind": ["a"], "code": ["1", "2"]}, "took_seconds": {"kind": ["a"]}}}
)


def bounded(*lines: str, place: str = "held") -> list[str]:
    fine = [count(1, code="1"), "# TYPE took_seconds histogram", 'took_seconds_bucket{kind="a",le="+Inf"} 1']
    replies = {name: exposition(*fine) for name in ("control", "before", "after", "held")}
    replies[place] = exposition(*fine, *lines)
    given = replace(taken(list(replies.values())), quiet=9.0, kept=9.0)
    return said(given, {'seen_total{code="2"}': 0}, BOUNDED)


@pytest.mark.parametrize("place", ["control", "before", "after", "held"])
def test_labels_that_nobody_foresaw_are_found(place: str) -> None:
    assert bounded() == []
    told = [line for line in bounded(count(0, code="seres-a"), place=place) if "bounded" in line]
    assert told == ["breached: #metric/seen_total: label: expected 1, 2, got code='seres-a' [bounded labels]"]
    told = [line for line in bounded(count(0, code="1", user="7"), place=place) if "bounded" in line]
    assert told == ["breached: #metric/seen_total: label: expected no such label, got user='7' [bounded labels]"]
    told = [line for line in bounded('took_seconds_bucket{le="1"} 0', place=place) if "bounded" in line]
    assert told == ["breached: #metric/took_seconds: label: expected a, got kind=None [bounded labels]"]


def test_a_bounded_family_has_to_exist() -> None:
    source = MetricSource.model_validate({"path": "/m", "bounded": {"sene_total": {"kind": ["a"]}}})
    (line,) = said(readings(3, 3, 4, 4), None, source)
    assert line.startswith("inconclusive: #metric/sene_total: series-missing")


def test_an_exposition_knows_families_without_a_series() -> None:
    read = Exposition.read(b"# TYPE a_total counter\n# TYPE b gauge\nc 1\n")
    assert {name for name in ("a_total", "b", "c", "d") if read.knows(name)} == {"a_total", "b", "c"}
    assert [name_of(labels) for labels in read.selected("c")] == ["c"]
