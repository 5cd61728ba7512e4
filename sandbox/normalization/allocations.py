"""Allocations, name to share, as they are stored: a JSON object with the shares as decimal texts."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal

from sandbox.normalization.stages import recognise
from sandbox.normalization.weights import total


def as_text(shares: Mapping[str, Decimal]) -> str:
    """Return the stored form."""
    return json.dumps({name: str(share) for name, share in shares.items()}, ensure_ascii=False)


def from_text(text: str) -> dict[str, Decimal]:
    """Read the stored form."""
    return {name: Decimal(share) for name, share in json.loads(text).items()}


def merged(entries: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    """Return the shares by name, those of the same name added, in order of appearance."""
    parts: dict[str, list[Decimal]] = {}
    for name, share in entries:
        parts.setdefault(name, []).append(share)
    return {name: shares[0] if len(shares) == 1 else total(shares) for name, shares in parts.items()}


def recognised(shares: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return the shares with every stage that is recognised under its canonical name."""
    return merged((recognise(name) or name, share) for name, share in shares.items())
