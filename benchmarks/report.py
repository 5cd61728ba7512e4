"""Markdown tables, and where they are kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are aligned to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def write(path: Path, name: str, text: str) -> None:
    """Put the text between the comments ``<!-- name -->`` and ``<!-- /name -->`` of a file, or into a new file.

    Raises ValueError if the file is there without them.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    framed = f"{begin}\n\n{text.strip()}\n\n{end}"
    if not path.exists():
        path.write_text(framed + "\n", encoding="utf-8")
        return
    whole = path.read_text(encoding="utf-8")
    found = re.search(f"{re.escape(begin)}.*{re.escape(end)}", whole, re.DOTALL)
    if found is None:
        raise ValueError(f"{path} has no {begin} ... {end}")
    path.write_text(whole[: found.start()] + framed + whole[found.end() :], encoding="utf-8")
