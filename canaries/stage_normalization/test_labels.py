"""Labels are bounded: nothing that a client makes up gets into a series of any serving instance.

About sixty odd requests are sent to every instance, then as many of the same kinds with other texts, ids and cohorts.
The first may add series that a first request adds; the second may not add a single one. Strategies that are accepted
are stored for fund 8, with a name that begins with "synthetic".
"""

from __future__ import annotations

import pytest

from canaries.stage_normalization.instances import CANARY, EVERYBODY, Instance, UnusableError, require
from canaries.stage_normalization.labels import growth, series, still, wrong_labels
from canaries.stage_normalization.odd import COHORTS, odd_requests

pytestmark = pytest.mark.canary("labels")

_TOO_MANY, _FAULTS = 429, 500


def test_odd_requests_add_no_series(serving: tuple[Instance, ...], name: str) -> None:
    """All families are there, every value is a known one, and the second round of odd requests adds nothing."""
    assert name
    for instance in serving:
        require(instance.url, _wrong(instance))


def _wrong(instance: Instance) -> list[str]:
    before = instance.exposition()
    _send(instance, 1)
    known = instance.exposition()
    _send(instance, 2)
    after = instance.exposition()
    unmoved = [*still(before, known), *still(known, after)]
    return [*wrong_labels(after), *growth(series(known), series(after)), *unmoved]


def _send(instance: Instance, turn: int) -> None:
    """Send a round. Raises UnusableError if a request is turned away before anybody has looked at it."""
    cohorts = [EVERYBODY, CANARY, *(cohort.format(turn) for cohort in COHORTS)]
    for number, ask in enumerate(odd_requests(turn)):
        answer = instance.send(ask, cohorts[number % len(cohorts)])
        if answer.status == _TOO_MANY or answer.status >= _FAULTS:
            raise UnusableError(f"{instance.url}: round {turn}, {ask.method} {ask.path} was answered {answer}")
