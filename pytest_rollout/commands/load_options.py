"""From the options of ``rollout load`` to the gate that a plan would have, and from its errors back to the options."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError

from pytest_rollout.errors import PlanError
from pytest_rollout.latency import LoadTerms
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.latency import QUANTILES
from pytest_rollout.plan.lint import lint_gate
from pytest_rollout.plan.variables import Unset, filled

Options: TypeAlias = Mapping[str, str | int | None]
"""By what is typed, without the dashes before it; None if it is not given."""
Aside: TypeAlias = Callable[[str], None]
_ALIKE = (
    *("rate", "users", "for", "arrivals", "warm-up", "drain", "extend", "workers", "bind", "of", "name"),
    *("control", "candidate"),
)
"""Options that a latency gate of a plan has by the same name, with ``_`` for ``-``."""
_SIDES = ("control", "candidate")
_ADDRESS = re.compile(r"https?://[^\s/]+\S*")
_ANY_NUMBER = {"at_most": 1_000_000_000}
"""Failed requests: as many as a gate can allow, and more than a load has."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What options ask for."""

    name: str
    terms: LoadTerms
    judged: bool
    """Whether there is any limit. If not, the terms have one that no load breaks, so that its soundness is judged."""


def wanted(locustfile: str, options: Options, aside: Aside) -> Wanted:
    """Return what options ask for; what may be wrong with it is told aside. Raises PlanError for what is."""
    if options["rate"] is None and options["users"] is None:
        raise PlanError("--rate: say how many arrivals there are, such as --rate 50/s; or give --users")
    limits = _limits(options)
    gate = _gate(locustfile, {**_alike(options), **(limits or {"errors": _ANY_NUMBER})}, options["confidence"])
    findings = list(lint_gate(gate, ()))
    wrong = [f"{_option(one.place[1:])}: {one.message}; {one.hint}" for one in findings if one.severity == "error"]
    if wrong or gate.latency is None:
        raise PlanError("\n".join(wrong))
    for one in findings if limits else ():
        aside(f"warning: {one.message}; {one.hint}")
    return Wanted(gate.id, LoadTerms(asked=gate.latency, confidence=gate.confidence), judged=bool(limits))


def _gate(locustfile: str, latency: dict[str, Any], confidence: object) -> Gate:
    sure = {} if confidence is None else {"confidence": confidence}
    try:
        return Gate.model_validate({"id": _name(locustfile), "latency": {"locustfile": locustfile, **latency}, **sure})
    except ValidationError as exc:
        raise PlanError("\n".join(map(_fault, exc.errors()))) from None


def target_of(target: str | None, options: Options, variables: Mapping[str, str]) -> str:
    """Return where the load goes: to the candidate, if nothing else is said. Raises PlanError."""
    given = {"target": target, **{side: options[side] for side in _SIDES}}
    known = {name: _address(name, str(text), variables) for name, text in given.items() if text is not None}
    if not (address := known.get("target") or known.get("candidate")):
        raise PlanError("--target: say where the load goes, such as --target http://127.0.0.1:8000")
    return address


def _address(option: str, text: str, variables: Mapping[str, str]) -> str:
    try:
        address = filled(text, variables)
    except Unset as exc:
        raise PlanError(f"--{option}: the environment variable {exc.name} is not set; export it") from None
    if not _ADDRESS.fullmatch(address):
        raise PlanError(f"--{option}: write an address with its scheme, such as http://127.0.0.1:8000")
    return address


def _name(locustfile: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", Path(locustfile).stem.lower()).strip("-._") or "load"


def _alike(options: Options) -> dict[str, Any]:
    given = {name.replace("-", "_"): options[name] for name in _ALIKE if options[name] is not None}
    return given | {side: {"url": given[side]} for side in _SIDES if side in given}


def _limits(options: Options) -> dict[str, Any]:
    limits = {name: _limit(options[name], options[f"{name}-worse"], options["absolute"]) for name in QUANTILES}
    limits["errors"] = _limit(options["errors"], options["failures"])
    if options["absolute"] is not None and not any("absolute" in limit for limit in limits.values()):
        raise PlanError("--absolute: a difference between two sides; give --p95-worse or the like, too")
    return {name: limit for name, limit in limits.items() if limit}


def _limit(below: object, at_most: object, absolute: object = None) -> dict[str, Any]:
    there = {"below": below, "at_most": at_most, "absolute": None if at_most is None else absolute}
    return {key: value for key, value in there.items() if value is not None}


# --- errors of the plan's words, in the words of the options ---


def _fault(error: Any) -> str:
    context = error.get("ctx", {})
    place = [*error["loc"], *context.get("path", ())]
    path = tuple(str(step) for step in (place[1:] if place[0] == "latency" else place))
    said = str(context.get("message") or context.get("error") or error["msg"])
    return f"{_option(path)}: {_spoken(said, path[0])}"


def _option(path: tuple[str | int, ...]) -> str:
    """Return the option that a key of the plan comes from."""
    if path[0] == "locustfile":
        return "LOCUSTFILE"
    return _words(str(path[0])).get(str(path[-1]), f"--{path[0]}")


def _words(key: str) -> dict[str, str]:
    """Return the options for keys of the plan, as they are meant at one of them."""
    words = {name.replace("-", "_"): f"--{name}" for name in (*_ALIKE, "absolute", "confidence", "errors", *QUANTILES)}
    if key == "errors":
        return words | {"below": "--errors", "at_most": "--failures"}
    return words | {"below": f"--{key}", "at_most": f"--{key}-worse"}


def _spoken(said: str, key: str) -> str:
    """Return a message with options for ``'keys'`` and for ``key: value``."""
    names = "|".join(sorted(words := _words(key), key=len, reverse=True))
    said = re.sub(rf"'({names})'", lambda found: words[found[1]], said)
    return re.sub(rf"\b({names}): (?=\S)", lambda found: f"{words[found[1]]} ", said)
