"""The three endpoints judge a stage alike: the same stages, suggestions, headers and refusals, whatever the endpoint.

In every mode on the preview, for cohorts of the canary's own, so that nobody else notices; and as they are on the
serving instances, for everybody and for the canary. ``endpoints.SPELLINGS`` says what each is.
Strategies that are accepted are stored for fund 8, with a name that begins with "synthetic".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from canaries.stage_normalization.endpoints import COHORT_FLAG, ENDPOINTS, MODES, SPELLINGS, Mode, UnclearError
from canaries.stage_normalization.instances import COHORTS, SPREAD_SECONDS, Instance, require, until
from pytest_rollout.flags.writer import FlagWriter

pytestmark = pytest.mark.canary("consistency")

ACTOR = "canary consistency"
OWN = {mode: f"consistency-{mode}" for mode in MODES}
"""A cohort for each mode."""


@pytest.fixture
def in_every_mode(preview_flags: FlagWriter, preview: tuple[Instance, ...]) -> Iterator[tuple[Instance, ...]]:
    """Return the preview with the canary's cohorts in their modes; afterwards its flags are as they were."""
    with cohorts_in_every_mode(preview_flags, preview):
        yield preview


@contextmanager
def cohorts_in_every_mode(flags: FlagWriter, instances: tuple[Instance, ...]) -> Iterator[None]:
    """Put a cohort into each mode; afterwards the flags are as they were, or AssertionError."""
    _clear(flags, "clear what a killed run left")
    before = flags.snapshot()
    try:
        for mode, cohort in OWN.items():
            flags.set(COHORT_FLAG, mode, cohort, actor=ACTOR, reason="a cohort for each mode")
        require(f"after {SPREAD_SECONDS:g} s", until(lambda: _not_there(instances), SPREAD_SECONDS))
        yield
    finally:
        _clear(flags, "over")
    assert flags.snapshot() == before, "the preview's flags were not put back"


def _clear(flags: FlagWriter, reason: str) -> None:
    for cohort in OWN.values():
        flags.remove(COHORT_FLAG, cohort, actor=ACTOR, reason=reason)


def test_endpoints_agree_in_every_mode(in_every_mode: tuple[Instance, ...], name: str) -> None:
    """Every instance of the preview takes every spelling for what it is, at every endpoint, in every mode."""
    asked = [(one, mode) for one in in_every_mode for mode in MODES]
    require("preview", [line for one, mode in asked for line in disagreeing(one, OWN[mode], mode, name)])


def test_endpoints_agree_as_they_serve(serving: tuple[Instance, ...], name: str) -> None:
    """So does every serving instance, for everybody and for the canary, in the modes that it is in."""
    require("serving", [line for one in serving for cohort in COHORTS for line in _disagreeing(one, cohort, name)])


def _disagreeing(instance: Instance, cohort: str, name: str) -> list[str]:
    modes = instance.said_modes()
    return disagreeing(instance, cohort, {one.name: modes[one.name, cohort] for one in ENDPOINTS}, name)


def disagreeing(instance: Instance, cohort: str, modes: Mode | dict[str, Mode], name: str) -> list[str]:
    """Return where an endpoint does not say of a spelling what all of them have to say in its mode."""
    wrong = []
    for endpoint in ENDPOINTS:
        mode = modes if isinstance(modes, str) else modes[endpoint.name]
        for spelling in SPELLINGS:
            expected = spelling.expected(mode)
            try:
                found = instance.finding(endpoint, spelling, cohort, name)
            except UnclearError as error:
                wrong.append(str(error))
                continue
            if found != expected:
                wrong.append(f"{instance.url} in {mode}: {endpoint.name} has {spelling.text!r} {found}, not {expected}")
    return wrong


def _not_there(preview: Sequence[Instance]) -> list[str]:
    told = {one.url: one.get("/api/internal/modes")["modes"] for one in preview}
    return [
        f"{url} has {cohort} not in {mode} at {endpoint.name}"
        for url, modes in told.items()
        for mode, cohort in OWN.items()
        for endpoint in ENDPOINTS
        if modes[endpoint.name].get(cohort) != mode
    ]
