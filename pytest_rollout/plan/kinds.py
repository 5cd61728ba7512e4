"""What each kind of gate asks about."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pytest_rollout import units
from pytest_rollout.plan import promql
from pytest_rollout.plan.fields import Expression, Metric, Selector, Zero
from pytest_rollout.plan.schedule import Schedule
from pytest_rollout.plan.strict import Duration, Name, Share, Strict, wrong

HistoryForm = Literal["passes", "consecutive", "success", "quiet"]
_SLOT_FORMS: tuple[HistoryForm, ...] = ("consecutive", "success", "quiet")


def _before(value: object) -> object:
    return value if value in (None, "flip") else units.parse_duration(value)


class Ratio(Strict):
    """Bad (or good) requests over all requests, counted."""

    bad: Selector | None = None
    good: Selector | None = None
    """Instead of ``bad``: what is good of ``total``; the rest is bad."""
    total: Selector
    absent_is: Zero | None = None
    """Whether ``bad`` without any series is zero, although it is not a part of ``total``."""

    @property
    def part(self) -> str:
        """What is set against ``total``: ``bad``, or ``good``."""
        return self.bad or self.good or ""

    @model_validator(mode="after")
    def _one_part(self) -> Self:
        if (self.bad is None) == (self.good is None):
            raise wrong("good" if self.good else "total", "a ratio has exactly one of 'bad' and 'good' beside 'total'")
        if self.good is not None and self.absent_is is not None:
            raise wrong("absent_is", "'absent_is' goes with 'bad'; no good ones at all are never well")
        return self


class Quantile(Strict):
    """A quantile of a histogram, judged as the share of requests slower than the limit."""

    q: float = Field(gt=0, lt=1)
    of: Metric
    """The histogram's name without ``_bucket``."""
    where: str = ""
    """Matchers, such as ``cohort="admin"``."""

    @property
    def selector(self) -> str:
        """The selector of its buckets."""
        return f"{self.of}_bucket{{{self.where}}}"

    @property
    def native(self) -> str:
        """The selector of the histogram itself, if it is a native one."""
        return f"{self.of}{{{self.where}}}"

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

    of: Selector
    absent_is: Zero | None = None
    """Whether a counter without any series is zero, although no process is known to export it."""


class CanaryHistory(Strict):
    """What the record of a canary has to show. Exactly one form, and all but ``passes`` need a schedule."""

    name: Name
    passes: int = Field(default=1, ge=1, strict=True)
    """So many passes in a row."""
    across: Duration = 0.0
    """With ``passes``: the first and the last at least this far apart."""
    consecutive: int | None = Field(default=None, ge=2, strict=True)
    """So many slots in a row passed."""
    success: Share | None = None
    """At least this share of all slots of ``over`` passed."""
    over: Duration | None = None
    quiet: Duration | None = None
    """Every slot of this stretch of time passed."""
    flaky: int = Field(default=0, ge=0, strict=True)
    """How many slots may have passed only after a fault of the transport."""
    deadline: Duration = 120.0
    """How long one run may take, not scaled; only without a schedule, which has its own."""

    @property
    def form(self) -> HistoryForm:
        """The one form that is given."""
        return next((name for name in _SLOT_FORMS if getattr(self, name) is not None), "passes")

    @property
    def wanted(self) -> int:
        """How many passes in a row, for the forms that want a row."""
        return self.consecutive or self.passes

    @property
    def share(self) -> float:
        """The share of the slots of ``window`` that have to pass."""
        return 1.0 if self.success is None else self.success

    @property
    def window(self) -> float:
        """Seconds whose every slot is looked at; 0 for the forms that want a row."""
        return self.over or self.quiet or 0.0

    def misfit(self, schedule: Schedule | None) -> tuple[str, str] | None:
        """Return the key that does not go with the canary's schedule, and why."""
        if schedule is not None:
            return self._misfit_of(schedule)
        for key in (*_SLOT_FORMS, "flaky"):
            if getattr(self, key):
                said = f"{key!r} counts slots, and the canary {self.name!r} has no schedule"
                return key, f"{said}; add it to the plan: canaries: {{{self.name}: {{every: 15m}}}}"
        return None

    def _misfit_of(self, schedule: Schedule) -> tuple[str, str] | None:
        if "deadline" in self.model_fields_set:
            return "deadline", f"the canary {self.name!r} has a schedule; give its deadline there"
        if 0 < self.window < schedule.every:
            key = "quiet" if self.over is None else "over"
            every = units.format_duration(schedule.every)
            return key, f"the canary {self.name!r} runs every {every}, so this may hold no slot; take {every} or more"
        return None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        forms = ("passes", *_SLOT_FORMS)
        given = [name for name in forms if name in self.model_fields_set and getattr(self, name) is not None]
        if len(given) > 1:
            raise wrong(given[1], f"a canary gate has exactly one of {', '.join(forms)}")
        if self.across and self.form != "passes":
            raise wrong("across", f"'across' goes with 'passes', not with {self.form!r}")
        if self.across and self.passes == 1:
            raise wrong("across", "one pass cannot be spread; write passes: 2 or more")
        if self.over is not None and self.success is None:
            raise wrong("over", "'over' goes with 'success', such as success: 99.5%")
        return self._something_asked()

    def _something_asked(self) -> Self:
        if self.success is not None and self.over is None:
            raise wrong("success", "a share needs 'over', such as over: 7d")
        for key in ("success", "over", "quiet"):
            if getattr(self, key) == 0:
                raise wrong(key, f"{key!r} of nothing asks for nothing")
        return self


