"""Latencies as an HdrHistogram (hdrhistogram.org), in the compressed form V2 that the tools of that family read.

Microseconds, three significant digits, up to an hour. Percentiles are never taken from it: they are exact, from all
samples. It is for keeping, merging and plotting elsewhere, so there is a writer here, and a reader to prove it by. The
library ``hdrhistogram`` is not used: it is a C extension that needs a compiler where it has no wheel, and wants
setuptools at run time.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

_COOKIE = 0x1C849313
"""Version 2, with counts in zigzag LEB128."""
_COMPRESSED = 0x1C849314
_OUTER = struct.Struct(">ii")
"""Cookie and length of the compressed payload."""
_HEADER = struct.Struct(">iiiiqqd")
"""Cookie, length, offset of a shift, digits, least and greatest value, ratio of integers to doubles."""
_DIGITS = 3
_LEAST = 1
_GREATEST = 3_600_000_000
_HALF_BITS = 10
"""Three digits need 2,000 values at steps of one: 2,048, of which all but the first bucket use the upper half."""
_HALF = 1 << _HALF_BITS
_PER_SECOND = 1_000_000


def encode(seconds: Iterable[float]) -> str:
    """Return the histogram of latencies, as base64. What is above an hour counts as an hour."""
    counts = Counter(_index(_microseconds(one)) for one in seconds)
    words = b"".join(map(_word, _runs(counts)))
    payload = _HEADER.pack(_COOKIE, len(words), 0, _DIGITS, _LEAST, _GREATEST, 1.0) + words
    packed = zlib.compress(payload)
    return base64.b64encode(_OUTER.pack(_COMPRESSED, len(packed)) + packed).decode()


def decode(blob: str) -> dict[float, int]:
    """Return how many latencies there were, by the greatest number of seconds that counts as the same.

    Raises ValueError for anything that ``encode`` does not write.
    """
    try:
        raw = base64.b64decode(blob, validate=True)
        cookie, length = _OUTER.unpack_from(raw)
        payload = zlib.decompress(raw[_OUTER.size :])
        inner, size, *settings = _HEADER.unpack_from(payload)
    except (ValueError, struct.error, zlib.error) as error:
        raise ValueError("not a compressed HdrHistogram") from error
    words = payload[_HEADER.size :]
    if (cookie, length, inner, size) != (_COMPRESSED, len(raw) - _OUTER.size, _COOKIE, len(words)):
        raise ValueError("not a compressed HdrHistogram of version 2")
    if settings != [0, _DIGITS, _LEAST, _GREATEST, 1.0]:
        raise ValueError("an HdrHistogram of another range or precision")
    return dict(_counts(words))


def _microseconds(seconds: float) -> int:
    return min(max(round(seconds * _PER_SECOND), 0), _GREATEST)


def _index(value: int) -> int:
    """Return the place of a value's count: buckets, each with steps twice as large as those of the one before."""
    bucket = max(value.bit_length() - _HALF_BITS - 1, 0)
    return (bucket << _HALF_BITS) + (value >> bucket)


def _highest(index: int) -> int:
    """Return the greatest value that counts in the same place."""
    bucket = max((index >> _HALF_BITS) - 1, 0)
    return ((index - (bucket << _HALF_BITS) + 1) << bucket) - 1


def _runs(counts: Mapping[int, int]) -> Iterator[int]:
    """Yield counts in the order of their places, and for zeros between them how many there are, below zero."""
    place = 0
    for index in sorted(counts):
        if index > place:
            yield place - index
        yield counts[index]
        place = index + 1


def _word(number: int) -> bytes:
    """Return a number as zigzag LEB128."""
    rest, out = 2 * number if number >= 0 else -2 * number - 1, bytearray()
    while rest > 0x7F:  # noqa: PLR2004 - seven bits
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes((*out, rest))


def _counts(words: bytes) -> Iterator[tuple[float, int]]:
    place = 0
    for number in _numbers(words):
        if number > 0:
            yield _highest(place) / _PER_SECOND, number
        place += max(-number, 1)


def _numbers(words: bytes) -> Iterator[int]:
    rest = shift = 0
    for byte in words:
        rest |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            yield (rest >> 1) ^ -(rest & 1)
            rest = shift = 0
    if shift:
        raise ValueError("a compressed HdrHistogram that was cut off")
