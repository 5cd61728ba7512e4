"""The golden corpora in tavern's language: the request, and all of the expectation that there is a word for."""

from __future__ import annotations

import base64
import re
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from pytest_rollout.golden import header_checks, matchers
from pytest_rollout.golden.case import Expectation
from pytest_rollout.golden.corpus import Corpus, GoldenCase
from pytest_rollout.golden.exact import MISSING
from pytest_rollout.golden.pointer import lookup, parse_pointer
from pytest_rollout.golden.resolve import request_object
from pytest_rollout.golden.wire import raw_request

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
TYPES = {"string": "!anystr", "integer": "!anyint", "boolean": "!anybool", "array": "!anylist", "object": "!anydict"}


@dataclass(frozen=True)
class Tag:
    """A word of tavern's language that stands for a value."""

    name: str
    value: str = ""


class _Writer(yaml.SafeDumper):
    """Writes tavern's YAML."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Write everything out: tavern reads a file's tests one by one."""
        return True


_Writer.add_representer(Tag, lambda writer, tag: writer.represent_scalar(tag.name, tag.value))
_Writer.add_representer(Decimal, lambda writer, number: writer.represent_float(float(number)))


class CannotSay(ValueError):  # noqa: N818 - read as a state
    """The language has no word for something."""


@dataclass
class Said:
    """What became of the parts of our expectations in another language."""

    parts: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)

    def say(self, what: str, *, lost: bool = False) -> None:
        """Count one part."""
        self.parts[what] += 1
        self.lost[what] += lost


def escaped(text: str) -> str:
    """Return a text in which tavern fills nothing in."""
    return text.replace("{", "{{").replace("}", "}}")


def plain(value: Any) -> Any:
    """Return JSON in which tavern fills nothing in."""
    if isinstance(value, dict):
        return {escaped(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return escaped(value) if isinstance(value, str) else value


def body_word(matcher: matchers.Matcher, case: GoldenCase) -> Any:
    """Return what tavern says for a matcher. Raises CannotSay."""
    match matcher:
        case matchers.Equals():
            return plain(matcher.value)
        case matchers.Matches():
            return Tag("!re_fullmatch", matcher.pattern)
        case matchers.Uuid():
            return Tag("!re_fullmatch", UUID)
        case matchers.OfType() if matcher.type in TYPES:
            return Tag(TYPES[matcher.type])
        case matchers.Present():
            return Tag("!anything")
        case matchers.SameAs() if matcher.place == "request":
            value = lookup(dict(case.request), parse_pointer(matcher.pointer))
            return plain(value) if value is not MISSING else Tag("!anything")
    raise CannotSay(matcher.kind)


def header_word(check: header_checks.HeaderCheck) -> Any:
    """Return what tavern says for a header. Raises CannotSay."""
    match check:
        case header_checks.HeaderEquals():
            return escaped(check.value)
        case header_checks.HeaderMatches():
            return Tag("!re_fullmatch", check.pattern)
        case header_checks.HeaderPresent():
            return Tag("!anything")
        case header_checks.HeaderList():
            one = "|".join(map(re.escape, check.values))
            return Tag("!re_fullmatch", f"({one})(, *({one}))*")
        case header_checks.Deprecation():
            return Tag("!re_fullmatch", r"@\d+")
        case header_checks.Link():
            return Tag("!re_search", f'rel="?{re.escape(check.rel)}')
    raise CannotSay(check.kind)


def answer(corpus: Corpus, case: GoldenCase, mode: str, said: Said) -> dict[str, Any]:
    """Return tavern's words for what a mode has to answer, and count what is lost."""
    expected, kind = case.case.expect[mode], corpus.endpoint.kinds[case.case.kind]
    found: dict[str, Any] = {"status_code": expected.status}
    said.say("status")
    headers = {}
    for name, check in {**kind.headers_in(mode), **expected.headers}.items():
        try:
            headers[name] = header_word(check)
        except CannotSay:
            said.say(f"header {check.kind}", lost=True)
        else:
            said.say(f"header {check.kind}")
    body = _golden(corpus, case, expected, mode, said)
    for pointer, matcher in {**corpus.endpoint.match, **case.case.match, **expected.match}.items():
        given = pointer in expected.match or pointer in case.case.match
        if given:
            _placed(body, pointer, matcher, case, said)
    beside = {
        "rises of counters": expected.metrics,
        "side effects": expected.side_effect,
        "schema": expected.definition,
    }
    for part in (name for name, given in beside.items() if given):
        said.say(part, lost=True)
    if kind.same and mode == corpus.endpoint.modes[0]:
        said.say("relations between modes", lost=True)
    return {**found, **({"headers": headers} if headers else {}), **({"json": body} if body else {})}


def _golden(corpus: Corpus, case: GoldenCase, expected: Expectation, mode: str, said: Said) -> dict[str, Any]:
    """Return the golden body without what a matcher stands for."""
    golden = case.goldens[mode]
    if golden.form != "json":
        return {}
    texts = (*corpus.endpoint.match, *case.case.match, *expected.match)
    volatile = {path[0] for path in map(parse_pointer, texts) if path}
    whole = {key: value for key, value in golden.value.items() if key not in volatile}
    said.say("golden body", lost=len(whole) < len(golden.value))
    return dict(plain(whole))


def _placed(body: dict[str, Any], pointer: str, matcher: matchers.Matcher, case: GoldenCase, said: Said) -> None:
    path = parse_pointer(pointer)
    if not path or any(token in ("*", "**") or token.isdigit() for token in path):
        said.say(f"match {matcher.kind} at {'the whole body' if not path else 'entries of a list'}", lost=True)
        return
    try:
        word = body_word(matcher, case)
    except CannotSay as exc:
        said.say(f"match {exc}", lost=True)
        return
    said.say(f"match {matcher.kind}")
    place = body
    for token in path[:-1]:
        place = place.setdefault(token, {})
    place[path[-1]] = word


def question(corpus: Corpus, case: GoldenCase, instance: str) -> dict[str, Any]:
    """Return tavern's words for a request. Raises CannotSay."""
    raw = raw_request(corpus.endpoint.request, request_object(case.request), {})
    content = raw.content
    found: dict[str, Any] = {"url": escaped(instance + raw.target), "method": raw.method}
    if raw.headers:
        found["headers"] = {name: escaped(value) for name, value in raw.headers}
    if content is not None:
        try:
            found["data"] = escaped(content.decode("utf-8"))
        except UnicodeDecodeError as exc:
            raise CannotSay(f"bytes: {base64.b64encode(content)[:20]!r}") from exc
    return found


def write_tavern(folder: Path, corpora: list[Corpus], instances: list[str], mode: str, said: Said) -> int:
    """Write every case in one mode for every instance; return how many could be said at all."""
    sent = 0
    for corpus in corpora:
        tests = []
        for case in corpus.cases.values():
            try:
                asked = [question(corpus, case, instance) for instance in instances]
            except CannotSay:
                said.say("request", lost=True)
                continue
            said.say("request")
            wanted, sent = answer(corpus, case, mode, said), sent + 1
            tests += [
                {
                    "test_name": f"{case.id} on instance {number}",
                    "strict": ["json:off"],
                    "stages": [{"name": "send", "request": one, "response": wanted}],
                }
                for number, one in enumerate(asked, 1)
            ]
        path = folder / f"test_{corpus.endpoint.endpoint}_{mode}.tavern.yaml"
        path.write_text(yaml.dump_all(tests, Dumper=_Writer, allow_unicode=True, sort_keys=False))
    return sent
