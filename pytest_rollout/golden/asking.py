"""Send requests to the instances of an endpoint, with the headers that all of them get."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from pytest_rollout.errors import SourceError
from pytest_rollout.golden.endpoint import ByGauge, ByProbe, Confirmation, Question, SetByHeader, Site
from pytest_rollout.golden.exact import write_exact
from pytest_rollout.golden.wire import RawRequest, Reply, Wire, merged_headers

POLL = 0.05
"""Seconds between two looks at something that is waited for."""


@dataclass(frozen=True)
class World:
    """What an observer needs of the world outside; ``clock`` tells unix seconds."""

    wire: Wire
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


def question_of(confirmation: Confirmation) -> Question:
    """Return the request whose answer tells the mode."""
    if isinstance(confirmation, ByProbe):
        return confirmation.probe
    headers = {} if isinstance(confirmation, ByGauge) else confirmation.headers
    return Question(path=confirmation.path, headers=headers)


class Asker:
    """Asks the instances of one endpoint; no answer is an answer, too."""

    def __init__(self, site: Site, world: World) -> None:
        self.site = site
        self.world = world
        self.endpoint = site.endpoint

    def ask(self, instance: str, question: Question, mode: str | None = None) -> tuple[Reply | None, str]:
        """Return the answer to a question, or None and why there is none. Raises EnvironmentUnready."""
        content = write_exact(question.json_body).encode() if question.has("json_body") else None
        typed = {"Content-Type": "application/json"} if content is not None else {}
        common = {**self.common_headers(mode), **typed}
        base, target = self.site.place(instance, question.path)
        headers = merged_headers(common, self.site.headers(question.headers))
        return self.send(base, RawRequest(question.method, target, headers, content))

    def read(self, instance: str, path: str) -> Reply | None:
        """Return the answer to a GET, or None."""
        return self.ask(instance, Question(path=path))[0]

    def send(self, base: str, request: RawRequest) -> tuple[Reply | None, str]:
        """Return the answer to a request, or None and why there is none."""
        try:
            return self.world.wire(base, request), ""
        except SourceError as exc:
            return None, str(exc)

    def common_headers(self, mode: str | None) -> dict[str, str]:
        """Return what every request has, in a mode that is set by a header that header too."""
        switch = self.endpoint.mode.set
        by_header = {switch.name: switch.values.get(mode, mode)} if mode and isinstance(switch, SetByHeader) else {}
        return {**self.site.headers(self.endpoint.headers), **by_header}
