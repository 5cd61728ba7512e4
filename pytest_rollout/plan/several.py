"""How several verdicts of one gate become one: of periods in a row, of groups side by side."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from pytest_rollout.plan.strict import Duration, Strict, wrong


class Streak(Strict):
    """The gate has to hold several times: at the end of each of the latest periods."""

    every: Duration
    consecutive: int | None = Field(default=None, ge=2, strict=True)
    at_least: int | None = Field(default=None, ge=1, strict=True)
    of: int | None = Field(default=None, ge=2, strict=True)

    @property
    def wanted(self) -> int:
        """How many periods have to pass."""
        return self.consecutive or self.at_least or 0

    @property
    def periods(self) -> int:
        """Out of how many."""
        return self.consecutive or self.of or 0

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.every <= 0:
            raise wrong("every", "a period must be longer than nothing")
        pair = (self.at_least is not None) + (self.of is not None)
        if (self.consecutive is not None) == (pair == 2) or pair == 1:  # noqa: PLR2004 - both of the pair
            raise wrong("every", "a streak needs either 'consecutive', or 'at_least' and 'of'")
        if self.wanted > self.periods:
            raise wrong("at_least", "more periods cannot pass than are looked at")
        return self


class AtLeast(Strict):
    """How many of several series have to pass."""

    at_least: int = Field(ge=1, strict=True)
