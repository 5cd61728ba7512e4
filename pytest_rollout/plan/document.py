"""Plain YAML with the place of every key, so that each error can say ``line:column``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from pytest_rollout.errors import PlanError

KeyPath: TypeAlias = tuple[str | int, ...]
_PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map")}


@dataclass(frozen=True, slots=True)
class Document:
    """The data of one file; ``keys`` and ``values`` hold (line, column), counted from 1, by key path."""

    path: Path
    data: Any
    keys: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    values: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)

    def line(self, where: KeyPath) -> int:
        """Return the line, counted from 1, of the entry at a key path."""
        return self.keys.get(where, (1, 1))[0]

    def error(self, where: KeyPath, message: str, *, at_key: bool = False) -> str:
        """Return ``file:line:column: message`` for the nearest place that is known."""
        places = self.keys if at_key else self.values
        while where and where not in places:
            where = where[:-1]
        line, column = places.get(where, (1, 1))
        return f"{self.path.name}:{line}:{column}: {message}"


def read_document(path: Path) -> Document:
    """Read one YAML file. Raises PlanError for syntax, tags, aliases to oneself, duplicate keys."""
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as exc:
        raise PlanError(f"{path.name}:1:1: cannot be read: {exc}") from exc
    except yaml.MarkedYAMLError as exc:
        line, column = _place(exc.problem_mark or exc.context_mark)
        raise PlanError(f"{path.name}:{line}:{column}: not YAML: {exc.problem or exc.context}") from exc
    except yaml.YAMLError as exc:
        raise PlanError(f"{path.name}:1:1: not YAML: {exc}") from exc
    if root is None:
        raise PlanError(f"{path.name}:1:1: the plan is empty")
    return _Reader(path).read(root)


class _Reader:
    def __init__(self, path: Path) -> None:
        self.document = Document(path, None)
        self.open: list[int] = []

    def read(self, root: yaml.Node) -> Document:
        data = self._value(root, ())
        return Document(self.document.path, data, self.document.keys, self.document.values)

    def _fail(self, node: yaml.Node, message: str) -> PlanError:
        line, column = _place(node.start_mark)
        return PlanError(f"{self.document.path.name}:{line}:{column}: {message}")

    def _value(self, node: yaml.Node, where: KeyPath) -> Any:
        if node.tag not in _PLAIN and node.tag != "tag:yaml.org,2002:timestamp":
            raise self._fail(node, f"the tag {node.tag!r} is not allowed; plans are plain YAML")
        if id(node) in self.open:
            raise self._fail(node, "an alias to itself is not allowed")
        self.document.values[where] = _place(node.start_mark)
        self.document.keys.setdefault(where, _place(node.start_mark))
        self.open.append(id(node))
        try:
            return self._content(node, where)
        finally:
            self.open.pop()

    def _content(self, node: yaml.Node, where: KeyPath) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, where)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*where, index)) for index, item in enumerate(node.value)]
        if node.tag == "tag:yaml.org,2002:timestamp":
            return node.value
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (ValueError, KeyError, yaml.YAMLError) as exc:
            kind = node.tag.rpartition(":")[2]
            raise self._fail(node, f"{node.value!r} is not of the type {kind!r}") from exc

    def _mapping(self, node: yaml.MappingNode, where: KeyPath) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key, str) or key == "<<":
                raise self._fail(key_node, "keys are plain words; merge keys and nested keys are not allowed")
            if key in out:
                raise self._fail(key_node, f"the key {key!r} is given twice")
            self.document.keys[(*where, key)] = _place(key_node.start_mark)
            out[key] = self._value(value_node, (*where, key))
        return out


def _place(mark: yaml.Mark | None) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
