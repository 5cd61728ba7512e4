"""A real PostgreSQL server for tests: in a folder of its own, on a Unix socket, as a user that is not root."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from pytest_rollout.process import dying_with_parent

_START_SECONDS = 20.0


class Postgres:
    """A running server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)

    def new_database(self) -> str:
        """Return the URL of a database with nothing in it."""
        name = f"test{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def new_schema(self) -> str:
        """Return the URL of a schema with nothing in it, which looks like a database and is made much quicker."""
        name = f"test{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        return self.url("postgres") + f"&options=-csearch_path%3D{name}"

    def url(self, database: str, user: str = "test") -> str:
        """Return the URL of a database."""
        return f"postgresql://{user}@/{database}?host={self._folder}"


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start a server, and stop it. Nobody but this user of this machine can reach it."""
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    user = _user()
    if user is not None:
        shutil.chown(folder, user)
    try:
        flags = ["--username=test", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
        _run([_program("initdb"), f"--pgdata={folder / 'data'}", *flags], user)
        with _server(folder, user):
            yield Postgres(folder)
    finally:
        shutil.rmtree(folder)


@contextmanager
def _server(folder: Path, user: str | None) -> Iterator[None]:
    settings = {"listen_addresses": "", "unix_socket_directories": str(folder), "max_connections": "50"}
    options = itertools.chain.from_iterable(("-c", f"{name}={value}") for name, value in settings.items())
    argv = [_program("postgres"), "-D", str(folder / "data"), *options]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, preexec_fn=dying_with_parent(), **_as(user))  # noqa: PLW1509
    try:
        _await(folder, process)
        yield
    finally:
        process.send_signal(signal.SIGQUIT)  # at once: what it holds is thrown away
        process.wait(_START_SECONDS)


def _await(folder: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            psycopg.connect(Postgres(folder).url("postgres")).close()
        except psycopg.OperationalError:
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.01)
        else:
            return
    raise TimeoutError((folder / "log").read_text())


def _program(name: str) -> str:
    """Return the path of a program of the server; Debian and Homebrew keep them out of PATH, see scripts/setup."""
    homes = ("usr/lib/postgresql/*", "opt/homebrew/opt/postgresql@*", "usr/local/opt/postgresql@*")
    own = [path for home in homes for path in Path("/").glob(f"{home}/bin/{name}")]
    newest = max(own, key=lambda path: int(path.parts[-3].rpartition("@")[2]), default=None)
    found = shutil.which(name) or newest
    assert found, f"{name} is not installed: make setup"
    return str(found)


def _user() -> str | None:
    """Return the user to run as: PostgreSQL refuses to run as root."""
    if os.geteuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _as(user: str | None) -> dict[str, Any]:
    return {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": [], "cwd": "/"}


def _run(argv: list[str], user: str | None) -> None:
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=_START_SECONDS, **_as(user))
    assert done.returncode == 0, done.stderr
