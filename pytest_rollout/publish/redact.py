"""Take credentials out of what a browser recorded: HAR files and Playwright traces keep headers in clear text."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_rollout.publish.verdict_file import write_atomic

REDACTED = "REDACTED"
_SENSITIVE = re.compile(r"authorization|cookie|token|secret|api-?key|password", re.IGNORECASE)
_USERINFO = re.compile(r"://(?:[^/@\s]*@|[^/@\s:]*:[^/@\s]*(?=\.\.\.))")
"""The second is what pytest leaves of a URL when it shortens a line."""
_JSON_MEMBERS = (".har", ".network", ".trace")


def redact(folder: Path) -> list[str]:
    """Rewrite every recording below a folder without credentials; a file that cannot be read is removed.

    Returns a line for each file that was removed.
    """
    removed = []
    for file in sorted(folder.rglob("*")):
        clean = {".har": _har, ".zip": _archive}.get(file.suffix)
        if clean is None or not file.is_file():
            continue
        try:
            _replace(file, clean)
        except (OSError, ValueError, zipfile.BadZipFile) as exc:
            file.unlink(missing_ok=True)
            removed.append(f"{file} was removed, as it could not be cleaned of credentials: {exc}")
    return removed


def _replace(file: Path, clean: Callable[[Path, Path], None]) -> None:
    draft = file.with_name(f".{file.name}.tmp")
    try:
        clean(file, draft)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def _har(source: Path, target: Path) -> None:
    target.write_text(_cleaned(source.read_text(encoding="utf-8")), encoding="utf-8")


def _archive(source: Path, target: Path) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            content = old.read(member)
            if member.filename.endswith(_JSON_MEMBERS):
                content = _cleaned(content.decode("utf-8")).encode()
            new.writestr(member, content)


def _cleaned(text: str) -> str:
    """Return JSON, or JSON lines, without credentials."""
    try:
        return json.dumps(_scrub(json.loads(text)))
    except json.JSONDecodeError:
        return "\n".join(json.dumps(_scrub(json.loads(line))) for line in text.splitlines() if line.strip())


def _scrub(value: Any, *, secret: bool = False) -> Any:
    if isinstance(value, list):
        return [_scrub(item, secret=secret) for item in value]
    if not isinstance(value, dict):
        return value
    if "value" in value and (secret or _SENSITIVE.search(str(value.get("name", "")))):
        return {**value, "value": REDACTED}
    return {key: _scrub(item, secret=key == "cookies") for key, item in value.items()}


def without_userinfo(text: str) -> str:
    """Return a text whose URLs have no user and no password any more."""
    return _USERINFO.sub("://", text)


def redact_log(path: Path) -> None:
    """Rewrite a text file without the credentials of the URLs in it. Raises OSError."""
    text = path.read_bytes().decode(errors="replace")
    if (clean := without_userinfo(text)) != text:
        write_atomic(path, clean)
