"""What the API does at each joint where a fault can change it; the defaults are what it ought to do."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sandbox.normalization import deprecation, metrics, stages, validation, weights
from sandbox.normalization.answers import Body, Refusal
from sandbox.normalization.deprecation import Headers
from sandbox.normalization.modes import EVERYBODY, Endpoint, Mode
from sandbox.normalization.validation import Find, Findings


def _once(_event: str) -> int:
    return 1


def _recognised(_endpoint: Endpoint, _sent: Sequence[str], findings: Findings) -> tuple[str, ...]:
    return findings.stages


@dataclass(frozen=True)
class Behaviour:
    """One function per joint; a fault replaces one of them."""

    cohort: Callable[[str | None], str] = lambda header: header or EVERYBODY
    """The cohort whose mode a request meets, from its header x-cohort."""
    mode: Callable[[Endpoint, Mode], Mode] = lambda _endpoint, mode: mode
    """The mode a request is treated in."""
    hears: Callable[[int], bool] = lambda _instance: True
    """Whether an instance takes up changes of the mode."""
    delay: Callable[[float], float] = lambda seconds: seconds
    """After how many seconds it does."""
    gauge: Callable[[Mode], float] = lambda mode: float(mode.level)
    """What the mode gauges show."""
    recognise: Find = stages.recognise
    """The canonical stage of a text in a request, for the validator."""
    nearest: Find = stages.nearest
    """The suggestion for an unknown text."""
    examine: Callable[[Sequence[str], Find, Find], Findings] = validation.examine
    """The validator."""
    clock: Callable[[], float] = time.thread_time
    """What a validation is timed with, in seconds.

    The time of its own thread: a busy machine that lets others go first would show as a slow validator.
    """
    adds_up: Callable[[Mode, Iterable[Decimal]], bool] = lambda _mode, shares: weights.is_one(shares)
    """Whether shares sum to 1."""
    names: Callable[[Endpoint, Sequence[str], Findings], tuple[str, ...]] = _recognised
    """The stages a request is served with in warn and enforce."""
    results: Callable[[Mode, Body], Body] = lambda _mode, results: results
    """What a simulation answers."""
    headers: Callable[[Endpoint, Headers, Findings], Headers] = lambda _endpoint, headers, _findings: headers
    """The headers of an answer to unknown stages."""
    refuse: Callable[[Endpoint, Refusal, str], Refusal] = lambda _endpoint, refusal, _request: refusal
    """The answer to a request that is refused, given its body or query."""
    stores_first: bool = False
    """Whether a strategy is stored before its stages are looked at."""
    matches: Callable[[str, str], bool] = lambda asked, stored: stages.known_as(asked) == stages.known_as(stored)
    """Whether a filter finds a stored stage."""
    resume: Callable[[int, int], int] = lambda last, _following: last
    """The id after which the next page starts, of the last row shown and the row after it."""
    counts: Callable[[str], int] = _once
    """How often a result (ok, warn, reject), a header or an error is counted."""
    endpoint_label: Callable[[Endpoint, str], str] = lambda endpoint, _path: endpoint.template
    """The label of the endpoint a path belongs to."""
    cardinality: Callable[[int], str] = metrics.cardinality
    """The label of a number of entries."""
    describe: Callable[[Body], Body] = lambda document: document
    """The OpenAPI document."""
    deprecations: Callable[[], Body] = deprecation.listing
    """What GET /api/deprecations answers."""
    rolls_back: bool = True
    """Whether the previous release is really without the validator."""
    lag: Callable[[str], float] = lambda _cohort: 0.0
    """How many seconds an answer to a cohort is held back; the label main, canary or other."""
    hidden: tuple[str, ...] = ()
    """The metrics that are not exposed, by their names in Metrics."""
    observable: bool = True
    """Whether /metrics answers."""
    flags_known: bool = True
    """Whether the flag service answers."""
