"""Rules about the series that a gate reads, whatever it does with them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from pytest_rollout.plan import promql
from pytest_rollout.plan.document import KeyPath
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.lint.facts import Case, Finding, Pace, ratios_of
from pytest_rollout.plan.lint.metrics import kind_of, suggestion
from pytest_rollout.plan.lint.queries import query_findings
from pytest_rollout.plan.promql import Selector
from pytest_rollout.units import format_duration

_SCRAPES = 4
"""Fewer in a range, and one lost scrape leaves nothing to subtract from."""
_OTHER_UNITS = ("_milliseconds", "_ms", "_microseconds", "_us", "_nanoseconds", "_ns", "_minutes", "_bytes", "_ratio")
_EXTRAPOLATED = frozenset({"rate", "irate", "increase", "delta", "idelta", "deriv"})


def expression_findings(case: Case) -> Iterator[Finding]:
    """Yield what is wrong with one expression of a gate."""
    try:
        root = promql.tree(case.text, case.window)
        read = promql.selectors(case.text, case.window)
    except ValueError as exc:
        code = "type" if "expected type" in str(exc) else "parse"
        yield case.finding("error", code, f"the query cannot be read: {exc}", "mend the query")
        return
    for selector in read:
        for rule in (_unknown, _impossible, _fixed):
            yield from rule(case, selector)
    yield from _retention(case, read)
    if case.expression.role == "expression":
        yield from query_findings(case, root)
        yield from _short_ranges(case)
    else:
        yield from _counted(case, read[0])
        yield from _short_window(case, read[0])


def ratio_findings(gate: Gate, place: KeyPath) -> Iterator[Finding]:
    """Yield what is wrong with the two sides of the ratios that a gate counts."""
    for path, part_text, total_text in ratios_of(gate):
        part, total = promql.parse_selector(part_text), promql.parse_selector(total_text)
        where, name = (*place, *path), str(path[-1])
        if never_matches(part.matchers) is None and (label := never_matches((*part.matchers, *total.matchers))):
            if part.metric == total.metric or name == "good":
                yield _apart(where, name, label)
        elif part.metric == total.metric:
            yield from _same_metric(where, name, part, total)


def _apart(where: KeyPath, name: str, label: str) -> Finding:
    why = {"bad": "so this is no share", "good": "so nothing of 'total' is ever known to be good"}[name]
    return Finding(
        "error",
        "not-a-part",
        where,
        f"no series of {name!r} is part of 'total': their {label!r} contradict each other, {why}",
        f"give both the same matchers, and {name!r} one more",
    )


def _same_metric(where: KeyPath, name: str, part: Selector, total: Selector) -> Iterator[Finding]:
    always, such = {"bad": ("the share is always 1", '"5.."'), "good": ("the gate cannot fail", '"[234].."')}[name]
    if set(part.matchers) == set(total.matchers):
        yield Finding(
            "error",
            "self-match",
            where,
            f"{name!r} and 'total' are the same series: every request is {name}, {always}",
            f"narrow {name!r} down to what is {name}, such as code=~{such}",
        )
    elif not part.narrows(total):
        yield Finding(
            "warning",
            "not-a-part",
            where,
            f"{name!r} does not repeat every matcher of 'total', so it may count requests that 'total' does not",
            f"give both the same matchers, and {name!r} one more",
        )


def never_matches(matchers: tuple[tuple[str, str, str], ...]) -> str | None:
    """Return a label whose matchers contradict each other, so that no series can match."""
    for label in sorted({matcher[0] for matcher in matchers}):
        own = [(operator, value) for name, operator, value in matchers if name == label]
        exact = [value for operator, value in own if operator == "="]
        if any(not promql.accepts(operator, wanted, value) for value in exact for operator, wanted in own):
            return label
        if any(operator == "=~" and ("!~", value) in own for operator, value in own) or ("!~", ".*") in own:
            return label
    return None


def _unknown(case: Case, selector: Selector) -> Iterator[Finding]:
    live, metric = case.live, selector.metric
    if live is None or not metric:
        return
    native = metric.removesuffix("_bucket") if case.expression.role == "buckets" else metric
    if not live.metric_names.isdisjoint({metric, native}):
        yield from _unborn(case, selector if metric in live.metric_names else None)
    elif live.metric_type(metric) is not None:
        yield case.finding(
            "warning",
            "no-series",
            f"{metric!r} is exported but has no series yet: its first event may be born at 1 and seen by no rate",
            "initialise every label value at the start of the process",
        )
    else:
        yield case.finding(
            "error",
            "unknown-metric",
            f"the server has no metric {metric!r}, so the gate never has data",
            suggestion(metric, live.metric_names),
        )


def _unborn(case: Case, selector: Selector | None) -> Iterator[Finding]:
    if case.live and selector and selector.matchers and case.live.series_count(selector.text) == 0:
        yield case.finding(
            "info" if case.expression.path[-1] == "bad" else "warning",
            "no-series",
            f"no series matches {selector.text} now, though others of {selector.metric!r} exist",
            "check names and values of the labels; if it has only not happened yet, this is well",
        )


def _impossible(case: Case, selector: Selector) -> Iterator[Finding]:
    if label := never_matches(selector.matchers):
        yield case.finding(
            "error",
            "contradiction",
            f"no series can match {selector.text}: its matchers of {label!r} contradict each other",
            'drop one of them, or write alternatives as =~"a|b"',
        )


def _fixed(case: Case, selector: Selector) -> Iterator[Finding]:
    if selector.fixed:
        yield case.finding(
            "error",
            "fixed-time",
            f"{selector.text} is read at a fixed time (@), so nothing that happens now can change it",
            "leave out @; write offset to look back",
        )


def _retention(case: Case, read: tuple[Selector, ...]) -> Iterator[Finding]:
    kept = case.live.retention if case.live else None
    reaches = [one.reach for one in read] if case.expression.role == "expression" else []
    longest = max([case.expression.furthest / case.scale, *reaches])
    if kept is not None and longest > kept:
        yield case.finding(
            "error",
            "beyond-retention",
            f"the gate reads {format_duration(longest)} back, the server keeps {format_duration(kept)}: "
            "the rest is never there",
            "shorten the window, or keep samples longer (--storage.tsdb.retention.time)",
        )


def _counted(case: Case, selector: Selector) -> Iterator[Finding]:
    kind = kind_of(selector.metric, case.live)
    if case.expression.role == "counter" and kind.name == "gauge":
        yield case.finding(
            kind.severity,
            "counts-a-gauge",
            f"{selector.metric!r} is counted, but it is {kind.said}: its rises are not events",
            "name a counter, or use a promql gate for a gauge",
        )
    if case.expression.role == "counter" and selector.metric.endswith("_sum"):
        yield case.finding(
            "warning",
            "unit",
            f"{selector.metric!r} sums up a quantity, but every unit of it is counted as an event",
            f"count events: {selector.metric.removesuffix('_sum')}_count",
        )
    if case.expression.role == "buckets":
        yield from _buckets(case, selector)


def _buckets(case: Case, selector: Selector) -> Iterator[Finding]:
    metric = selector.metric.removesuffix("_bucket")
    if unit := next((end for end in _OTHER_UNITS if metric.endswith(end)), None):
        yield case.finding(
            "error",
            "unit",
            f"the limit is a duration in seconds, the buckets of {metric!r} are in {unit.removeprefix('_')}",
            "export seconds, or ask for the bucket itself in a promql gate",
        )
    bounds, limit = (case.live.bucket_bounds(selector.text) if case.live else None), case.gate.limit
    if not bounds or limit is None or case.gate.quantile is None:
        return
    names = f"{bounds[0]:g} to {bounds[-1]:g}"
    if not bounds[0] <= limit <= bounds[-1]:
        yield case.finding(
            "error",
            "bucket-limit",
            f"the limit {limit:g} lies outside the finite buckets ({names}), so the gate can never decide",
            f"add a bucket at {limit:g}",
        )
    for low, high in pairwise(bounds):
        if low < limit < high:
            yield case.finding(
                "warning",
                "bucket-limit",
                f"the limit {limit:g} lies between the buckets {low:g} and {high:g}: "
                "the gate holds whenever the quantile does, too",
                f"add a bucket at {limit:g}",
            )


def _short_window(case: Case, selector: Selector) -> Iterator[Finding]:
    for pace in _paces(case, selector):
        if case.expression.window and case.expression.window / pace.scale < _SCRAPES * pace.interval:
            yield _short(case, pace, case.expression.window / pace.scale, certain=pace.certain)
            return


def _short_ranges(case: Case) -> Iterator[Finding]:
    for pace in dict.fromkeys(case.paces):
        for call in promql.tree(case.text, case.window / pace.scale).walk():
            for part in call.parts:
                selector = part.selector
                if selector is None or selector.range is None or pace not in _paces(case, selector):
                    continue
                if selector.range < _SCRAPES * pace.interval:
                    yield _short(case, pace, selector.range, certain=pace.certain and call.name in _EXTRAPOLATED)
                    return


def _paces(case: Case, selector: Selector) -> Iterator[Pace]:
    """Yield the paces that a selector may meet."""
    wanted = [(operator, value) for label, operator, value in selector.matchers if label == "job"]
    for pace in case.paces:
        if pace.job is None:
            yield pace
        elif all(promql.accepts(operator, value, pace.job) for operator, value in wanted):
            # The shortest comes first: a longer one may be of a job that has nothing to do with it.
            yield pace
            return


def _short(case: Case, pace: Pace, length: float, *, certain: bool) -> Finding:
    return case.finding(
        "error" if certain else "warning",
        "short-range",
        f"a range of {format_duration(length)} holds fewer than four scrapes: {pace.said} scrapes every "
        f"{format_duration(pace.interval)}; one that is lost leaves a value of chance, or none",
        f"take at least {format_duration(_SCRAPES * pace.interval * pace.scale)}",
    )
