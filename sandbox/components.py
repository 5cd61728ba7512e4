"""Prometheus, Pushgateway and Alertmanager as subprocesses on loopback, each on a port of its own choosing."""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[1]
"""Where the package of the sandbox is found."""
START_SECONDS = 30.0
STOP_SECONDS = 3.0
# The first line that names the address still says port 0.
_LISTENING = re.compile(r"address=127\.0\.0\.1:([1-9]\d*)\s")
# A proxy from the environment must not get between two processes of one machine.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ComponentError(RuntimeError):
    """A component did not start or died; the message ends with the last lines of its log."""


class MissingBinaryError(RuntimeError):
    """A program the sandbox needs is not installed."""


@dataclass(frozen=True)
class Job:
    """One scrape job of Prometheus; ``target`` is host:port, or several of them with commas between."""

    name: str
    target: str
    path: str = "/metrics"
    honor_labels: bool = False

    def as_config(self) -> dict[str, Any]:
        """Return the job as an entry of ``scrape_configs``."""
        return {
            "job_name": self.name,
            "metrics_path": self.path,
            "honor_labels": self.honor_labels,
            "static_configs": [{"targets": self.target.split(",")}],
        }


@dataclass(frozen=True)
class ScrapeConfig:
    """What Prometheus scrapes, how often (seconds), where it sends alerts and which rule files it reads."""

    jobs: tuple[Job, ...] = ()
    interval: float = 1.0
    alertmanager: str | None = None
    rule_files: tuple[Path, ...] = ()

    def as_yaml(self) -> str:
        """Return a Prometheus configuration. JSON is YAML, so no YAML library is needed."""
        every = f"{round(self.interval * 1000)}ms"
        config: dict[str, Any] = {
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
            "scrape_configs": [job.as_config() for job in self.jobs],
            "rule_files": [str(path) for path in self.rule_files],
        }
        if self.alertmanager:
            config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [self.alertmanager]}]}]}
        return json.dumps(config, indent=2)


class Component:
    """A running subprocess that writes the address it listens on to its log.

    It starts at once; ``url`` waits until it answers, so several components start side by side.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        directory: Path,
        *,
        ready: str = "/-/ready",
        env: Mapping[str, str] | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log = directory / f"{name}.log"
        self._ready = ready
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                process_group=0,  # Ctrl-C reaches the supervisor alone, which then stops the rest in order
                preexec_fn=_die_with_parent(),  # noqa: PLW1509 - one prctl call, no Python locks involved
            )

    @cached_property
    def url(self) -> str:
        """Return ``http://127.0.0.1:port`` once the component answers there, or raise ComponentError."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ComponentError(self.obituary())
            found = _LISTENING.search(self.log.read_text(errors="replace"))
            if found and status(f"http://127.0.0.1:{found[1]}{self._ready}") == 200:  # noqa: PLR2004
                return f"http://127.0.0.1:{found[1]}"
            time.sleep(0.01)
        raise ComponentError(f"{self.name} did not answer within {START_SECONDS:g} s\n{self.last_lines()}")

    @property
    def address(self) -> str:
        """Return host:port of the url."""
        return self.url.removeprefix("http://")

    def last_lines(self, count: int = 10) -> str:
        """Return the end of the component's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])

    def obituary(self) -> str:
        """Return how the process ended and its last log lines."""
        return f"{self.name} ended with exit code {self.process.returncode}\n{self.last_lines()}"

    def stop(self) -> None:
        """End the process: asked first, killed after 3 s. Does nothing if it has ended."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def stop_all(components: Iterable[Component]) -> None:
    """Ask every component to end, then wait for each."""
    together = list(components)
    for component in together:
        component.process.terminate()
    for component in together:
        component.stop()


