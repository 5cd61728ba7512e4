"""The corpora of this repository pointed at servers that are not their target: nothing passes by accident."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CASES = 30
Answer = Callable[[str, str, bytes], "tuple[int, str] | None"]
"""Method, path and body of a request to status and text of the answer; None is never to answer."""
IDENTITY = json.dumps(
    {
        "openapi": "3.1.0",
        "info": {"title": "Stage normalization sandbox", "version": "1"},
        "components": {"schemas": {"StageError": {}}},
    }
)
ENDPOINTS = ("/api/monte-carlo/simulate", "/api/portfolio/strategies", "/api/funds/{fundId}/companies")
METRICS = "".join(f'stage_validation_mode{{endpoint="{one}"}} 2.0\n' for one in ENDPOINTS)
MODES = {name: {"*": "enforce"} for name in ("monte_carlo", "strategies", "companies")}


def empty(_method: str, _path: str, _body: bytes) -> tuple[int, str]:
    return 200, "{}"


def refusing(_method: str, _path: str, _body: bytes) -> tuple[int, str]:
    return 400, '{"error": "malformed_request", "message": "no", "details": {"code": "NOT_JSON"}}'


def echo(_method: str, path: str, body: bytes) -> tuple[int, str]:
    return 200, body.decode(errors="replace") or json.dumps({"path": path})


def silent(_method: str, _path: str, _body: bytes) -> None:
    return None


def with_identity(rest: Answer) -> Answer:
    return lambda method, path, body: (200, IDENTITY) if path == "/openapi.json" else rest(method, path, body)


def in_enforce(rest: Answer) -> Answer:
    """Say of oneself what the target says, down to its mode; only the answers to cases are another's."""

    def answer(method: str, path: str, body: bytes) -> tuple[int, str] | None:
        if path == "/api/internal/modes":
            return 200, json.dumps({"modes": MODES})
        if path == "/metrics":
            return 200, f"# TYPE stage_validation_mode gauge\n{METRICS}"
        return (200, "{}") if path.startswith("/admin/") else rest(method, path, body)

    return with_identity(answer)


FOREIGN: dict[str, Answer] = {
    "200 and an empty object": empty,
    "400 and an error": refusing,
    "an echo": echo,
    "no answer at all": silent,
    "the identity and an empty object": with_identity(empty),
    "the identity and an error": with_identity(refusing),
    "the identity and no answer": with_identity(silent),
    "identity and mode, and an empty object": in_enforce(empty),
    "identity and mode, and an error": in_enforce(refusing),
    "identity and mode, and an echo": in_enforce(echo),
}


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Serve answers on loopback; yields the address."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer in two pieces waits for the other side's acknowledgement of the first

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found = answer(self.command, self.path, body)
            if found is None:
                over.wait(30)
                self.close_connection = True
                return
            content = found[1].encode()
            self.send_response(found[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815 - names of the base class

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            over.set()
            server.shutdown()


@pytest.fixture
def corpora(pytester: pytest.Pytester) -> Path:
    """Return a copy of the corpora that waits less."""
    folder = Path(shutil.copytree(ROOT / "golden_payloads", pytester.path / "golden_payloads"))
    for file in folder.glob("*/endpoint.json"):
        data: Any = json.loads(file.read_text())
        data["timeout"], data["mode"]["within"] = "300ms", "200ms"
        data["metrics"] |= {"control": "5ms", "settle": "5ms", "hold": "5ms"}
        file.write_text(json.dumps(data))
    return folder


@pytest.mark.parametrize("name", FOREIGN)
def test_nothing_passes(pytester: pytest.Pytester, corpora: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for variable in [one for one in os.environ if one.startswith(("ROLLOUT_", "PYTEST_XDIST"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("STAGE_API_FLAGS_TOKEN", "a-token")
    with serving(FOREIGN[name]) as one, serving(FOREIGN[name]) as other:
        monkeypatch.setenv("STAGE_API_INSTANCES", f"{one},{other}")
        result = pytester.runpytest_inprocess(
            "-p", "no:playwright", "-p", "no:cacheprovider", "golden_payloads", "-m", "enforce"
        )
    assert corpora.is_dir()
    assert result.parseoutcomes() == {"failed": CASES, "deselected": CASES * 3 + 3}
    assert result.ret == 1
