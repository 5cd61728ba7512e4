"""Changing flags: in both systems of the sandbox, and in services that do something else than they are asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from pytest_rollout.errors import QueryRefused, SourceError, SourceUnreachable
from pytest_rollout.flags.writer import FlagWriter, Rules
from pytest_rollout.sources.flags import FlagReader
from pytest_rollout.sources.http import Http
from sandbox.normalization.config import Config as Modes
from sandbox.normalization.deployment import create_database
from sandbox.normalization.instance import build as modes_app
from sandbox.normalization.modes import ENDPOINTS, Mode
from sandbox.prisma.app import build as prisma_app
from sandbox.prisma.config import Config as Prisma
from tests.flags.service import Service
from tests.sandbox.hosting import served
from tests.sources.fakes import Reply, fake_server

TOKEN = "a-token"
WHO = {"actor": "ann", "reason": "a test"}
MODE, READS = "STAGE_VALIDATION_MODE_COMPANIES", "PERSISTENCE_PRISMA_READS"


@pytest.fixture(autouse=True)
def _short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_rollout.flags.writer._RETRY_BUDGET", 0.15)


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return the addresses of the flag services of both systems of the sandbox."""
    folder = tmp_path_factory.mktemp("flags")
    database = create_database(folder, dict.fromkeys(ENDPOINTS, Mode.ENFORCE), 16)
    with ExitStack() as stack:
        prisma = stack.enter_context(served(prisma_app(Prisma(folder, flags_token=TOKEN))))
        modes = stack.enter_context(served(modes_app(Modes(database, flags_token=TOKEN))))
        yield {READS: str(prisma.base_url), MODE: str(modes.base_url)}


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    client = Http(headers={"Authorization": f"Bearer {TOKEN}"})
    yield client
    client.close()


@pytest.mark.parametrize(("flag", "one", "other"), [(READS, True, False), (MODE, "warn", "off")])
def test_what_is_asked_for_is_so(
    systems: dict[str, str], http: Http, flag: str, one: bool | str, other: bool | str
) -> None:
    writer, reader = FlagWriter(systems[flag], http), FlagReader(systems[flag], http)

    def values() -> list[object]:
        return [reader.read(flag, cohort).value for cohort in ("*", "canary")]

    writer.set(flag, other, **WHO)
    writer.set(flag, one, "canary", **WHO)
    assert values() == [other, one]
    assert reader.read(flag, "canary").changed_by == "ann"
    before = writer.snapshot()
    assert before[flag] == Rules(other, {"canary": one})

    writer.remove(flag, "canary", **WHO)
    assert values() == [other, other]
    writer.set(flag, one, **WHO)
    writer.set(flag, one, "staff", **WHO)
    assert writer.snapshot() != before

    writer.restore(before, **WHO)
    assert writer.snapshot() == before
    assert values() == [other, one]


@pytest.mark.parametrize("flag", [READS, MODE])
def test_without_the_right_token_nothing_is_changed(systems: dict[str, str], http: Http, flag: str) -> None:
    before = FlagWriter(systems[flag], http).snapshot()
    stranger = Http(headers={"Authorization": "Bearer another"})
    try:
        with pytest.raises(QueryRefused) as refused:
            FlagWriter(systems[flag], stranger).set(flag, before[flag].default, **WHO)
    finally:
        stranger.close()
    assert str(refused.value) == f"HTTP 401 from {systems[flag]}"
    assert FlagWriter(systems[flag], http).snapshot() == before


def test_a_flag_that_there_is_not_is_refused(systems: dict[str, str], http: Http) -> None:
    with pytest.raises(QueryRefused) as refused:
        FlagWriter(systems[MODE], http).set("STAGE_MODE", "off", **WHO)
    url = systems[MODE]
    assert str(refused.value) == f"""HTTP 404 from {url}: {{"message":"no flag is called 'STAGE_MODE'"}}"""


