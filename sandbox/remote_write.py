"""Write samples into Prometheus at any time of the clock: remote write by hand, without a protobuf or snappy library.

A fresh server that scrapes nothing accepts samples in time order, at most one hour behind its newest. The limit is
fixed per request by the request's first sample, so a request carries one stretch of time for all series, oldest
series first.
"""

import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter

from sandbox.components import request

Samples = Sequence[tuple[float, float]]
"""Pairs of unix time in seconds and value, in time order."""

STRETCH_SECONDS = 1800.0
_LITERAL = 65536
_VALUE = struct.Struct("<d")
_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


def remote_write(url: str, series: Iterable[tuple[Mapping[str, str], Samples]]) -> None:
    """Write the series, labels (with ``__name__``) and samples, into the Prometheus at ``url``.

    Raises urllib.error.HTTPError if Prometheus refuses a sample (400: out of order, out of bounds, duplicate).
    """
    for stretch in _stretches([(labels, samples) for labels, samples in series if samples]):
        body = b"".join(_field(1, _time_series(labels, samples)) for labels, samples in stretch)
        request(f"{url}/api/v1/write", method="POST", body=_snappy(body), headers=_HEADERS)


def _stretches(
    series: list[tuple[Mapping[str, str], Samples]],
) -> Iterator[list[tuple[Mapping[str, str], Samples]]]:
    """Cut the series into stretches of time, each with its oldest series first."""
    if not series:
        return
    start = min(samples[0][0] for _, samples in series)
    end = max(samples[-1][0] for _, samples in series)
    while start <= end:
        limit = start + STRETCH_SECONDS
        cut = [(labels, _between(samples, start, limit)) for labels, samples in series]
        if filled := sorted((pair for pair in cut if pair[1]), key=lambda pair: pair[1][0][0]):
            yield filled
        start = limit


def _between(samples: Samples, start: float, end: float) -> Samples:
    when = itemgetter(0)
    return samples[bisect_left(samples, start, key=when) : bisect_left(samples, end, key=when)]


def _time_series(labels: Mapping[str, str], samples: Samples) -> bytes:
    """TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; }, labels sorted by name."""
    named = b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in sorted(labels.items())
    )
    return named + b"".join([_sample(when, value) for when, value in samples])


def _sample(when: float, value: float) -> bytes:
    """Sample { double value = 1; int64 timestamp = 2; } in milliseconds."""
    stamp = _timestamp(when)
    return b"\x12" + (9 + len(stamp)).to_bytes(1) + b"\x09" + _VALUE.pack(value) + stamp


@lru_cache(maxsize=65536)
def _timestamp(when: float) -> bytes:
    return b"\x10" + _varint(round(when * 1000))


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1  # a time before 1970 is two's complement
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits per byte
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _snappy(data: bytes) -> bytes:
    """Frame the data as a snappy block of literals: valid, not compressed."""
    parts = [_varint(len(data))]
    for start in range(0, len(data), _LITERAL):
        chunk = data[start : start + _LITERAL]
        parts += [b"\xf4", (len(chunk) - 1).to_bytes(2, "little"), chunk]
    return b"".join(parts)
