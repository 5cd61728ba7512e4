"""Propose matchers for what is not the same every time. Nothing is applied: a person takes over what is right.

Learned for each place in a list first and generalised afterwards: with all places thrown together, a constant
that differs between the entries looks volatile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pytest_rollout.golden.bodies import Trial
from pytest_rollout.golden.compare import Rules
from pytest_rollout.golden.exact import MISSING, equal, kind_of, write_exact
from pytest_rollout.golden.finding import shown
from pytest_rollout.golden.matchers import Moment, Uuid
from pytest_rollout.golden.matching import Scene, differences
from pytest_rollout.golden.observation import Observation
from pytest_rollout.golden.pointer import Path, lookup, write_pattern
from pytest_rollout.golden.schemas import is_integer

LEAST = 5
"""Observations; two in one second do not show that a time changes."""
SPAN = 2.0
"""Seconds that they have to be spread over."""
Place: TypeAlias = tuple[str | None, ...]
"""A path in which None stands for every entry of a list."""
_WITHIN = "5m"
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Proposal:
    """A matcher that would make the observations agree at a place, and some of what was there."""

    pointer: str
    matcher: Mapping[str, Any]
    examples: tuple[str, ...]

    @property
    def line(self) -> str:
        """The proposal as a line of a case's ``match``, with what was seen."""
        return f'"{self.pointer}": {write_exact(dict(self.matcher))}  (seen: {", ".join(self.examples)})'


class TooFewToLearn(ValueError):  # noqa: N818 - read as a state
    """The observations cannot show what is volatile."""


def learn(trial: Trial, mode: str, observations: Sequence[Observation]) -> list[Proposal]:
    """Return matchers for the places that differ and have none yet. Raises TooFewToLearn."""
    seen = [one for one in observations if one.reply is not None and one.reply.json_or_missing() is not MISSING]
    spread = max((one.sent_at for one in seen), default=0.0) - min((one.sent_at for one in seen), default=0.0)
    if len(seen) < LEAST or spread < SPAN:
        said = f"{len(seen)} observations within {spread:.1f} s"
        raise TooFewToLearn(f"{trial.case.id}: {said}; at least {LEAST} over {SPAN:g} s are needed")
    bodies = [one.reply.json() for one in seen if one.reply is not None]
    moments = [one.sent_at for one in seen]
    found: dict[Place, dict[str, Any]] = dict(_volatile(bodies, moments, trial.rules(mode), ()))
    return [_proposal(place, matcher, bodies) for place, matcher in _generalised(found, bodies).items()]


def _volatile(
    values: Sequence[Any], moments: Sequence[float], rules: Rules, path: Path
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield places that differ, with a matcher for each; what has a matcher already is passed over."""
    if rules.best(path) is not None or all(equal(values[0], value) for value in values):
        return
    kinds = {kind_of(value) for value in values}
    if kinds == {"object"} or (kinds == {"array"} and len({len(value) for value in values}) == 1):
        for token in dict.fromkeys(token for value in values for token in _tokens(value)):
            inner = [lookup(value, (token,)) for value in values]
            yield from _volatile(inner, moments, rules, (*path, token))
    else:
        yield path, _matcher(values, moments, kinds)


def _tokens(value: Any) -> list[str]:
    return list(value) if isinstance(value, dict) else [str(place) for place in range(len(value))]


def _matcher(values: Sequence[Any], moments: Sequence[float], kinds: set[str]) -> dict[str, Any]:
    if "absent" in kinds:
        return {"is": "ignore", "why": "it is not always there"}
    if len(kinds) > 1:
        return {"is": "ignore", "why": f"its type changes: {', '.join(sorted(kinds))}"}
    if _all(Uuid.model_validate({"is": "uuid"}), values, moments):
        return {"is": "uuid"}
    if _all(Moment.model_validate({"is": "rfc3339", "within": _WITHIN}), values, moments):
        return {"is": "rfc3339", "within": _WITHIN}
    if _all(Moment.model_validate({"is": "rfc3339"}), values, moments):
        return {"is": "rfc3339"}
    (kind,) = kinds
    return {"is": "type", "type": "integer" if all(map(is_integer, values)) else kind}


def _all(matcher: Uuid | Moment, values: Sequence[Any], moments: Sequence[float]) -> bool:
    return not any(
        True
        for value, moment in zip(values, moments, strict=True)
        for _ in differences(matcher, MISSING, value, Scene(sent_at=moment))
    )


def _generalised(found: Mapping[Place, dict[str, Any]], bodies: Sequence[Any]) -> dict[Place, dict[str, Any]]:
    """Return the places with a wildcard for a list of which every entry is volatile in the same way."""
    for place in sorted(found, key=len):
        for depth in range(len(place)):
            siblings = _siblings(place, depth, bodies)
            if len(siblings) > 1 and all(found.get(one) == found[place] for one in siblings):
                kept = {one: matcher for one, matcher in found.items() if one not in siblings}
                general = (*place[:depth], None, *place[depth + 1 :])
                return _generalised({**kept, general: found[place]}, bodies)
    return dict(found)


def _siblings(place: Place, depth: int, bodies: Sequence[Any]) -> list[Place]:
    """Return a place for each entry of the list that one token is in; none if it is no place in a list."""
    entries = lookup(bodies[0], _first(place[:depth]))
    if place[depth] is None or not isinstance(entries, list):
        return []
    return [(*place[:depth], str(number), *place[depth + 1 :]) for number in range(len(entries))]


def _first(place: Place) -> Path:
    return tuple("0" if token is None else token for token in place)


def _proposal(place: Place, matcher: dict[str, Any], bodies: Sequence[Any]) -> Proposal:
    pointer = "".join("/*" if token is None else write_pattern((token,)) for token in place)
    return Proposal(pointer, matcher, tuple(shown(lookup(body, _first(place))) for body in bodies[:_EXAMPLES]))
