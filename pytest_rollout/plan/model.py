"""What a plan may say. All durations in seconds, shares between 0 and 1."""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from pytest_rollout import units
from pytest_rollout.plan import promql

Duration = Annotated[float, BeforeValidator(units.parse_duration)]
Share = Annotated[float, BeforeValidator(units.parse_share)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
Comparator = Literal["below", "at_most", "above", "at_least"]


def wrong(key: str, message: str) -> PydanticCustomError:
    """Return an error that points at one key of the mapping under validation."""
    return PydanticCustomError("at_key", "{message}", {"key": key, "message": message})


def did_you_mean(word: str, known: list[str]) -> str:
    """Return ``; did you mean 'x'?`` or the list of what is known."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"


class Strict(BaseModel):
    """Frozen, and no key is ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        known = sorted(cls.model_fields)
        for key in data if isinstance(data, dict) else ():
            if key not in cls.model_fields:
                raise wrong(key, f"unknown key {key!r}; {did_you_mean(key, known)}")
        return data


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


class FlagExpectation(Strict):
    """What a flag has to be while the stage is judged."""

    value: bool
    cohort: str = "*"


class Stage(Strict):
    """A step of the rollout: everything that must hold before the next one's flag is flipped."""

    stage: int = Field(ge=0)
    name: str
    flags: dict[str, FlagExpectation] = {}
    settle: Duration = 0.0
    """Time after the flip that no window includes."""
    gates: tuple[Gate, ...] = Field(min_length=1)

    @property
    def marker(self) -> str:
        """``stage1``: the pytest marker, and the stage's name in every report."""
        return f"stage{self.stage}"

    @model_validator(mode="after")
    def _distinct_ids(self) -> Self:
        ids = [gate.id for gate in self.gates]
        for gate_id in ids:
            if ids.count(gate_id) > 1:
                raise wrong("gates", f"two gates are called {gate_id!r}")
        if "flag-state" in ids:
            raise wrong("gates", "'flag-state' is the name of the check that reads the stage's flags")
        return self


class FlagService(Strict):
    """Where flags are read. The token is never shown."""

    provider: Literal["ofrep"] = "ofrep"
    url: str
    token: str | None = Field(default=None, repr=False)


_ADDRESSES = ("target", "prometheus", "pushgateway", "flags")


class Environment(Strict):
    """Where a stage is judged. ``${NAME}`` is taken from the process environment when it is entered."""

    sandbox: bool = False
    """Start the reference target of this repository and judge that."""
    history: Duration = 0.0
    """Only with sandbox: fill this much history before the first scrape."""
    time_scale: float = Field(default=1.0, ge=1)
    """Divide every duration of the plan by this; the run is then a rehearsal."""
    wait: Duration = 0.0
    """How long to wait for evidence that can still arrive, if ``--rollout-wait`` does not say."""
    scrape_interval: Duration | None = None
    """If Prometheus cannot tell it."""
    target: str | None = None
    prometheus: str | None = None
    pushgateway: str | None = None
    flags: FlagService | None = None

    @model_validator(mode="after")
    def _sandbox_or_addresses(self) -> Self:
        given = [name for name in _ADDRESSES if getattr(self, name) is not None]
        if self.sandbox and given:
            raise wrong(given[0], "a sandbox brings its own addresses")
        if not self.sandbox and self.target is None:
            raise wrong("target", "an environment needs a target, or sandbox: true")
        if self.history and not self.sandbox:
            raise wrong("history", "only a sandbox can be given a history")
        return self


class Plan(Strict):
    """A whole rollout."""

    rollout: Name
    environments: dict[str, Environment] = Field(min_length=1)
    stages: tuple[Stage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct_stages(self) -> Self:
        numbers = [stage.stage for stage in self.stages]
        for number in numbers:
            if numbers.count(number) > 1:
                raise wrong("stages", f"stage {number} is given twice")
        return self


ENV_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