class Attest(Strict):
    """A question that a named person has to answer."""

    question: str
    """One that "yes" is the good answer to."""
    expires: Duration = 86400.0
    """How long an answer holds at most."""
    two_people: bool = False
    """Whether it must be somebody else than who made the change."""

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if not self.question.strip():
            raise wrong("question", "say what is asked")
        if self.expires <= 0:
            raise wrong("expires", "an answer has to hold for longer than nothing")
        return self


class Compared(Strict):
    """One side of a comparison: exactly one of three."""

    ratio: Ratio | None = None
    quantile: Quantile | None = None
    values: Expression | None = None
    """One series whose values over time are compared by the Mann-Whitney test."""

    @property
    def kind(self) -> str:
        """``ratio``, ``quantile`` or ``values``."""
        return next(name for name in ("ratio", "quantile", "values") if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in ("ratio", "quantile", "values") if getattr(self, name) is not None]
        if len(given) != 1:
            key = given[1] if given else "ratio"
            raise wrong(key, "compare exactly one of ratio, quantile, values")
        return self


class Baseline(Strict):
    """Now against before, or against a control cohort: not worse by more than the gate's ``at_most``."""

    now: Compared
    control: Compared | None = None
    """What it is compared with in the same window."""
    before: Annotated[float | Literal["flip"] | None, BeforeValidator(_before)] = None
    """Or: the same question this long ago, or in a window of the same length that ends at the flip."""
    absolute: str | None = None
    """A difference this small never counts: a share for a ratio, a duration for a quantile."""
    direction: Literal["increase", "decrease", "either"] = "increase"
    """Which way ``values`` become worse."""

    @property
    def least_effect(self) -> float:
        """``absolute`` in base units; 0 if it is not given."""
        if self.absolute is None:
            return 0.0
        return units.parse_share(self.absolute) if self.now.kind == "ratio" else units.parse_duration(self.absolute)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.control is None) == (self.before is None):
            raise wrong("now", "compare with exactly one of 'control' and 'before'")
        if self.before == 0:
            raise wrong("before", "a baseline must lie earlier; write before: 24h, or before: flip")
        if self.control is not None and self.control.kind != self.now.kind:
            raise wrong("control", f"'now' is a {self.now.kind}, so 'control' must be one too")
        asked = {side.quantile.q for side in (self.now, self.control) if side and side.quantile}
        if len(asked) > 1:
            raise wrong("control", "both sides must ask for the same quantile")
        if self.now.kind == "values" and self.absolute is not None:
            raise wrong("absolute", "a comparison of values is relative; leave out 'absolute'")
        if self.now.kind != "values" and "direction" in self.model_fields_set:
            raise wrong("direction", f"a {self.now.kind} only becomes worse by rising; leave out 'direction'")
        try:
            _ = self.least_effect
        except ValueError as exc:
            raise wrong("absolute", str(exc)) from exc
        return self


class BurnPair(Strict):
    """Two windows that must both burn before it counts."""

    long: Duration
    short: Duration
    factor: float = Field(gt=0)
    """How many times faster than the budget allows."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not 0 < self.short < self.long:
            raise wrong("short", "the short window must be shorter than the long one")
        return self


class Burn(Strict):
    """How fast the error budget of an objective burns, in pairs of windows (Google SRE Workbook, chapter 5)."""

    bad: Selector
    total: Selector
    absent_is: Zero | None = None
    objective: Share
    """Share of requests that must be good, such as 99.9%."""
    pairs: tuple[BurnPair, ...] = Field(
        default=(
            BurnPair.model_construct(long=3600.0, short=300.0, factor=14.4),
            BurnPair.model_construct(long=21600.0, short=1800.0, factor=6.0),
        ),
        min_length=1,
    )

    @property
    def ratio(self) -> Ratio:
        """The ratio whose budget burns."""
        return Ratio(bad=self.bad, total=self.total, absent_is=self.absent_is)

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if not 0 < self.objective < 1:
            raise wrong("objective", "an objective must lie between 0% and 100%, both excluded")
        for pair in self.pairs:
            if pair.factor * (1 - self.objective) >= 1:
                raise wrong("pairs", f"{pair.factor:g} times a budget of {1 - self.objective:.3%} can never be burnt")
        return self
