"""JSON without loss: decimals stay as written, NaN and duplicate keys are refused, equality is JSON's own.

A binary float cannot tell 1.000001 from what is nearest to it, and the sum of a distribution is judged at that very
place. So numbers are ``int`` or ``Decimal`` here, and never ``float``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn

MISSING: Final = type("Missing", (), {"__repr__": lambda _self: "absent", "__bool__": lambda _self: False})()
"""No value at all; JSON's null is None."""
LARGEST_INT: Final = 1000
"""Digits of a whole number beyond which it is kept as a Decimal: Python refuses very long ints."""
DEEPEST: Final = 200
"""Levels of nesting that are read: comparing goes as deep as the value."""
_TOO_DEEP = f"nested more than {DEEPEST} levels deep"
_WIDTH = 110
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_number(text: str) -> int | Decimal:
    """Return the number that a JSON token stands for, exactly. Raises ValueError for an exponent beyond all means."""
    if len(text) < LARGEST_INT and text.lstrip("-").isdigit():
        return int(text) if text != "-0" else Decimal(text)
    try:
        return Decimal(text)
    except InvalidOperation as exc:
        raise ValueError(f"the number {text[:40]} is out of every range") from exc


def read_exact(text: str) -> Any:
    """Return the value of a JSON text. Raises ValueError for what is not strict JSON, duplicate keys included."""
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_int=read_number,
            parse_float=read_number,
            parse_constant=_refuse,
        )
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if not _is_flat(value, DEEPEST):
        raise ValueError(_TOO_DEEP)
    return value


def _is_flat(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_flat(item, levels - 1) for item in inner)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is given twice")
    return out


def _refuse(token: str) -> NoReturn:
    raise ValueError(f"{token} is not JSON")


def write_exact(value: Any) -> str:
    """Return the shortest JSON text of a value; text is left as it is, but for halves of characters."""
    if isinstance(value, str):
        plain = json.dumps(value, ensure_ascii=False)
        return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", plain)
    if isinstance(value, dict):
        return "{" + ",".join(f"{write_exact(key)}:{write_exact(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(write_exact, value)) + "]"
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, float):
        raise TypeError(f"{value!r} is a binary float; golden payloads are exact")
    return json.dumps(value)


def write_pretty(value: Any, indent: int = 0) -> str:
    """Return a JSON text for people: what fits into a line stays in one."""
    short = _spaced(value)
    if not isinstance(value, dict | list) or not value or len(short) + indent <= _WIDTH:
        return short
    pad, (left, right) = " " * (indent + 2), ("{}" if isinstance(value, dict) else "[]")
    return f"{left}\n{pad}" + f",\n{pad}".join(_rows(value, indent + 2)) + f"\n{' ' * indent}{right}"


def _rows(value: Any, indent: int) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{write_exact(key)}: {write_pretty(item, indent)}" for key, item in value.items())
    else:
        yield from (write_pretty(item, indent) for item in value)


def _spaced(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{write_exact(key)}: {_spaced(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_spaced, value)) + "]"
    return write_exact(value)


def kind_of(value: Any) -> str:
    """Return JSON's word for what a value is: an integer is a number, and 1.0 is an integer (JSON Schema, 6.1.1)."""
    if value is MISSING:
        return "absent"
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    if isinstance(value, int | Decimal):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def equal(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: 1 is 1.0, true is not 1, null is not absent."""
    if kind_of(one) != kind_of(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(item, other[key]) for key, item in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def digest(value: Any) -> str:
    """Return a SHA-256 that is the same for equal values: keys in order, numbers in one form."""
    return hashlib.sha256(write_exact(_canonical(value)).encode()).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        return _normal(Decimal(value))
    return value


def _normal(number: Decimal) -> Decimal:
    """Return the only form of a number: ``Decimal.normalize`` would round it to the context's precision."""
    sign, digits, exponent = number.as_tuple()
    ending = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return Decimal((sign, digits[: len(digits) - ending], int(exponent) + ending)) if number else Decimal(0)
