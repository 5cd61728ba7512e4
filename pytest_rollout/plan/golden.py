"""What a golden gate asks about."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Self

from pydantic import Field, model_validator

from pytest_rollout.plan.strict import Duration, Name, Strict, wrong


class GoldenCorpus(Strict):
    """A corpus of golden cases that has to pass, all of it."""

    corpus: str
    """A folder with one endpoint or several, from the root of the project."""
    modes: tuple[Name, ...] = ()
    """Only these, and what they promise together; without them every mode."""
    cases: int = Field(ge=1, strict=True)
    """So many there are: one which is taken away is missed."""
    passes: int = Field(default=1, ge=1, strict=True)
    """So many passes in a row."""
    deadline: Duration = 300.0
    """How long one run may take, not scaled."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        place = PurePosixPath(self.corpus)
        if not self.corpus.strip() or place.is_absolute() or ".." in place.parts:
            raise wrong("corpus", "name a folder from the root of the project, such as golden_payloads")
        if "modes" in self.model_fields_set and not self.modes:
            raise wrong("modes", "no mode at all proves nothing; leave 'modes' out to have every mode")
        if len(set(self.modes)) < len(self.modes):
            raise wrong("modes", "a mode is named twice")
        if self.deadline <= 0:
            raise wrong("deadline", "a run needs some time")
        return self
