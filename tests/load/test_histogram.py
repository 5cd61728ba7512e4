"""HdrHistograms as other tools write and read them."""

from __future__ import annotations

import base64
import struct
import zlib

import pytest
from hypothesis import given, strategies as st

from pytest_rollout.load.histogram import decode, encode

BY_THE_LIBRARY = {
    (1,): "HISTFAAAACF4nJNpmSzMwMDAxAABzFCaEURcm7yEwf4DVIAJAFoyBIw=",
    (1, 2, 2, 1023, 1024, 2047, 2048, 2049, 4095, 4096, 1_000_000, 3_600_000_000): (
        "HISTFAAAADR4nJNpmSzMwMAgxgABzFCaEURcm7yEwf4DVICJ5Ts/E9NvfiYWIGbaX8e0eA8jEwD1sApt"
    ),
    (5,) * 100_000: "HISTFAAAACR4nJNpmSzMwMDAwgABzFCaEURcm7yEwf4DRIDzwCweAGcuBfo=",
}
"""Microseconds, and what hdrhistogram 0.10.8 makes of them."""


@pytest.mark.parametrize("values", BY_THE_LIBRARY, ids=lambda values: f"{len(values)}-values")
def test_it_is_written_as_the_library_writes_it(values: tuple[int, ...]) -> None:
    assert encode(value / 1e6 for value in values) == BY_THE_LIBRARY[values]


def test_an_empty_histogram_is_one() -> None:
    assert decode(encode([])) == {}


def test_what_is_out_of_range_counts_at_its_end() -> None:
    assert decode(encode([-1.0, 0.0])) == {0.0: 2}
    assert decode(encode([7200.0])) == decode(encode([3600.0]))


@given(st.lists(st.floats(0.0, 3600.0), max_size=50))
def test_each_latency_is_kept_to_three_digits(latencies: list[float]) -> None:
    kept = sorted(seconds for seconds, count in decode(encode(latencies)).items() for _ in range(count))
    assert len(kept) == len(latencies)
    for was, now in zip(sorted(latencies), kept, strict=True):
        assert now == pytest.approx(was, rel=0.001, abs=1e-6)


@given(st.dictionaries(st.integers(0, 2000), st.integers(1, 300), max_size=30))
def test_small_latencies_are_kept_to_the_microsecond(counts: dict[int, int]) -> None:
    found = decode(encode(value / 1e6 for value, count in counts.items() for _ in range(count)))
    assert {round(seconds * 1e6): count for seconds, count in found.items()} == counts


def packed(inner: bytes, cookie: int = 0x1C849314) -> str:
    body = zlib.compress(inner)
    return base64.b64encode(struct.pack(">ii", cookie, len(body)) + body).decode()


def header(cookie: int = 0x1C849313, length: int = 1, digits: int = 3) -> bytes:
    return struct.pack(">iiiiqqd", cookie, length, 0, digits, 1, 3_600_000_000, 1.0)


@pytest.mark.parametrize(
    ("blob", "said"),
    [
        ("", "not a compressed HdrHistogram"),
        ("!", "not a compressed HdrHistogram"),
        (encode([0.1])[:-8], "not a compressed HdrHistogram"),
        (packed(b"short"), "not a compressed HdrHistogram"),
        (packed(header() + b"\x02", cookie=1), "not a compressed HdrHistogram of version 2"),
        (packed(header(cookie=1) + b"\x02"), "not a compressed HdrHistogram of version 2"),
        (packed(header(length=2) + b"\x02"), "not a compressed HdrHistogram of version 2"),
        (packed(header(digits=2) + b"\x02"), "an HdrHistogram of another range or precision"),
        (packed(header() + b"\x82"), "a compressed HdrHistogram that was cut off"),
    ],
)
def test_anything_else_is_refused(blob: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        decode(blob)
