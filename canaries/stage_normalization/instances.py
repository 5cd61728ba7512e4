"""The instances of a deployment, each asked by itself: a load balancer would hide the one that is different."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from canaries.stage_normalization.endpoints import (
    ENDPOINTS,
    MODES,
    UNKNOWN,
    Answer,
    Ask,
    Endpoint,
    Finding,
    Mode,
    Spelling,
    UnclearError,
    finding,
    mode_of,
)
from pytest_rollout.sources.flags import FlagReader
from pytest_rollout.sources.http import Http

EVERYBODY, CANARY = "*", "canary"
COHORTS = (EVERYBODY, CANARY)
SPREAD_SECONDS = 5.0
"""How long a flip may take to reach every instance: the API's promise."""
HOLD_POLLS = 3
ASKED = 25
"""How often the front is asked for each instance that is known."""
POLL_SECONDS = 0.1
_GAUGES = {EVERYBODY: "stage_validation_mode", CANARY: "stage_validation_canary_mode"}
_TIMEOUT = 5.0

Modes = Mapping[tuple[str, str], Mode]
"""The mode by endpoint's name and cohort."""
Labels = Mapping[str, str]
Exposition = Mapping[str, tuple[tuple[Labels, float], ...]]
"""The samples of an exposition by family; a family of its ``# TYPE`` alone has none."""


class UnusableError(RuntimeError):
    """The deployment cannot be judged as it is: nothing is known, so nothing passes."""


@dataclass(frozen=True)
class Instance:
    """One process, at an address of its own."""

    client: httpx.Client

    @property
    def url(self) -> str:
        """Its address."""
        return str(self.client.base_url).rstrip("/")

    def send(self, ask: Ask, cohort: str = EVERYBODY) -> Answer:
        """Send a request as a member of a cohort. Raises httpx.HTTPError."""
        headers = {} if cohort == EVERYBODY else {"x-cohort": cohort}
        response = self.client.request(ask.method, ask.path, params=dict(ask.query), json=ask.json, headers=headers)
        names = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, names, _json(response))

    def finding(self, endpoint: Endpoint, spelling: Spelling, cohort: str, name: str) -> Finding:
        """Ask an endpoint about a spelling and return what it says. Raises UnclearError."""
        answer = self.send(endpoint.ask(spelling.text, name=name), cohort)
        try:
            return finding(endpoint, spelling.text, answer)
        except (UnclearError, KeyError, TypeError) as error:
            raise UnclearError(f"{self.url}: {error}") from error

    def get(self, path: str, **query: str) -> Any:
        """Return the JSON of a path. Raises UnusableError unless it is answered 200."""
        response = self.client.get(path, params=query)
        if response.status_code != 200:
            raise UnusableError(f"GET {self.url}{path} answered {response.status_code}")
        return _json(response)

    def exposition(self) -> Exposition:
        """Return its metrics. Raises UnusableError if there are none."""
        response = self.client.get("/metrics")
        if response.status_code != 200:
            raise UnusableError(f"GET {self.url}/metrics answered {response.status_code}, so nothing can be counted")
        families = text_string_to_metric_families(response.text)
        return {one.name: tuple((dict(sample.labels), sample.value) for sample in one.samples) for one in families}

    def said_modes(self) -> Modes:
        """Return the modes that /api/internal/modes says are applied."""
        told = self.get("/api/internal/modes")["modes"]
        return {
            (endpoint.name, cohort): told[endpoint.name].get(cohort, told[endpoint.name][EVERYBODY])
            for endpoint in ENDPOINTS
            for cohort in COHORTS
        }

    def shown_modes(self) -> Modes:
        """Return the modes that the gauges show; a gauge that is not there leaves its mode out."""
        read = self.exposition()
        names = {endpoint.template: endpoint.name for endpoint in ENDPOINTS}
        return {
            (names.get(labels.get("endpoint", ""), "?"), cohort): MODES[int(value)]
            for cohort, family in _GAUGES.items()
            for labels, value in read.get(family, ())
            if value in range(len(MODES))
        }

    def probed_modes(self, places: Iterable[tuple[str, str]], name: str) -> Modes:
        """Return the modes that the endpoints' behaviour tells, by an unknown stage; in off and warn it is stored.

        Raises UnclearError.
        """
        known = {endpoint.name: endpoint for endpoint in ENDPOINTS}
        return {
            (endpoint, cohort): mode_of(self.finding(known[endpoint], UNKNOWN, cohort, name).treated)
            for endpoint, cohort in places
        }


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return response.text


