"""A Monte Carlo simulation that gives the same answer to the same question, always."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.normalization.stages import CANONICAL, recognise
from sandbox.normalization.weights import total

_PERCENTILES = (5, 25, 50, 75, 95)
_DIGITS = 6
_USUAL_YEARS = 10


@dataclass(frozen=True)
class _Profile:
    """The share of companies lost, and the log-normal multiple of the others after ten years."""

    lost: float
    growth: float
    spread: float


_PROFILES = {
    "pre-seed": _Profile(0.65, 1.6, 1.2),
    "seed": _Profile(0.55, 1.4, 1.1),
    "series-a": _Profile(0.40, 1.1, 0.9),
    "series-b": _Profile(0.30, 0.9, 0.7),
    "series-c": _Profile(0.20, 0.7, 0.6),
    "series-c+": _Profile(0.15, 0.5, 0.5),
}
_UNCLASSIFIED = _Profile(0.40, 1.0, 0.8)


def mix(entries: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    """Return the summed weight per recognised stage, in canonical order; what is not recognised goes under ``""``."""
    weights: dict[str, list[Decimal]] = {stage: [] for stage in (*CANONICAL, "")}
    for text, weight in entries:
        weights[recognise(text) or ""].append(weight)
    return {stage: total(parts) for stage, parts in weights.items() if parts}


def simulate(fund: int, runs: int, years: int, weights: Mapping[str, Decimal]) -> dict[str, Any]:
    """Return mean, percentiles and the share of runs that lose money, of the multiple of the money invested."""
    question = [fund, runs, years, *(f"{stage}={weight.normalize()}" for stage, weight in weights.items())]
    chance = random.Random("|".join(map(str, question)))
    parts = [(float(weight), _PROFILES.get(stage, _UNCLASSIFIED)) for stage, weight in weights.items()]
    multiples = sorted(
        sum(weight * _multiple(profile, years, chance) for weight, profile in parts) for _ in range(runs)
    )
    return {
        "mean": round(sum(multiples) / runs, _DIGITS),
        "lossProbability": round(sum(multiple < 1 for multiple in multiples) / runs, _DIGITS),
        "percentiles": [
            {"percentile": percent, "value": round(multiples[max(0, -(-runs * percent // 100) - 1)], _DIGITS)}
            for percent in _PERCENTILES
        ],
    }


def _multiple(profile: _Profile, years: int, chance: random.Random) -> float:
    if chance.random() < profile.lost:
        return 0.0
    return chance.lognormvariate(profile.growth * years / _USUAL_YEARS, profile.spread)
