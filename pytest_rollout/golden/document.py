"""JSON files with the place of every key and value, so that each error can say ``file:line:column``."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from pathlib import Path
from typing import Any

from pytest_rollout.errors import CaseError
from pytest_rollout.golden.exact import DEEPEST, read_number
from pytest_rollout.plan.document import Document, KeyPath

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_WORD = re.compile(r"[A-Za-z_]+|-?Infinity\b")
_WORDS = {"true": True, "false": False, "null": None}


def read_json_document(path: Path) -> Document:
    """Read one JSON file, numbers exactly. Raises CaseError for what is not strict JSON, duplicate keys included."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise CaseError(f"{path.name}:1:1: cannot be read: {exc}") from exc
    return _Reader(path, text).read()


class _Reader:
    def __init__(self, path: Path, text: str) -> None:
        self.document = Document(path, None)
        self.text = text
        self.lines = [0, *(found.end() for found in re.finditer("\n", text))]
        self.at = 0

    def read(self) -> Document:
        data = self._value(())
        self._space()
        if self.at < len(self.text):
            raise self._fail("nothing may follow the value")
        return Document(self.document.path, data, self.document.keys, self.document.values)

    def _place(self, at: int) -> tuple[int, int]:
        line = bisect_right(self.lines, at)
        return line, at - self.lines[line - 1] + 1

    def _fail(self, message: str, at: int | None = None) -> CaseError:
        line, column = self._place(self.at if at is None else at)
        return CaseError(f"{self.document.path.name}:{line}:{column}: {message}")

    def _space(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def _take(self, character: str) -> bool:
        self._space()
        taken = self.text.startswith(character, self.at)
        self.at += taken
        return taken

    def _value(self, where: KeyPath) -> Any:
        self._space()
        if len(where) > DEEPEST:
            raise self._fail(f"nested more than {DEEPEST} levels deep")
        self.document.values[where] = place = self._place(self.at)
        self.document.keys.setdefault(where, place)
        if self._take("{"):
            return self._object(where)
        if self._take("["):
            return self._array(where)
        return self._string() if self.text.startswith('"', self.at) else self._scalar()

    def _object(self, where: KeyPath) -> dict[str, Any]:
        out: dict[str, Any] = {}
        while not self._take("}"):
            if out and not self._take(","):
                raise self._fail("',' or '}' is needed here")
            self._space()
            at = self.at
            key = self._string()
            if key in out:
                raise self._fail(f"the key {key!r} is given twice", at)
            self.document.keys[(*where, key)] = self._place(at)
            if not self._take(":"):
                raise self._fail(f"':' is needed after the key {key!r}")
            out[key] = self._value((*where, key))
        return out

    def _array(self, where: KeyPath) -> list[Any]:
        out: list[Any] = []
        while not self._take("]"):
            if out and not self._take(","):
                raise self._fail("',' or ']' is needed here")
            out.append(self._value((*where, len(out))))
        return out

    def _string(self) -> str:
        found = _STRING.match(self.text, self.at)
        try:
            text: str = json.loads(found[0]) if found else ""
        except ValueError:
            found = None
        if found is None:
            raise self._fail("a text in double quotes is needed here, with control characters written as \\u0000")
        self.at = found.end()
        return text

    def _scalar(self) -> Any:
        if number := _NUMBER.match(self.text, self.at):
            try:
                value = read_number(number[0])
            except ValueError as exc:
                raise self._fail(str(exc)) from exc
            self.at = number.end()
            return value
        word = _WORD.match(self.text, self.at)
        if word is None or word[0] not in _WORDS:
            raise self._fail(f"{word[0]} is not JSON" if word else "a value is needed here")
        self.at = word.end()
        return _WORDS[word[0]]
