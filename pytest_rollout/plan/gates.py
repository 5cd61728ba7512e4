"""The kinds of gates, and which keys and units go with each."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from pytest_rollout import units
from pytest_rollout.plan import promql
from pytest_rollout.plan.strict import Duration, Name, Share, Strict, wrong

Comparator = Literal["below", "at_most", "above", "at_least"]


def _selector(text: object) -> str:
    if not isinstance(text, str):
        raise ValueError("a selector is text")
    promql.parse_selector(text)
    return text


def _metric(text: object) -> str:
    if not isinstance(text, str) or not re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", text):
        raise ValueError(f"{text!r} is not the name of a metric; matchers go into 'where'")
    return text


class Ratio(Strict):
    """Bad requests over all requests, counted."""

    bad: Annotated[str, BeforeValidator(_selector)]
    total: Annotated[str, BeforeValidator(_selector)]


class Quantile(Strict):
    """A quantile of a classic histogram, judged as the share of requests slower than the limit."""

    q: float = Field(gt=0, lt=1)
    of: Annotated[str, BeforeValidator(_metric)]
    """The histogram's name without ``_bucket``."""
    where: str = ""
    """Matchers, such as ``cohort="admin"``."""

    @property
    def selector(self) -> str:
        """The selector of its buckets."""
        return f"{self.of}_bucket{{{self.where}}}"

    @model_validator(mode="after")
    def _bare_name(self) -> Self:
        if self.of.endswith(("_bucket", "_count", "_sum")):
            raise wrong("of", f"name the histogram itself: {self.of.rpartition('_')[0]!r}")
        try:
            selector = promql.parse_selector(self.selector)
        except ValueError as exc:
            raise wrong("where", f"not a list of matchers: {exc}") from exc
        if any(label == "le" for label, _, _ in selector.matchers):
            raise wrong("where", "leave out 'le'; the gate reads every bucket")
        return self


class Counter(Strict):
    """How much a counter rises within the window."""

    of: Annotated[str, BeforeValidator(_selector)]


class CanaryHistory(Strict):
    """A canary has to pass several times, the first and last pass at least this far apart."""

    name: Name
    passes: int = Field(default=1, ge=1)
    across: Duration = 0.0
    deadline: Duration = 120.0
    """How long one run may take; not scaled."""

    @model_validator(mode="after")
    def _across_needs_two(self) -> Self:
        if self.across and self.passes == 1:
            raise wrong("across", "one pass cannot be spread; write passes: 2 or more")
        return self


KINDS = ("canary", "counter", "promql", "quantile", "ratio", "unproven")
COMPARATORS: tuple[Comparator, ...] = ("below", "at_most", "above", "at_least")


class _Kind(BaseModel):
    """Which keys go with a gate kind, and the unit of its limit."""

    parse: Any = None
    unit: str = ""
    comparators: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()


_COUNTED = ("over", "coverage", "max_gap")
_KIND_RULES = {
    "ratio": _Kind(
        parse=units.parse_share,
        unit="share",
        comparators=("below", "at_most"),
        needs=("over",),
        takes=(*_COUNTED, "confidence"),
    ),
    "quantile": _Kind(
        parse=units.parse_duration,
        unit="seconds",
        comparators=("below", "at_most"),
        needs=("over",),
        takes=(*_COUNTED, "confidence"),
    ),
    "counter": _Kind(parse=units.parse_count, unit="count", comparators=("at_most",), needs=("over",), takes=_COUNTED),
    "promql": _Kind(parse=units.parse_number, comparators=COMPARATORS, takes=("over",)),
    "canary": _Kind(unit="passes"),
    "unproven": _Kind(),
}


class Gate(Strict):
    """One criterion. Exactly one kind, and the limit in the unit of that kind."""

    id: Name
    ratio: Ratio | None = None
    quantile: Quantile | None = None
    counter: Counter | None = None
    promql: str | None = None
    canary: CanaryHistory | None = None
    unproven: str | None = None
    """A criterion that no gate proves yet; the stage holds until one does."""
    below: Any = None
    at_most: Any = None
    above: Any = None
    at_least: Any = None
    over: Duration | None = None
    coverage: Share = 0.95
    max_gap: Duration | None = None
    """Longest stretch without a sample; four scrape intervals if not given."""
    confidence: Share = 0.95
    """Two-sided confidence of the interval around a share."""

    TUNING: ClassVar[tuple[str, ...]] = ("over", "coverage", "max_gap", "confidence")

    @property
    def kind(self) -> str:
        """The name of the one kind that is given."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def comparator(self) -> Comparator | None:
        """The one comparator that is given, if the kind has a limit."""
        return next((name for name in COMPARATORS if getattr(self, name) is not None), None)

    @property
    def limit(self) -> float | None:
        """The limit in base units."""
        rules, comparator = _KIND_RULES[self.kind], self.comparator
        return float(rules.parse(getattr(self, comparator))) if comparator and rules.parse else None

    @property
    def unit(self) -> str:
        """The unit of value and limit: ``share``, ``seconds``, ``count``, ``passes`` or none."""
        return str(_KIND_RULES[self.kind].unit)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if not given:
            raise wrong("id", f"gate {self.id!r} has no kind; give one of {', '.join(KINDS)}")
        if len(given) > 1:
            raise wrong(given[1], f"gate {self.id!r} has {' and '.join(given)}; give exactly one kind")
        if self.unproven is not None and not self.unproven.strip():
            raise wrong("unproven", "say what is not proven yet")
        return self._fitting_keys(_KIND_RULES[given[0]])

    def _fitting_keys(self, rules: _Kind) -> Self:
        for key in self.TUNING:
            if key in self.model_fields_set and key not in rules.takes:
                raise wrong(key, f"a {self.kind} gate does not take {key!r}")
        for key in rules.needs:
            if not getattr(self, key):
                raise wrong(self.kind, f"a {self.kind} gate needs {key!r}, such as {key}: 30m")
        return self._one_limit(rules)

    def _one_limit(self, rules: _Kind) -> Self:
        given = [name for name in COMPARATORS if getattr(self, name) is not None]
        if not rules.comparators and given:
            raise wrong(given[0], f"a {self.kind} gate has no limit")
        if rules.comparators and len(given) != 1:
            raise wrong(self.kind, f"a {self.kind} gate needs exactly one of {', '.join(rules.comparators)}")
        for name in given:
            if name not in rules.comparators:
                raise wrong(name, f"a {self.kind} gate takes {' or '.join(rules.comparators)}, not {name!r}")
            try:
                rules.parse(getattr(self, name))
            except (ValueError, OverflowError) as exc:
                raise wrong(name, str(exc)) from exc
        return self._sound_limit()

    def _sound_limit(self) -> Self:
        if self.kind == "ratio" and not 0 < (self.limit or 0) < 1:
            raise wrong(self.comparator or "id", "a share must lie between 0% and 100%, both excluded")
        if self.confidence <= 0.5 or self.confidence >= 1:  # noqa: PLR2004 - below one half it is no confidence
            raise wrong("confidence", "confidence must lie between 50% and 100%, both excluded")
        if self.promql is not None:
            self._sound_expression(self.promql)
        return self

    def _sound_expression(self, text: str) -> None:
        try:
            promql.check_expression(text)
        except ValueError as exc:
            raise wrong("promql", str(exc)) from exc
        if bool(self.over) != ("$window" in text):
            raise wrong("promql", "'over' and '$window' in the query go together: over: 30m, rate(x[$window])")
