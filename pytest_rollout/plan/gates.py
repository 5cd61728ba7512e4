"""The kinds of gates, and which keys and units go with each."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, ModelWrapValidatorHandler, PrivateAttr, model_validator

from pytest_rollout import units
from pytest_rollout.plan.fields import Expression
from pytest_rollout.plan.golden import GoldenCorpus
from pytest_rollout.plan.kinds import (
    Attest,
    Baseline,
    Burn,
    CanaryHistory,
    Counter,
    Quantile,
    Ratio,
)
from pytest_rollout.plan.latency import Latency
from pytest_rollout.plan.several import AtLeast, Streak
from pytest_rollout.plan.strict import Duration, Name, Share, Strict, wrong

Comparator = Literal["below", "at_most", "above", "at_least"]
KINDS = (
    *("attestation", "baseline", "burn", "canary", "counter", "golden", "latency", "promql", "quantile", "ratio"),
    "unproven",
)
_RECORDED = frozenset({"attestation", "canary", "golden", "unproven"})
COMPARATORS: tuple[Comparator, ...] = ("below", "at_most", "above", "at_least")


class _Kind(BaseModel):
    """Which keys go with a gate kind, and the unit of its limit."""

    parse: Any = None
    unit: str = ""
    comparators: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()


def _confidence(text: object) -> float | None:
    if text == "point":
        return None
    share = units.parse_share(text)
    if not 0.5 < share < 1:  # noqa: PLR2004 - below one half it is no confidence
        raise ValueError("confidence must lie between 50% and 100%, both excluded, or be 'point'")
    return share


def _quantifier(value: object) -> object:
    if isinstance(value, dict) or value in (None, "all", "any"):
        return value
    raise ValueError(f"{value!r} is not a quantifier; write all, any, or {{at_least: 2}}")


_WATCHED = ("coverage", "max_gap", "restarts", "expect_series", "warnings")
_COUNTED = ("over", *_WATCHED, "by", "quantifier", "streak")
_SHARES = ("confidence", "looks")
_BELOW = ("below", "at_most")
_KIND_RULES = {
    "ratio": _Kind(
        parse=units.parse_share, unit="share", comparators=_BELOW, needs=("over",), takes=(*_COUNTED, *_SHARES)
    ),
    "quantile": _Kind(
        parse=units.parse_duration, unit="seconds", comparators=_BELOW, needs=("over",), takes=(*_COUNTED, *_SHARES)
    ),
    "counter": _Kind(parse=units.parse_count, unit="count", comparators=("at_most",), needs=("over",), takes=_COUNTED),
    "promql": _Kind(
        parse=units.parse_number, comparators=COMPARATORS, takes=tuple(key for key in _COUNTED if key != "restarts")
    ),
    "baseline": _Kind(
        parse=units.parse_share,
        unit="share",
        comparators=("at_most",),
        needs=("over",),
        takes=("over", *_WATCHED, *_SHARES),
    ),
    "burn": _Kind(unit="share", takes=(*_WATCHED, *_SHARES)),
    "attestation": _Kind(),
    "canary": _Kind(unit="passes"),
    "golden": _Kind(unit="passes"),
    "latency": _Kind(takes=("confidence",)),
    "unproven": _Kind(),
}


_GOOD = _KIND_RULES["ratio"].model_copy(
    update={"parse": lambda text: round(1 - units.parse_share(text), 12), "comparators": ("at_least",)}
)
"""A ratio of good ones: its limit is the share that need not be good, so that all shares are judged alike."""

GOLDEN = "golden:"
"""What the runs of a golden gate are filed under, before the gate's id; no canary has such a name."""


