"""Between which values an expression lies: by the text, and in a real Prometheus."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest

from pytest_rollout.plan.lint.bounds import Bounds, bounds
from pytest_rollout.plan.promql import tree
from pytest_rollout.sources.http import Http
from pytest_rollout.sources.prometheus import Prometheus
from sandbox.components import Component
from sandbox.remote_write import remote_write

ANY = (-math.inf, math.inf)
POSITIVE = (0.0, math.inf)
SHARE = (0.0, 1.0)

EXPRESSIONS = {
    "up": SHARE,
    "g": ANY,
    "c_total": ANY,
    "h_bucket": POSITIVE,
    "-up": (-1.0, 0.0),
    "sum(rate(c_total[5m]))": POSITIVE,
    "increase(c_total[5m])": POSITIVE,
    "irate(c_total[5m])": POSITIVE,
    "delta(g[5m])": ANY,
    "deriv(g[5m])": ANY,
    "changes(g[5m])": POSITIVE,
    "count(g)": POSITIVE,
    "stddev(g)": POSITIVE,
    "group(g)": SHARE,
    "absent(nothing)": SHARE,
    "present_over_time(g[5m])": SHARE,
    "avg_over_time(up[5m])": SHARE,
    "min(min_over_time(up[5m]))": SHARE,
    "max(max_over_time(rate(c_total[1m])[5m:1m]))": POSITIVE,
    "quantile(0.5, up)": SHARE,
    "quantile(2, up)": ANY,
    "quantile_over_time(0.5, up[5m])": SHARE,
    "quantile_over_time(-1, up[5m])": ANY,
    "sum(up)": POSITIVE,
    "sum(g)": ANY,
    "sum(-up)": (-math.inf, 0.0),
    "sum_over_time(up[5m])": POSITIVE,
    "sum_over_time(g[5m])": ANY,
    "abs(g)": ANY,
    "ceil(up)": SHARE,
    "round(up)": SHARE,
    "round(up, 3)": ANY,
    "label_replace(up, 'a', 'b', 'c', 'd')": SHARE,
    "scalar(max(up))": SHARE,
    "vector(3)": (3.0, 3.0),
    "topk(1, up)": SHARE,
    "1 - avg(up)": SHARE,
    "avg(up) - 1": (-1.0, 0.0),
    "100 * avg(up)": (0.0, 100.0),
    "-2 * avg(up)": (-2.0, 0.0),
    "avg(up) * 0": (0.0, 0.0),
    "avg(up) + avg(up)": (0.0, 2.0),
    "sum(rate(c_total[5m])) * 2": POSITIVE,
    "sum(rate(c_total[5m])) * -1": ANY,
    "g * g": ANY,
    "avg(up) % 0.3": ANY,
    "avg(up) ^ 2": ANY,
    "sum(g) / sum(up)": ANY,
    "sum(up) / sum(rate(c_total[5m]))": POSITIVE,
    'sum(rate(c_total{a="1"}[5m])) / sum(rate(c_total[5m]))': SHARE,
    'sum by (b) (increase(c_total{a="1"}[5m])) / sum by (b) (increase(c_total[5m]))': SHARE,
    'max(rate(c_total{a="1"}[5m])) / max(rate(c_total[5m]))': SHARE,
    'count(g{a="1"}) / count(g)': SHARE,
    'min(rate(c_total{a="1"}[5m])) / min(rate(c_total[5m]))': POSITIVE,
    'avg(rate(c_total{a="1"}[5m])) / avg(rate(c_total[5m]))': POSITIVE,
    'sum(rate(c_total[5m])) / sum(rate(c_total{a="1"}[5m]))': POSITIVE,
    'sum(rate(c_total{a="1"}[5m])) / sum(rate(c_total{a="2"}[5m]))': POSITIVE,
    'sum(rate(c_total{a="1"}[5m])) / sum(rate(c_total[2m]))': POSITIVE,
    'sum(rate(c_total{a="1"}[5m])) / sum(rate(c_total[5m] offset 5m))': POSITIVE,
    'sum(g{a="1"}) / sum(g)': ANY,
    'sum(-rate(c_total{a="1"}[5m])) / sum(-rate(c_total[5m]))': ANY,
    "(avg(up)) or (avg(up) - 1)": (-1.0, 1.0),
    "avg(up) and on() g": SHARE,
    "avg(up) unless nothing": SHARE,
    "g > 0": ANY,
    "up / fill(7) up": ANY,
    "histogram_quantile(0.9, h_bucket)": ANY,
    "time()": POSITIVE,
}


@pytest.mark.parametrize(("text", "expected"), EXPRESSIONS.items())
def test_bounds_by_the_text(text: str, expected: tuple[float, float]) -> None:
    found = bounds(tree(text))
    assert (found.low, found.high) == expected


@pytest.fixture(scope="module")
def filled(prometheus: Component, eras: Iterator[float]) -> Iterator[tuple[Prometheus, float]]:
    """Return a Prometheus with half an hour of unruly series, and its end."""
    chance, start = random.Random(7), next(eras)  # noqa: S311 - the same values each time
    times = [start + 15 * place for place in range(121)]

    def counter() -> list[float]:
        value, out = 0.0, []
        for _ in times:
            value = 0.0 if chance.random() < 0.05 else value + chance.randrange(5)
            out.append(value)
        return out

    series = []
    for a, b in (("1", "x"), ("2", "x"), ("1", "y"), ("3", "y")):
        labels = {"a": a, "b": b}
        series.append(({**labels, "__name__": "c_total"}, counter()))
        series.append(({**labels, "__name__": "up"}, [float(chance.random() < 0.8) for _ in times]))
        series.append(({**labels, "__name__": "g"}, [chance.uniform(-9, 9) for _ in times]))
    series += [({"le": le, "__name__": "h_bucket"}, counter()) for le in ("0.1", "+Inf")]
    remote_write(prometheus.url, [(labels, list(zip(times, values, strict=True))) for labels, values in series])
    http = Http()
    yield Prometheus(prometheus.url, http), times[-1]
    http.close()


@pytest.mark.parametrize("text", [text for text in EXPRESSIONS if "fill(" not in text])
def test_bounds_hold_in_prometheus(filled: tuple[Prometheus, float], text: str) -> None:
    server, end = filled
    limits = bounds(tree(text))
    values = [one.samples[-1][1] for back in (0, 100, 400, 800) for one in server.query(text, end - back).series]
    assert values
    assert all(limits.low - 1e-9 <= value <= limits.high + 1e-9 for value in values if not math.isnan(value))


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Bounds(0.0), "never less than 0"),
        (Bounds(high=2.5), "never more than 2.5"),
        (Bounds(0.0, 1.0), "between 0 and 1"),
    ],
)
def test_bounds_in_words(limits: Bounds, said: str) -> None:
    assert str(limits) == said


@pytest.mark.parametrize(
    ("comparator", "fails_never", "passes_never"),
    [
        ("below", [1.1, 2], [-1, -0.1, 0]),
        ("at_most", [1, 1.1, 2], [-1, -0.1]),
        ("above", [-1, -0.1], [1, 1.1, 2]),
        ("at_least", [-1, -0.1, 0], [1.1, 2]),
    ],
)
def test_limits_out_of_reach_of_a_share(comparator: str, fails_never: list[float], passes_never: list[float]) -> None:
    share, limits = Bounds(0.0, 1.0), [-1, -0.1, 0, 0.5, 1, 1.1, 2]
    assert [one for one in limits if share.never_fails(comparator, one)] == fails_never
    assert [one for one in limits if share.never_passes(comparator, one)] == passes_never
