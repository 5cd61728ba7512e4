"""The traffic: its mix, its pace, and clients that learn."""

import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from sandbox.normalization.config import Config
from sandbox.normalization.instance import build
from sandbox.normalization.schedule import CYCLE_SECONDS, MIX, QUIET_FUND, SPELLINGS, Shot, cycle
from sandbox.normalization.traffic import LOAD, Client
from tests.sandbox.hosting import served
from tests.sandbox.normalization.asking import samples
from tests.sandbox.normalization.conftest import MODES


def test_cycle_has_its_mix_evenly_paced() -> None:
    shots = cycle()
    assert Counter((shot.cohort, shot.kind) for shot in shots) == {
        (cohort, kind): number for cohort, kinds in MIX.items() for kind, number in kinds.items()
    }
    for kind in SPELLINGS:
        assert {shot.endpoint for shot in shots if shot.kind == kind} == {"companies", "monte_carlo", "strategies"}
    gaps = {round(later.at - earlier.at, 9) for earlier, later in pairwise(shots)}
    assert gaps == {round(CYCLE_SECONDS / len(shots), 9)}


def test_a_tenth_is_the_canary_cohort_and_its_unknown_stages_reach_every_endpoint_alike() -> None:
    shots = cycle()
    assert sum(shot.cohort == "canary" for shot in shots) == len(shots) / 10
    for cohort, kinds in MIX.items():
        unknown = Counter(shot.endpoint for shot in shots if shot.cohort == cohort and shot.kind == "unknown")
        assert set(unknown.values()) == {kinds["unknown"] / 3}


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_is_answered_as_its_mode_says(unchanged: httpx.Client, mode: str) -> None:
    for turn, shot in enumerate(cycle()):
        method, path, body = shot.request(turn)
        response = unchanged.request(method, path, content=body, headers={"x-cohort": mode})
        refused = mode == "enforce" and shot.kind == "unknown"
        assert response.is_client_error == refused, (shot, response.text)
        assert ("deprecation" in response.headers) == (mode == "warn" and shot.kind == "unknown")


def test_quiet_fund_gets_none() -> None:
    assert not any(
        f"fundId={QUIET_FUND}" in path
        or f"/funds/{QUIET_FUND}/" in path
        or f'"fundId": {QUIET_FUND}'.encode() in (body or b"")
        for turn, shot in enumerate(cycle() * 8)
        for _, path, body in [shot.request(turn)]
    )


@pytest.fixture
def strict() -> Iterator[tuple[str, list[str]]]:
    """Return the address of a server that rejects unknown stages, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(400 if "serie-a" in self.path or "angel" in self.path else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    thread.join(5)
    server.server_close()


def test_rejected_client_mends_its_requests_to_that_endpoint_in_that_cohort(strict: tuple[str, list[str]]) -> None:
    address, asked = strict
    client = Client(address)
    for cohort in ("canary", None, "canary", None):
        client.send(Shot(0.0, cohort, "unknown", "companies"), 0)
    assert ["stage=serie-a" in path for path in asked] == [True, True, False, False]


def test_generator_keeps_its_pace_and_ends(database: Path) -> None:
    with served(build(Config(database))) as client:
        before = samples(client)
        LOAD.run(f"127.0.0.1:{client.base_url.port}", seconds=1.0)
        text = [(name, value - before.get(name, 0)) for name, value in samples(client).items()]
    answered = sum(value for name, value in text if name.startswith("http_requests_total"))
    assert 60 <= answered <= len(cycle()) / CYCLE_SECONDS + 1


def test_generator_survives_a_target_that_is_gone() -> None:
    LOAD.run("127.0.0.1:9", seconds=0.1)