def test_a_value_of_another_type_is_refused(systems: dict[str, str], http: Http) -> None:
    with pytest.raises(QueryRefused):
        FlagWriter(systems[MODE], http).set(MODE, False, **WHO)
    with pytest.raises(QueryRefused):
        FlagWriter(systems[READS], http).set(READS, "false", **WHO)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_fault_that_passes_is_asked_again(http: Http, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_rollout.flags.writer._RETRY_BUDGET", 2.0)
    replies = [Reply(b"", status), Reply({})]
    with fake_server(lambda _: replies.pop(0)) as server:
        FlagWriter(server.url + "/", http).set("a/b", "on", "c d", **WHO)
        assert [one.method for one in server.asked] == ["PUT", "PUT"]
        assert server.asked[0].path == "/admin/flags/a%2Fb"
        assert server.asked[0].body == '{"cohort":"c d","value":"on","actor":"ann","reason":"a test"}'


ODD = {
    "a fault that stays": (Reply(b"sorry", 503), SourceUnreachable, "HTTP 503 from {url}: sorry"),
    "too many requests": (Reply(b"", 429), SourceUnreachable, "HTTP 429 from {url}"),
    "a redirect": (Reply(b"", 302, {"Location": "/"}), SourceError, "HTTP 302 from {url}"),
    "not modified": (Reply(b"", 304), SourceError, "HTTP 304 from {url}"),
    "a refusal": (Reply(b"no", 403), QueryRefused, "HTTP 403 from {url}: no"),
    "a token in the answer": (
        Reply(b"you sent Bearer a-long-token", 400),
        QueryRefused,
        "HTTP 400 from {url}: you sent Bearer ***",
    ),
}


@pytest.mark.parametrize(("reply", "kind", "said"), ODD.values(), ids=ODD)
def test_what_is_not_taken_is_named(reply: Reply, kind: type[SourceError], said: str) -> None:
    http = Http(1.0, {"Authorization": "Bearer a-long-token"})
    try:
        with fake_server(reply) as server, pytest.raises(kind) as fault:
            FlagWriter(server.url, http).set("READS", False, **WHO)
    finally:
        http.close()
    assert type(fault.value) is kind
    assert str(fault.value) == said.format(url=server.url)


def test_nobody_is_there_or_hangs() -> None:
    http = Http(0.3)
    try:
        with pytest.raises(SourceUnreachable) as fault:
            FlagWriter("http://me:secret@127.0.0.1:1", http).set("READS", False, **WHO)
        assert str(fault.value) == "http://127.0.0.1:1/admin/flags/READS: [Errno 111] Connection refused"
        with fake_server(Reply(hangs=True)) as server, pytest.raises(SourceUnreachable) as fault:
            FlagWriter(server.url, http).remove("READS", "admin", **WHO)
        assert str(fault.value) == f"{server.url}/admin/flags/READS: no complete answer within 0.3 s"
    finally:
        http.close()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "{url}: the answer lists no flags"),
        ({"flags": None}, "{url}: the answer lists no flags"),
        (b"<html>", "{url}: the answer lists no flags"),
        ({"flags": {"A": None}}, "{url}: it does not say what A is: None"),
        (
            {"flags": {"A": {"default": 1, "cohorts": {}}}},
            "{url}: it does not say what A is: {{'default': 1, 'cohorts': {{}}}}",
        ),
        ({"flags": {"A": {"default": True}}}, "{url}: it does not say what A is: {{'default': True}}"),
        (
            {"flags": {"A": {"default": "a", "cohorts": {"b": ""}}}},
            "{url}: it does not say what A is: {{'default': 'a', 'cohorts': {{'b': ''}}}}",
        ),
    ],
)
def test_a_snapshot_that_says_nothing_is_none(http: Http, body: object, said: str) -> None:
    with fake_server(Reply(body)) as server, pytest.raises(SourceError) as fault:
        FlagWriter(server.url, http).snapshot()
    assert str(fault.value) == said.format(url=server.url)


def test_what_cannot_be_restored_is_named() -> None:
    service = Service({"READS": {"*": True, "admin": False}, "MODE": {"*": "off"}, "PORTAL": {"*": False}})
    writer = FlagWriter("http://flags", service)
    before = writer.snapshot()
    service.rules = {"READS": {"*": False}, "MODE": {"*": "warn"}, "PORTAL": {"*": True}}
    service.ignores, service.refuses = {"READS"}, {"MODE": 403}
    with pytest.raises(SourceError) as fault:
        writer.restore(before, **WHO)
    was = "Rules(default=True, cohorts={'admin': False})"
    assert str(fault.value) == (
        f"flags are not as they were: READS was {was}, is Rules(default=False, cohorts={{}}), None; "
        "MODE was Rules(default='off', cohorts={}), is Rules(default='warn', cohorts={}), "
        'HTTP 403 from http://flags: {"message": "as the test wants it"}'
    )
    assert service.rules["PORTAL"] == {"*": False}


def test_what_is_as_it_was_is_left_alone() -> None:
    service = Service({"READS": {"*": True, "admin": False}}, clears=True)
    writer = FlagWriter("http://flags", service)
    writer.restore(writer.snapshot(), **WHO)
    assert service.asked == []


@pytest.mark.parametrize("clears", [True, False])
def test_cohorts_are_restored_after_everybody(clears: bool) -> None:
    service = Service({"READS": {"*": True, "admin": False}}, clears=clears)
    writer = FlagWriter("http://flags", service)
    before = writer.snapshot()
    service.rules = {"READS": {"*": False, "staff": True}}
    writer.restore(before, **WHO)
    assert service.rules == {"READS": {"*": True, "admin": False}}