@contextmanager
def fleet(addresses: str) -> Iterator[tuple[Instance, ...]]:
    """Yield the instances at comma-separated addresses. Raises UnusableError if one is given twice, or none is."""
    urls = [part.strip().rstrip("/") for part in addresses.split(",") if part.strip()]
    if not urls or len(urls) != len(set(urls)):
        raise UnusableError(f"{addresses!r} does not name instances, each once; separate base URLs by commas")
    with ExitStack() as stack:
        clients = [stack.enter_context(httpx.Client(base_url=url, trust_env=False, timeout=_TIMEOUT)) for url in urls]
        instances = tuple(map(Instance, clients))
        require_distinct(instances)
        yield instances


def require_distinct(instances: tuple[Instance, ...]) -> None:
    """Raise UnusableError if two addresses are one process: then another one would go unseen."""
    known: dict[str, str] = {}
    for one in instances:
        name = (
            one.send(Ask("GET", "/healthz", {})).headers.get("x-instance") or one.get("/api/internal/modes")["instance"]
        )
        if name in known:
            raise UnusableError(f"{known[name]} and {one.url} are both instance {name}")
        known[name] = one.url


def require_all(front: str, known: Sequence[Instance]) -> None:
    """Raise UnusableError if somebody answers at the front who is not among the known: that one would go unseen."""
    names = {one.get("/api/internal/modes")["instance"] for one in known}
    with httpx.Client(base_url=front, trust_env=False, timeout=_TIMEOUT) as client:
        asked = [Instance(client).send(Ask("GET", "/api/deprecations", {})) for _ in range(ASKED * len(known))]
    seen = {answer.headers.get("x-instance", "") for answer in asked}
    if "" in seen:
        raise UnusableError(f"answers of {front} do not say in x-instance who gave them, so nobody knows them all")
    if unknown := seen - names:
        raise UnusableError(f"instance {min(unknown)} answers at {front} and is not among those that are asked")


def flagged(url: str | None) -> Modes:
    """Return the modes that the flag service wants, without any token. Raises UnusableError."""
    if url is None:
        raise UnusableError("the environment has no flag service, so nobody knows which modes are wanted")
    http = Http()
    try:
        reader = FlagReader(url, http)
        read = {(one.name, cohort): reader.read(one.flag, cohort) for one in ENDPOINTS for cohort in COHORTS}
    finally:
        http.close()
    for reading in read.values():
        if reading.value not in MODES:
            raise UnusableError(f"{reading.flag} is {reading.value!r}, not a mode; {reading.fault}")
    return {place: reading.value for place, reading in read.items()}  # type: ignore[misc]


def wrong_modes(instance: Instance, wanted: Modes, probed: Iterable[tuple[str, str]], name: str) -> list[str]:
    """Return where what an instance says, shows and (at the places to probe) does is not the wanted mode."""
    said, shown, acted = instance.said_modes(), instance.shown_modes(), instance.probed_modes(probed, name)
    told = [("says", said, wanted), ("shows", shown, wanted), ("acts as", acted, {one: wanted[one] for one in acted})]
    return [
        f"{instance.url} {how} {found.get(place, 'nothing')} at {place[0]} for {_whom(place[1])}, expected {mode}"
        for how, found, expected in told
        for place, mode in expected.items()
        if found.get(place) != mode
    ]


def await_modes(instances: tuple[Instance, ...], wanted: Modes, within: float = SPREAD_SECONDS) -> list[str]:
    """Wait until every instance says that it applies the modes, and says so several times; return who does not."""
    return until(
        lambda: [
            f"{one.url} is not in the wanted modes: {_unlike(one.said_modes(), wanted)}"
            for one in instances
            if _unlike(one.said_modes(), wanted)
        ],
        within,
    )


def until(wrong: Callable[[], list[str]], within: float) -> list[str]:
    """Look until nothing is wrong several times in a row; return what was wrong last, after so many seconds."""
    ends, quiet = time.monotonic() + within, 0
    while True:
        found = wrong()
        quiet = 0 if found else quiet + 1
        if quiet >= HOLD_POLLS or (found and time.monotonic() >= ends):
            return found
        time.sleep(POLL_SECONDS)


def _unlike(found: Modes, wanted: Modes) -> str:
    return ", ".join(
        f"{name}@{cohort} is {found.get((name, cohort))}, not {mode}"
        for (name, cohort), mode in wanted.items()
        if found.get((name, cohort)) != mode
    )


def _whom(cohort: str) -> str:
    return "everybody" if cohort == EVERYBODY else f"the cohort {cohort}"


def require(when: str, wrong: list[str]) -> None:
    """Raise AssertionError if anything is wrong; what is wrong first is in its first line, which stays on record."""
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise AssertionError(f"{when}: {wrong[0]}{more}" + "".join(f"\n- {line}" for line in wrong[1:]))
