"""Run Locust as a subprocess, bounded, and read what it leaves."""

from __future__ import annotations

import re
import secrets
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import TypeAlias

from pytest_rollout.errors import LoadError
from pytest_rollout.load.order import REFUSAL, RESULT, SO_FAR, VARIABLE, LoadOrder, without_secrets
from pytest_rollout.load.result import LoadResult, read
from pytest_rollout.process import Bounds, StopRequest, run_bounded
from pytest_rollout.publish.verdict_file import write_atomic

LOCUST = "ROLLOUT_LOCUST"
"""The environment variable that names another locust command, such as one of a virtual environment of its own."""
START_UP = 20.0
"""Seconds that Locust may take to start, and as many to end, beside the run itself."""
_ORDER = "order.json"
LOOPBACK = "127.0.0.1"
LOOK_EVERY = 2.0
"""Seconds between looks at a run, at least; each look makes arrivals a little late."""
_LOOKS = 20
"""At a run of minutes."""
_FEW_LOOKS = 4
"""At a run of seconds."""
Look: TypeAlias = Callable[[LoadResult], bool]
RECORDER = Path(__file__).parent / "injected" / "recorder.py"
"""What Locust loads behind the user's file; a worker that joins from elsewhere needs it too: ``-f user.py,<this>``."""
_HERE = ["--headless", "--exit-code-on-error", "0", "--processes", "0", "--tags", "--exclude-tags"]
"""What a locust.conf may not change; without tags all tasks are run."""
_USUAL_ENDS = (0, 1, None)
"""Exit codes; None: it was stopped; 1: Locust's for failed requests, and a locustfile's for what it likes."""
_ENDS = {
    None: "had to be stopped",
    -signal.SIGALRM: "did not end in time; is a task busy without waiting for anything?",
}
_TAIL = 12
_TABLE = re.compile(r"\|.*\||-\|-|( +\d+){6}$|^(Response time percentiles|Type +Name)")
"""A line of one of the tables that Locust ends with."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a run happens."""

    folder: Path
    """A folder of its own, for the order, the result and Locust's log."""
    cwd: Path
    """Where Locust runs: the locustfile imports from here."""
    env: Mapping[str, str]
    bind: str = LOOPBACK
    """The address where a master waits for workers."""
    port: int | None = None
    """Its port; None: a free one."""
    own_workers: bool = True
    """Whether to start the workers here. If not, they have to join the master from elsewhere."""
    patience: float = START_UP
    """How long to wait for workers to join (seconds)."""
    stopped: Callable[[], bool] = lambda: False


def run(order: LoadOrder, site: Site, look: Look | None = None) -> LoadResult:
    """Make the load and return what was seen. Raises LoadError if that cannot be judged at all.

    ``look`` gets what was seen so far, every few seconds; if it returns True, the run is stopped.
    """
    site.folder.mkdir(parents=True, exist_ok=True)
    site.folder.chmod(0o700)  # names and errors of requests may tell what is nobody's business
    for old in (_ORDER, RESULT, SO_FAR, REFUSAL):
        (site.folder / old).unlink(missing_ok=True)
    order = replace(
        order,
        run=secrets.token_hex(8),
        locustfile=str(Path(order.locustfile).resolve()),
        look_every=_between_looks(order.duration) if look else 0.0,
    )
    paper = site.folder / _ORDER
    paper.touch(mode=0o600)  # it may hold headers, too
    paper.write_text(order.to_json())
    try:
        code = _Launch(order, site, paper, _stopping(order, site, look)).run()
    finally:
        paper.unlink(missing_ok=True)
        _clean_logs(site.folder)
    return _outcome(order, site, code)


def _clean_logs(folder: Path) -> None:
    """Leave no secret of an address in what Locust and its locustfile have logged."""
    for log in folder.glob("*.log"):
        write_atomic(log, without_secrets(log.read_text(errors="replace")))


def _between_looks(duration: float) -> float:
    return max(LOOK_EVERY, min(duration / _FEW_LOOKS, 5.0), duration / _LOOKS)


def _stopping(order: LoadOrder, site: Site, look: Look | None) -> Callable[[], bool]:
    """Return what says whether to stop: because somebody asks for it, or has seen enough."""
    path, seen = site.folder / SO_FAR, [0]

    def stopped() -> bool:
        if look and path.exists() and (written := path.stat().st_mtime_ns) != seen[0]:
            seen[0] = written
            return look(read(path, order.run)) or site.stopped()
        return site.stopped()

    return stopped


@dataclass(frozen=True, slots=True)
class _Launch:
    """The commands of one run."""

    order: LoadOrder
    site: Site
    paper: Path
    stopped: Callable[[], bool]

    def run(self) -> int | None:
        """Run Locust, alone or with workers; return its exit code, or None if it had to be stopped."""
        order, site = self.order, self.site
        crowd = str(order.users or order.processes)
        lead = ["--only-summary", "--users", crowd, "--spawn-rate", crowd]
        lead += ["--run-time", f"{ceil(order.limit + START_UP)}s"]  # against a shorter one in a locust.conf
        if not order.workers:
            return self._locust(lead, "locust.log", self.stopped)
        port = str(site.port or free_port())
        lead += ["--master", "--master-bind-host", site.bind, "--master-bind-port", port]
        lead += ["--expect-workers", str(order.workers), "--expect-workers-max-wait", str(int(site.patience))]
        return self._crew(lead, ["--worker", "--master-host", site.bind, "--master-port", port])

    def _crew(self, lead: Sequence[str], worker: Sequence[str]) -> int | None:
        """Run a master and its workers, who end with it."""
        over = StopRequest()
        with ThreadPoolExecutor(self.order.workers) as pool:
            for number in range(self.order.workers if self.site.own_workers else 0):
                pool.submit(self._locust, worker, f"worker-{number}.log", over)
            try:
                return self._locust(lead, "locust.log", self.stopped)
            finally:
                over.ask()

    def _locust(self, options: Sequence[str], log: str, stopped: Callable[[], bool]) -> int | None:
        site = self.site
        command = site.env.get(LOCUST)
        argv = shlex.split(command) if command else [sys.executable, "-m", "locust"]
        argv += ["-f", f"{self.order.locustfile},{RECORDER}", *_HERE, *options]
        env = {name: value for name, value in site.env.items() if not name.startswith("LOCUST_")}
        env[VARIABLE] = str(self.paper)
        bounds = Bounds(self.order.limit + START_UP + site.patience, stopped)
        try:
            return run_bounded(argv, cwd=site.cwd, env=env, output=site.folder / log, bounds=bounds)
        except OSError as error:
            raise LoadError(
                f"{argv[0]} cannot be started: {error.strerror}; set {LOCUST} to a locust command"
            ) from error


def _outcome(order: LoadOrder, site: Site, code: int | None) -> LoadResult:
    if (site.folder / REFUSAL).exists():
        raise LoadError((site.folder / REFUSAL).read_text())
    if (site.folder / RESULT).exists() and code in _USUAL_ENDS:
        return read(site.folder / RESULT, order.run)
    raise LoadError(f"Locust {_ENDS.get(code, f'ended with exit code {code}')}{_tail(site.folder / 'locust.log')}")


def _tail(log: Path) -> str:
    """Return the end of a log, without Locust's tables."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    words = [line for line in lines if line.strip() and not _TABLE.search(line)][-_TAIL:]
    return "\n    ".join(["; its last words:", *words]) if words else ""


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens to."""
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        port: int = free.getsockname()[1]
        return port
