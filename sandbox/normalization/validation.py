"""What the validator finds in the stages of one request."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

SHOWN = 20
"""Unknown stages an answer names at most; more would let a request make the answer and the work as long as it likes."""

Find = Callable[[str], str | None]


@dataclass(frozen=True)
class Findings:
    """``stages``: the canonical ones, unknown texts as sent. ``unknown``: the distinct unknown texts, in order."""

    stages: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    suggestions: tuple[tuple[str, str], ...] = ()


def examine(texts: Sequence[str], recognise: Find, nearest: Find) -> Findings:
    """Recognise every stage, and suggest one for the unknown that are shown."""
    found = [recognise(text) for text in texts]
    unknown = tuple(dict.fromkeys(text for text, stage in zip(texts, found, strict=True) if stage is None))
    near = [(text, nearest(text)) for text in unknown[:SHOWN]]
    stages = tuple(stage or text for text, stage in zip(texts, found, strict=True))
    return Findings(stages, unknown[:SHOWN], tuple((text, stage) for text, stage in near if stage))
