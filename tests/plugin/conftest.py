"""A bench for the plugin: a folder with a plan, a fake world that it judges, and pytest run there for real."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import pytest_rollout
from tests.plugin.fakes import FakeWorld, fake_world

# Kept in this process: pytester drops what an in-process run imported, and these would be loaded anew each time.
for _module in ("httpcore", "httpx", "prometheus_client", "promql_parser", "sqlalchemy.dialects.sqlite", "yaml"):
    importlib.import_module(_module)
for _found in pkgutil.walk_packages(pytest_rollout.__path__, "pytest_rollout."):
    if ".injected" not in _found.name:  # it belongs to Locust's process, and gevent would patch this one
        with suppress(ImportError):  # of an extra that is not installed
            importlib.import_module(_found.name)

DEADLINE = 60
"""Seconds that one inner run may take."""
_LEAKS = ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID", "PYTEST_PLUGINS", "NO_COLOR")
_NOT_NEEDED = ("playwright", "base_url", "locust", "hypothesispytest", "anyio", "allure_pytest", "cacheprovider")

GATE = {"id": "latency", "promql": "latency", "below": 5}
"""Passes while the fake world says ``latency`` is less than 5, which it does at first."""
OTHER = {"id": "errors", "promql": "errors", "at_most": 0}
FLAGS = {"READS": {"value": True}}


_SANDBOX = """
import json, os, pathlib, sys
arguments = sys.argv[1:]
if arguments[0] == "faults":
    known = {{"api-5xx": "prisma", "slow-reads": "prisma", "wrong-mode": "modes"}}
    print(json.dumps([{{"name": name, "does": "some", "system": system}} for name, system in known.items()]))
    sys.exit()
pathlib.Path("sandbox.pid").write_text(str(os.getpid()))
with open("sandbox.starts", "a") as file:
    print(*arguments, file=file)
if not {url!r} or "broken" in arguments:
    sys.exit("there is no room for a sandbox")
words = dict.fromkeys(("target", "prometheus", "pushgateway", "flags"), {url!r})
system = arguments[arguments.index("--system") + 1] if "--system" in arguments else "prisma"
faults = [word for before, word in zip(arguments, arguments[1:]) if before == "--fault"]
draft = pathlib.Path(f"sandbox.{{system}}.draft")
words["target"] += "" if system == "prisma" else f"/{{system}}"
told = {{"system": system, "variables": {{"SHOP_SYSTEM": system, "SHOP_TOKEN": f"s3cret-{{system}}"}}}}
draft.write_text(json.dumps({{**words, **told, "flags_token": "token", "faults": faults}}))
draft.rename(arguments[arguments.index("--state") + 1])
sys.stdin.read()
pathlib.Path("sandbox.ended").touch()
"""


class Bench:
    """A folder of a user of the plugin."""

    def __init__(self, pytester: pytest.Pytester, world: FakeWorld) -> None:
        self.pytester = pytester
        self.world = world
        self.path = pytester.path

    def plan(
        self,
        *gates: dict[str, Any],
        stage: int = 1,
        flags: dict[str, Any] | None = None,
        rollout: str = "shop",
        folder: str = "",
        **staging: Any,
    ) -> Path:
        """Write a plan with one stage; ``staging`` goes into its environment."""
        entry = {"stage": stage, "name": "Reads", "flags": flags or {}, "gates": list(gates or (GATE,))}
        return self.write_plan({"rollout": rollout, "stages": [entry]}, folder=folder, **staging)

    def write_plan(self, plan: dict[str, Any], *, folder: str = "", **staging: Any) -> Path:
        """Write a plan for the fake world: as ``staging``, and behind a sandbox as ``sandbox``."""
        url = self.world.url
        flags = {"url": url} if any(stage.get("flags") for stage in plan["stages"]) else None
        environment = {"target": url, "prometheus": url, "pushgateway": url, "flags": flags, **staging}
        environment = {key: value for key, value in environment.items() if value is not None}
        environments = {"staging": environment, "sandbox": {"sandbox": True, "time_scale": 60}}
        path = self.path / folder / f"{plan['rollout']}.rollout.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        # JSON is YAML; an entry a line, for the sake of line numbers.
        path.write_text(json.dumps({"environments": environments, **plan}, indent=1), encoding="utf-8")
        return path

    def test(self, source: str, name: str = "test_shop") -> Path:
        """Write a module of tests."""
        return self.pytester.makepyfile(**{name: source})

    def sandbox(self, *, starts: bool = True) -> None:
        """Write a sandbox that is the fake world, or one that does not start."""
        self.pytester.mkpydir("sandbox")
        source = _SANDBOX.format(url=self.world.url if starts else "")
        (self.path / "sandbox" / "__main__.py").write_text(source, encoding="utf-8")

    def sandbox_starts(self) -> list[str]:
        """Return the arguments of each start of the sandbox."""
        path = self.path / "sandbox.starts"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def arguments(self, *arguments: str) -> list[str]:
        """Return what every run is given (without the plugins that nothing here is about), then the arguments."""
        quick = [part for name in _NOT_NEEDED for part in ("-p", f"no:{name}")]
        return [*quick, "--rollout-env", "staging", "--rollout-push", "never", *arguments]

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run pytest in this process."""
        return self.pytester.runpytest_inprocess(*self.arguments(*arguments))

    def run_apart(self, *arguments: str) -> pytest.RunResult:
        """Run pytest in a process of its own."""
        return self.pytester.runpytest_subprocess(*self.arguments(*arguments), timeout=DEADLINE)

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start pytest in a process of its own, its output in the file ``output``; it is killed in the end."""
        with (self.path / "output").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "pytest", *self.arguments(*arguments)],
                cwd=self.path,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A shell starts its background jobs with SIGINT ignored, and they hand that on.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - one call, no lock
            )
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    def output(self) -> str:
        """Return what the running process has written so far."""
        return (self.path / "output").read_text(encoding="utf-8")

    @property
    def verdict_path(self) -> Path:
        """Where the verdict document goes."""
        return self.path / "reports" / "verdict.json"

    def document(self) -> dict[str, Any]:
        """Return the verdict document."""
        document: dict[str, Any] = json.loads(self.verdict_path.read_text(encoding="utf-8"))
        return document

    @property
    def decision(self) -> str:
        """The decision of the run."""
        return str(self.document()["decision"])

    def checks(self) -> dict[str, str]:
        """Return check id to ``verdict reason``, over all stages."""
        entries = [check for stage in self.document()["stages"] for check in stage["checks"]]
        return {check["id"]: f"{check['verdict']} {check['reason']}" for check in entries}


def until(holds: Callable[[], object], what: str, seconds: float = 20) -> None:
    """Wait for a condition; AssertionError after so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"after {seconds:g} s: {what}"
        time.sleep(0.02)


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    """Return a fake world in which everything is well."""
    with fake_world() as world:
        world.values |= {"latency": 1, "errors": 0}
        yield world


@pytest.fixture
def bench(pytester: pytest.Pytester, world: FakeWorld, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Return an empty folder of a user, shielded from the run outside."""
    for name in (*_LEAKS, *(name for name in os.environ if name.startswith("ROLLOUT_"))):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # or every inner run compiles every plugin anew
    pytester.makepyprojecttoml('[tool.pytest]\nrollout_plans = ["."]\n')
    return Bench(pytester, world)
