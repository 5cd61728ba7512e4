import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.publish.redact import redact, without_userinfo

SECRET = "s3cr3t-value"


def entry() -> dict[str, Any]:
    headers = [{"name": name, "value": SECRET} for name in ("Authorization", "cookie", "X-Api-Key", "x-auth-token")]
    headers.append({"name": "Accept", "value": "text/html"})
    request = {"url": "http://127.0.0.1/agents", "headers": headers, "cookies": [{"name": "sid", "value": SECRET}]}
    return {"request": request, "response": {"headers": [{"name": "Set-Cookie", "value": f"sid={SECRET}"}]}}


def test_a_har_keeps_everything_but_credentials(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "test.har"
    file.parent.mkdir()
    file.write_text(json.dumps({"log": {"entries": [entry()]}}))
    assert redact(tmp_path) == []
    text = file.read_text()
    assert SECRET not in text
    assert '"text/html"' in text
    assert "http://127.0.0.1/agents" in text


@pytest.mark.parametrize("member", ["trace.network", "har.har", "0-trace.trace"])
def test_archives_are_cleaned_inside(tmp_path: Path, member: str) -> None:
    file = tmp_path / "trace.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member, "\n".join(json.dumps({"snapshot": entry()}) for _ in range(2)))
        archive.writestr("resources/page.png", b"\x89PNG")
    assert redact(tmp_path) == []
    with zipfile.ZipFile(file) as archive:
        assert SECRET not in archive.read(member).decode()
        assert archive.read("resources/page.png") == b"\x89PNG"


def test_what_cannot_be_cleaned_is_removed_and_said(tmp_path: Path) -> None:
    file = tmp_path / "broken.har"
    file.write_text(f"{{ {SECRET}")
    (said,) = redact(tmp_path)
    assert said.startswith(f"{file} was removed, as it could not be cleaned of credentials: ")
    assert not file.exists()


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "test-finished-1.png"
    file.write_bytes(b"\x89PNG")
    assert redact(tmp_path) == []
    assert file.read_bytes() == b"\x89PNG"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET http://bob:secret@shop/a and ws://x@y", "GET http://shop/a and ws://y"),
        ("assert not 'http://bob:sec...", "assert not 'http://..."),
        ("http://shop:8080/a@b mails to a@b.example", "http://shop:8080/a@b mails to a@b.example"),
    ],
)
def test_urls_lose_user_and_password(text: str, expected: str) -> None:
    assert without_userinfo(text) == expected