def start_prometheus(directory: Path, *, scrape: ScrapeConfig | None = None) -> Component:
    """Start Prometheus with remote write, lifecycle and admin API; without ``scrape`` it scrapes nothing."""
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "prometheus.yml"
    config.write_text((scrape or ScrapeConfig()).as_yaml())
    flags = [
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'prometheus'}",
        "--storage.tsdb.retention.time=30d",
        # Samples stay in memory: writing blocks of two hours takes half of its time, and tests write months.
        "--storage.tsdb.min-block-duration=30d",
        "--web.listen-address=127.0.0.1:0",
        "--web.enable-lifecycle",
        "--web.enable-admin-api",
        "--web.enable-remote-write-receiver",
        # An alert that fires before the Alertmanager is discovered is lost until it is sent again.
        "--rules.alert.resend-delay=1s",
    ]
    # Its heap is small, and collecting garbage as often as usual takes a third of its time.
    return Component("prometheus", [find_binary("prometheus"), *flags], directory, env={"GOGC": "400"})


def configure_prometheus(prometheus: Component, scrape: ScrapeConfig) -> None:
    """Give a running Prometheus another configuration; its first scrape follows within 6 s."""
    (prometheus.log.parent / "prometheus.yml").write_text(scrape.as_yaml())
    request(f"{prometheus.url}/-/reload", method="POST")


def start_pushgateway(directory: Path) -> Component:
    """Start a Pushgateway that keeps its groups in memory."""
    flags = ["--web.listen-address=127.0.0.1:0", "--persistence.file=", "--web.enable-admin-api"]
    return Component("pushgateway", [find_binary("pushgateway"), *flags], directory)


def start_alertmanager(directory: Path, receiver: str | None = None) -> Component:
    """Start an Alertmanager that forms no cluster; it notifies the webhook at ``receiver``, or nobody."""
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "alertmanager.yml"
    webhooks = [{"url": receiver, "send_resolved": True}] if receiver else []
    route = {"receiver": "default", "group_by": ["alertname", "endpoint"], "group_wait": "0s", "group_interval": "1s"}
    config.write_text(
        json.dumps({"route": route, "receivers": [{"name": "default", "webhook_configs": webhooks}]}, indent=2)
    )
    flags = [
        f"--config.file={config}",
        f"--storage.path={directory / 'alertmanager'}",
        "--web.listen-address=127.0.0.1:0",
        "--cluster.listen-address=",
    ]
    return Component("alertmanager", [find_binary("alertmanager"), *flags], directory)


def start_python(
    name: str, directory: Path, module: str, *arguments: str, env: Mapping[str, str] | None = None
) -> Component:
    """Start a module of the sandbox."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    argv = [sys.executable, "-m", module, *arguments]
    return Component(name, argv, directory, ready="/healthz", env={"PYTHONPATH": path, **(env or {})})


def module_command(module: str) -> list[str]:
    """Return a command line that runs a module of the sandbox from any folder."""
    return ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", module]


def find_binary(name: str) -> str:
    """Return the path of a program by its upstream or its Debian name, or raise MissingBinaryError."""
    names = [name] if name == "prometheus" else [name, f"prometheus-{name}"]
    for candidate in names:
        if path := shutil.which(candidate):
            return path
    raise MissingBinaryError(f"cannot find {' or '.join(names)} on PATH; run: make setup")


def request(
    url: str, *, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """Send one HTTP request, past any proxy, and return the body; raises urllib.error.URLError."""
    asked = urllib.request.Request(url, data=body, method=method, headers=dict(headers or {}))
    with _DIRECT.open(asked, timeout=10) as response:
        answer: bytes = response.read()
        return answer


def status(url: str) -> int:
    """Return the HTTP status of a GET, 0 if nobody answers."""
    try:
        request(url)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
    return 200


def _die_with_parent() -> Callable[[], None] | None:
    """Return what a child runs before exec, so that it ends when its parent is killed (Linux only)."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)  # loaded before the fork
    parent = os.getpid()
    set_parent_death_signal = 1

    def prepare() -> None:
        libc.prctl(set_parent_death_signal, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return prepare
