"""Flags on the command line: ``NAME=COHORT:VALUE``."""

from collections.abc import Collection


def read_flag(text: str, flags: Collection[str], values: Collection[str], shown: Collection[str]) -> tuple[str, ...]:
    """Return flag, cohort and value of a text; ``shown`` are the values that a complaint names.

    Raises ValueError if there is no such flag, no cohort or no such value.
    """
    flag, _, rule = text.partition("=")
    cohort, _, value = rule.rpartition(":")
    value = value.strip().lower()
    if flag not in flags:
        raise ValueError(f"unknown flag {flag!r}; flags: {', '.join(flags)}")
    if not cohort or value not in values:
        *first, last = (f"NAME=COHORT:{one}" for one in shown)
        raise ValueError(f"{text!r} is not {', '.join(first)} or {last}")
    return flag, cohort, value
