"""The canonical stages, how a spelling is recognised, and which stage an unknown spelling is nearest to."""

import unicodedata

CANONICAL = ("pre-seed", "seed", "series-a", "series-b", "series-c", "series-c+")
_AMBIGUOUS = "seriesc"  # it may mean series-c or series-c+
_SPELLINGS = {
    spelling: stage
    for stage in CANONICAL
    for spelling in (stage, *(stage.replace("-", gap) for gap in (" ", "_", "")))
    if spelling != _AMBIGUOUS
}
_ALWAYS_NEAR = 3
_NEAR_SHARE = 0.3


def fold(text: str) -> str:
    """Return the text as it is compared: NFKD without combining marks, lower case, single spaces, trimmed."""
    bare = text
    if not text.isascii():  # for ASCII there is nothing to do, and a thousand stages have to be quick
        decomposed = unicodedata.normalize("NFKD", text)
        bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(bare.lower().split())


def recognise(text: str) -> str | None:
    """Return the canonical stage of a spelling, None if it is unknown."""
    return _SPELLINGS.get(fold(text))


def known_as(text: str) -> str:
    """Return what a stored or asked stage is found under: its canonical stage, else its folded text."""
    return recognise(text) or fold(text)


def nearest(text: str) -> str | None:
    """Return the canonical stage at the least edit distance, if that is at most max(3, 30 % of the folded length)."""
    folded = fold(text)
    reach = max(_ALWAYS_NEAR, _NEAR_SHARE * len(folded))
    # The lengths' difference is a lower bound, so a long text costs nothing.
    near = [(edit_distance(folded, stage), stage) for stage in CANONICAL if abs(len(stage) - len(folded)) <= reach]
    distance, stage = min(near, key=lambda one: one[0], default=(reach + 1, None))
    return stage if distance <= reach else None


def edit_distance(one: str, other: str) -> int:
    """Return the Levenshtein distance: insertions, deletions and substitutions."""
    row = list(range(len(other) + 1))
    for number, character in enumerate(one, 1):
        above, row = row, [number]
        for place, wanted in enumerate(other):
            row.append(min(above[place + 1] + 1, row[place] + 1, above[place] + (character != wanted)))
    return row[-1]
