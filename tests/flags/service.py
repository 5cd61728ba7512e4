"""A flag service in memory, behind the transport, that does wrong whatever a test wants."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from pytest_rollout.errors import SourceUnreachable
from pytest_rollout.sources.http import Answer

Value = bool | str
TOKEN = "s3cret-t0ken"


@dataclass
class Service:
    """Flags with rules for cohorts. It counts what it is asked."""

    rules: dict[str, dict[str, Value]]
    """By flag and cohort, ``*`` for everybody."""
    clears: bool = False
    """Whether a change for everybody takes the cohorts' own rules away."""
    refuses: dict[str, int] = field(default_factory=dict)
    """By flag: the HTTP status that a change of it gets."""
    ignores: set[str] = field(default_factory=set)
    """Flags whose changes get 200, and nothing happens."""
    instead: dict[str, Value] = field(default_factory=dict)
    """By flag: what it is changed to in the place of what was asked for."""
    unread: dict[str, int] = field(default_factory=dict)
    """By flag: the HTTP status that reading it gets."""
    reason: str = "STATIC"
    """Why a flag has its value, as OFREP says it."""
    gone: bool = False
    before: Callable[[str, str], None] = lambda _method, _flag: None
    """Called before each request; may change this service, or raise."""
    asked: list[str] = field(default_factory=list)
    """``PUT FLAG@cohort value actor reason`` for each change."""

    def __call__(self, method: str, url: str, /, *, form: object = None, json: Any = None) -> Answer:  # noqa: ARG002
        """Answer one request."""
        flag = unquote(url.rpartition("/")[2])
        self.before(method, flag)
        if self.gone:
            raise SourceUnreachable(f"{url}: Connection refused")
        if method == "PUT":
            return self._change(flag, json)
        if method == "GET":
            return _answer(200, {"flags": {name: _told(rules) for name, rules in self.rules.items()}})
        return self._read(flag, json["context"]["cohort"])

    def _change(self, flag: str, wish: dict[str, Any]) -> Answer:
        self.asked.append(f"{flag}@{wish['cohort']} {wish['value']!r} by {wish['actor']}: {wish['reason']}")
        if status := self.refuses.get(flag):
            return _answer(status, {"message": "as the test wants it"})
        if flag not in self.ignores:
            self._set(self.rules[flag], wish["cohort"], self.instead.get(flag, wish["value"]))
        return _answer(200, {"revision": 1})

    def _set(self, rules: dict[str, Value], cohort: str, value: Value | None) -> None:
        if value is None:
            rules.pop(cohort, None)
            return
        if self.clears and cohort == "*":
            rules.clear()
        rules[cohort] = value

    def _read(self, flag: str, cohort: str) -> Answer:
        if status := self.unread.get(flag):
            return _answer(status, {"errorCode": "as the test wants it"})
        if flag not in self.rules:
            return _answer(404, {"key": flag, "errorCode": "FLAG_NOT_FOUND"})
        value = self.rules[flag].get(cohort, self.rules[flag]["*"])
        return _answer(200, {"key": flag, "value": value, "reason": self.reason, "metadata": {}})


def _told(rules: dict[str, Value]) -> dict[str, Any]:
    return {"default": rules["*"], "cohorts": {cohort: value for cohort, value in rules.items() if cohort != "*"}}


def _answer(status: int, body: Any) -> Answer:
    return Answer(status, json.dumps(body))