class Gate(Strict):
    """One criterion. Exactly one kind, and the limit in the unit of that kind."""

    id: Name
    ratio: Ratio | None = None
    quantile: Quantile | None = None
    counter: Counter | None = None
    promql: Expression | None = None
    baseline: Baseline | None = None
    burn: Burn | None = None
    canary: CanaryHistory | None = None
    golden: GoldenCorpus | None = None
    latency: Latency | None = None
    attestation: Attest | None = None
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
    confidence: Annotated[float | None, BeforeValidator(_confidence)] = 0.95
    """Two-sided confidence of the interval around a share; ``point`` compares the observed share itself.

    Of a latency gate: one-sided, how often a pass has to be right.
    """
    looks: Literal["once", "again"] = "again"
    """``once`` promises that nobody looks a second time after a flip; the bounds are then narrower."""
    restarts: Literal["hold", "charge", "ignore"] = "hold"
    """What a process that began anew or ended inside the window means."""
    expect_series: int | None = Field(default=None, ge=1, strict=True)
    """How many series (with ``by``: groups) there must be at least."""
    warnings: Literal["hold", "allow"] = "hold"
    """What an answer means that Prometheus itself calls partial."""
    by: tuple[str, ...] = ()
    """Labels: one verdict for each of their values."""
    quantifier: Annotated[Literal["all", "any"] | AtLeast | None, BeforeValidator(_quantifier)] = None
    """How many of several verdicts have to pass."""
    streak: Streak | None = None

    TUNING: ClassVar[tuple[str, ...]] = (*_COUNTED, *_SHARES)
    _source: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def source(self) -> dict[str, Any]:
        """What the plan says, word for word, so that the gate can be made again."""
        return self._source

    @model_validator(mode="wrap")
    @classmethod
    def _keep_source(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        gate = handler(data)
        if isinstance(data, dict):
            gate._source = dict(data)  # noqa: SLF001 - its own class
        return gate

    @property
    def kind(self) -> str:
        """The name of the one kind that is given."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def _rules(self) -> _Kind:
        return _GOOD if self.ratio is not None and self.ratio.good is not None else _KIND_RULES[self.kind]

    @property
    def _called(self) -> str:
        good = " with 'good'" if self._rules is _GOOD else ""
        return f"{'an' if self.kind[0] in 'aeiou' else 'a'} {self.kind} gate{good}"

    @property
    def measured(self) -> bool:
        """Whether it is judged from samples, and not from what was recorded."""
        return self.kind not in _RECORDED

    @property
    def filed(self) -> str:
        """What its runs are filed under; empty if it looks at none."""
        return self.canary.name if self.canary else f"{GOLDEN}{self.id}" if self.golden else ""

    @property
    def comparator(self) -> Comparator | None:
        """The one comparator that is given, if the kind has a limit."""
        return next((name for name in COMPARATORS if getattr(self, name) is not None), None)

    @property
    def limit(self) -> float | None:
        """The limit in base units; of a ratio of good ones, the share of those that need not be."""
        rules, comparator = self._rules, self.comparator
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
        return self._fitting_keys(self._rules)

    def _fitting_keys(self, rules: _Kind) -> Self:
        for key in self.TUNING:
            if key in self.model_fields_set and key not in rules.takes:
                raise wrong(key, f"{self._called} does not take {key!r}")
        for key in rules.needs:
            if not getattr(self, key):
                raise wrong(self.kind, f"{self._called} needs {key!r}, such as {key}: 30m")
        return self._one_limit(rules)

    def _one_limit(self, rules: _Kind) -> Self:
        given = [name for name in COMPARATORS if getattr(self, name) is not None]
        if not rules.comparators and given:
            raise wrong(given[0], f"{self._called} has no limit")
        if rules.comparators and len(given) != 1:
            raise wrong(self.kind, f"{self._called} needs exactly one of {', '.join(rules.comparators)}")
        for name in given:
            if name not in rules.comparators:
                raise wrong(name, f"{self._called} takes {' or '.join(rules.comparators)}, not {name!r}")
            try:
                rules.parse(getattr(self, name))
            except (ValueError, OverflowError) as exc:
                raise wrong(name, str(exc)) from exc
        return self._sound_limit()

    def _sound_limit(self) -> Self:
        if self.kind == "ratio" and not 0 < (self.limit or 0) < 1:
            raise wrong(self.comparator or "id", "a share must lie between 0% and 100%, both excluded")
        if self.promql is not None and bool(self.over) != ("$window" in self.promql):
            raise wrong("promql", "'over' and '$window' in the query go together: over: 30m, rate(x[$window])")
        if self.baseline is not None and not self.limit and not self.baseline.least_effect:
            raise wrong("at_most", "equal to the baseline is never proven; allow some per cent, or give 'absolute'")
        if self.baseline is not None and self.baseline.now.kind == "values" and self.confidence is None:
            raise wrong("confidence", "a comparison of values is a test; without any confidence it says nothing")
        return self._sound_groups()

    def _sound_groups(self) -> Self:
        if self.by and self.promql is not None:
            raise wrong("by", "a promql gate has the series that its query gives; aggregate there")
        if self.quantifier is not None and not self.by and self.promql is None:
            raise wrong("quantifier", "a quantifier needs 'by': the labels that tell the groups apart")
        if (self.by or self.quantifier) and self.expect_series is None:
            key = "quantifier" if self.quantifier else "by"
            raise wrong(key, "say expect_series too: a series that vanished must not make the others enough")
        if isinstance(self.quantifier, AtLeast) and self.quantifier.at_least > (self.expect_series or 0):
            raise wrong("quantifier", "more series cannot pass than are expected")
        return self
