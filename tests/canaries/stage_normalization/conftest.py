"""The stage-normalization canaries against two instances of the sandbox's API, served from this process."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from canaries.stage_normalization import books
from canaries.stage_normalization.instances import Instance, fleet
from canaries.stage_normalization.migration import Migration
from canaries.stage_normalization.rehearsal import Preview
from canaries.stage_normalization.test_consistency import OWN
from pytest_rollout.flags.writer import FlagWriter
from pytest_rollout.sources.http import Http
from sandbox.normalization import migrate
from sandbox.normalization.config import Config
from sandbox.normalization.db import open_database
from sandbox.normalization.deployment import create_database
from sandbox.normalization.instance import build
from sandbox.normalization.mode_store import ModeStore
from sandbox.normalization.modes import ENDPOINTS, Mode, ModeWish
from tests.sandbox.hosting import asked, served

COMPANIES = 240
TOKEN = "a-token"
NAME = "synthetic test"


@dataclass(frozen=True)
class Site:
    """A deployment: two instances on one database, its flags and its migration."""

    instances: tuple[Instance, ...]
    migrate: Migration
    flags: FlagWriter
    url: str
    """Of the flag service."""
    folder: Path

    @property
    def preview(self) -> Preview:
        """The deployment as a place for rehearsals, its snapshot taken."""
        preview = Preview(self.instances, self.migrate, self.folder)
        self.migrate.snapshot(preview.snapshot)
        return preview


Open = Callable[..., Site]


def migration_in_process(database: Path, faults: Sequence[str] = ()) -> Migration:
    """Return the migration's command line, run in this process: a process of its own takes half a second."""
    chosen = [part for name in faults for part in ("--fault", name)]

    def start(words: Sequence[str]) -> tuple[int, str]:
        output = io.StringIO()
        with redirect_stdout(output), redirect_stderr(output):
            code = migrate.main(["--database", str(database), *chosen, *words])
        return code, output.getvalue()

    return Migration(start)


@pytest.fixture(autouse=True)
def few_funds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the canaries read the companies of one fund, not of eight: nothing else is quicker by so much."""
    monkeypatch.setattr(books, "FUNDS", (1,))


@pytest.fixture(scope="session")
def in_warn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database to copy, with every endpoint in warn, and a cohort of the consistency canary in each mode."""
    path = create_database(tmp_path_factory.mktemp("warn"), dict.fromkeys(ENDPOINTS, Mode.WARN), COMPANIES)
    engine = open_database(path)
    for mode, cohort in OWN.items():
        ModeStore(engine).change(ENDPOINTS, ModeWish(cohort, Mode(mode), "test", "test"), at=time.time())
    engine.dispose()
    return path


@pytest.fixture
def database(in_warn: Path, tmp_path: Path) -> Path:
    """Return a database of the test's own."""
    return Path(shutil.copy(in_warn, tmp_path / "normalization.db"))


@pytest.fixture
def one(database: Path) -> Iterator[Callable[..., Instance]]:
    """Return what opens one instance with faults, without a port: quicker by far."""
    with ExitStack() as stack:

        def open_one(*faults: str) -> Instance:
            return Instance(stack.enter_context(asked(build(Config(database, faults=frozenset(faults))))))

        yield open_one


@pytest.fixture
def site(database: Path, tmp_path: Path) -> Iterator[Open]:
    """Return what opens a deployment of two instances with faults."""
    with ExitStack() as stack:

        def open_site(*faults: str) -> Site:
            configs = [Config(database, number, faults=frozenset(faults), flags_token=TOKEN) for number in (1, 2)]
            urls = [str(stack.enter_context(served(build(config))).base_url) for config in configs]
            http = Http(headers={"Authorization": f"Bearer {TOKEN}"})
            stack.callback(http.close)
            return Site(
                instances=stack.enter_context(fleet(",".join(urls))),
                migrate=migration_in_process(database, faults),
                flags=FlagWriter(urls[0], http),
                url=urls[0],
                folder=tmp_path,
            )

        yield open_site
