"""Compare an answer's body with a golden, where matchers stand for what is not the same every time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_rollout.golden.exact import MISSING, digest, equal, kind_of
from pytest_rollout.golden.finding import Finding, shown
from pytest_rollout.golden.matchers import Absent, Matcher, Matching, Unordered, is_positive
from pytest_rollout.golden.matching import Difference, Scene, differences
from pytest_rollout.golden.pointer import Path, Pattern, lookup, parse_pointer, write_pattern
from pytest_rollout.verdict import Reason, Verdict

MASK = "***"


@dataclass(frozen=True, slots=True)
class Rule:
    """A matcher at a pattern; ``level`` is 0 for the endpoint's, 1 for the case's, 2 for the mode's."""

    pattern: Pattern
    matcher: Matcher
    level: int

    @property
    def name(self) -> str:
        """The rule in a finding."""
        return f"{self.matcher.kind} at {self.pattern.text}"


class Rules:
    """Matchers of which the longest pointer wins: more tokens, then more literal ones, then the closer level."""

    def __init__(self, levels: Sequence[Matching], secrets: Iterable[str] = ()) -> None:
        self.all = tuple(
            Rule(Pattern.parse(text), matcher, level)
            for level, matching in enumerate(levels)
            for text, matcher in matching.items()
        )
        ranked = sorted(range(len(self.all)), key=lambda n: (self.all[n].pattern.rank, self.all[n].level), reverse=True)
        self._ranked = ranked
        self._secrets = tuple(map(Pattern.parse, secrets))

    def best(self, path: Path) -> int | None:
        """Return the number of the rule for a path."""
        return next((number for number in self._ranked if self.all[number].pattern.matches(path)), None)

    def above(self, path: Path) -> Matcher | None:
        """Return the matcher that stands for a path: the deepest one at it or above it."""
        numbers = (self.best(path[:size]) for size in range(len(path), -1, -1))
        return next((self.all[number].matcher for number in numbers if number is not None), None)

    def below(self, path: Path) -> bool:
        """Whether a rule may be about something below a path."""
        return any(rule.pattern.within(path) for rule in self.all)

    def masked(self, value: Any, path: Path) -> Any:
        """Return a value that may be shown: what is at or below a secret place is not."""
        if self.is_secret(path):
            return MASK
        if not any(pattern.within(path) for pattern in self._secrets):
            return value
        if isinstance(value, dict):
            return {key: self.masked(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.masked(item, (*path, str(place))) for place, item in enumerate(value)]
        return value

    def is_secret(self, path: Path) -> bool:
        """Whether a place is at or below one that must not be shown."""
        return any(pattern.matches(path[:size]) for pattern in self._secrets for size in range(len(path) + 1))


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs, and which rules (by number) were used."""

    findings: tuple[Finding, ...]
    used: frozenset[int]


def compare(golden: Any, actual: Any, rules: Rules, scene: Scene, *, pinned: bool = True) -> Comparison:
    """Compare two bodies. Without ``pinned`` there is no golden: only the rules speak, those of the mode at least."""
    walk = _Walk(rules, scene)
    walk.node(golden if pinned else MISSING, actual, (), free=not pinned)
    walk.unmet(actual, required=not pinned)
    return Comparison(tuple(walk.findings), frozenset(walk.used))


class _Walk:
    def __init__(self, rules: Rules, scene: Scene) -> None:
        self.rules = rules
        self.scene = scene
        self.findings: list[Finding] = []
        self.used: set[int] = set()

    def add(self, path: Path, found: Difference, rule: str) -> None:
        at = (*path, *found.path)
        broken = found.kind == "rule"
        self.findings.append(
            Finding(
                pointer=write_pattern(at),
                kind=found.kind,
                expected=MASK if self.rules.is_secret(at) else found.expected,
                actual=shown(self.rules.masked(found.actual, at)),
                rule=rule,
                verdict=Verdict.ERROR if broken else Verdict.BREACHED,
                reason=Reason.CASE_UNUSABLE if broken else Reason.GOLDEN_MISMATCH,
            )
        )

    def node(self, golden: Any, actual: Any, path: Path, *, free: bool) -> None:
        """Compare one place and all below it; ``free``: a matcher above stands for the golden."""
        number = self.rules.best(path)
        if number is not None:
            self.used.add(number)
            rule = self.rules.all[number]
            if isinstance(rule.matcher, Unordered):
                self._unordered(golden, actual, path, rule)
                return
            for found in differences(rule.matcher, golden, actual, self.scene):
                self.add(path, found, rule.name)
            free = True
        elif not free and not self._alike(golden, actual, path):
            return
        if self.rules.below(path) or not (free or equal(golden, actual)):
            self._children(golden, actual, path, free=free)

    def _alike(self, golden: Any, actual: Any, path: Path) -> bool:
        """Whether two values are of one kind, and equal where they have no parts."""
        kinds = kind_of(golden), kind_of(actual)
        if kinds[0] != kinds[1]:
            kind = "extra" if golden is MISSING else "missing" if actual is MISSING else "type"
            self._differs(kind, golden, actual, path)
            return False
        if kinds[0] in ("object", "array"):
            return kinds[0] == "object" or not self._only_order(golden, actual, path)
        if not equal(golden, actual):
            self._differs("value", golden, actual, path)
        return False

    def _differs(self, kind: str, golden: Any, actual: Any, path: Path) -> None:
        self.add(path, Difference(kind, shown(self.rules.masked(golden, path)), actual), "golden")

    def _only_order(self, golden: list[Any], actual: list[Any], path: Path) -> bool:
        if self.rules.below(path) or equal(golden, actual):
            return False
        if Counter(map(digest, golden)) != Counter(map(digest, actual)):
            return False
        self._differs("order", golden, actual, path)
        return True

    def _children(self, golden: Any, actual: Any, path: Path, *, free: bool) -> None:
        for token in dict.fromkeys((*_tokens(golden), *_tokens(actual))):
            self.node(lookup(golden, (token,)), lookup(actual, (token,)), (*path, token), free=free)

    def _unordered(self, golden: Any, actual: Any, path: Path, rule: Rule) -> None:
        if not isinstance(golden, list):
            self.add(path, Difference("rule", "a list in the golden", golden), rule.name)
        elif not isinstance(actual, list):
            self.add(path, Difference("missing" if actual is MISSING else "type", "array", actual), rule.name)
        elif isinstance(rule.matcher, Unordered) and rule.matcher.key is not None:
            self._paired(golden, actual, path, rule, parse_pointer(rule.matcher.key))
        else:
            self._same_set(golden, actual, path, rule)

    def _same_set(self, golden: list[Any], actual: list[Any], path: Path, rule: Rule) -> None:
        left = Counter(map(digest, golden))
        for place, item in enumerate(actual):
            left[digest(item)] -= 1
            if left[digest(item)] < 0:
                self.add(path, Difference("extra", "nothing", item, (str(place),)), rule.name)
        for item in golden:
            if left[digest(item)] > 0:
                left[digest(item)] -= 1
                self.add(
                    path,
                    Difference("missing", shown(self.rules.masked(item, (*path, "-"))), MISSING, ("-",)),
                    rule.name,
                )

    def _paired(self, golden: list[Any], actual: list[Any], path: Path, rule: Rule, key: Path) -> None:
        wanted, found = _by_key(golden, key), _by_key(actual, key)
        for side, items in ((wanted, golden), (found, actual)):
            if side is None or len(side) < len(items):
                said = "golden" if side is wanted else "answer"
                self.add(
                    path, Difference("order", f"entries with a {write_pattern(key)} of their own", said), rule.name
                )
                return
        for name, (_, item) in (wanted or {}).items():
            place, other = (found or {}).get(name, ("-", MISSING))
            self.node(item, other, (*path, place), free=False)
        for name, (place, other) in (found or {}).items():
            if name not in (wanted or {}):
                self.node(MISSING, other, (*path, place), free=False)

    def unmet(self, actual: Any, *, required: bool) -> None:
        """See to the rules that met nothing: what must be absent is, and the mode's own places must be there."""
        for number, rule in enumerate(self.rules.all):
            if number in self.used:
                continue
            if isinstance(rule.matcher, Absent):
                self.used.add(number)
            elif required and rule.level == 2 and rule.pattern.literal and is_positive(rule.matcher):  # noqa: PLR2004
                path = tuple(token or "" for token in rule.pattern.tokens)
                if lookup(actual, path) is MISSING:
                    self.used.add(number)
                    self.add(path, Difference("missing", rule.matcher.kind, MISSING), rule.name)


def _tokens(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        return value
    return map(str, range(len(value))) if isinstance(value, list) else ()


def _by_key(items: list[Any], key: Path) -> dict[str, tuple[str, Any]] | None:
    """Return place and entry by the digest of the key; None if an entry has none."""
    out = {}
    for place, item in enumerate(items):
        value = lookup(item, key)
        if value is MISSING:
            return None
        out[digest(value)] = str(place), item
    return out
