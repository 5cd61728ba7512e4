"""A small target with three modes, in memory: a wire that answers, and is bent as a test says."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pytest_rollout.errors import SourceUnreachable
from pytest_rollout.golden.asking import World
from pytest_rollout.golden.wire import RawRequest, Reply

INSTANCES = ("http://one", "http://two")
STAGES = ("seed", "series-a", "series-b")
NUMBERS = {"off": 0, "warn": 1, "enforce": 2}
OPENAPI = {
    "openapi": "3.1.0",
    "info": {"title": "Funds", "version": "1"},
    "paths": {
        "/api/funds/{fund}/stages": {
            "post": {
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Stages"}},
                    }
                },
                "responses": {
                    "201": {"description": "made"},
                    "400": {
                        "description": "wrong",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                    },
                    "404": {"description": "no fund"},
                },
            }
        }
    },
    "components": {
        "schemas": {
            "Stages": {
                "type": "object",
                "required": ["stages"],
                "additionalProperties": False,
                "properties": {
                    "stages": {"type": "array", "minItems": 1, "items": {"type": "string", "maxLength": 20}},
                    "note": {"type": "string"},
                },
            },
            "Error": {
                "type": "object",
                "required": ["error", "code"],
                "properties": {"error": {"type": "string"}, "code": {"enum": ["UNKNOWN_STAGE", "MALFORMED"]}},
            },
        }
    },
}
DEPRECATED = {
    "Deprecation": "@1751328000",
    "Sunset": "Mon, 31 Dec 2035 23:59:59 GMT",
    "Link": '</docs/stages>; rel="deprecation"; type="text/html"',
}


@dataclass
class Instance:
    """One process of the target."""

    mode: str = "off"
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    started: float = 1_000.0


Bend = Callable[[str, RawRequest, Reply], Reply]


@dataclass
class Target:
    """Answers requests to its instances; ``bend`` may change each answer, and ``lost`` instances give none."""

    now: float = 1_800_000_000.0
    instances: dict[str, Instance] = field(default_factory=lambda: {name: Instance() for name in INSTANCES})
    made: list[int] = field(default_factory=list)
    title: str = "Funds"
    bend: Bend | None = None
    lost: set[str] = field(default_factory=set)
    deaf: set[str] = field(default_factory=set)
    """Instances that keep their mode, whatever they are told."""
    asked: list[tuple[str, RawRequest]] = field(default_factory=list)

    def world(self) -> World:
        """Return the world of an observer: this target, and a clock that passes only in sleep."""
        return World(self, lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def __call__(self, instance: str, request: RawRequest, /) -> Reply:
        """Answer one request."""
        self.asked.append((instance, request))
        if instance in self.lost or instance not in self.instances:
            raise SourceUnreachable(f"{instance}: connection refused")
        found = self.instances[instance].mode
        self.instances[instance].mode = dict(request.headers).get("X-Mode", found)
        reply = self._answer(instance, request)
        if "X-Mode" in dict(request.headers):
            self.instances[instance].mode = found
        return self.bend(instance, request, reply) if self.bend else reply

    def _answer(self, instance: str, request: RawRequest) -> Reply:
        me = self.instances[instance]
        path = request.target.partition("?")[0]
        if path == "/openapi.json":
            return reply({**OPENAPI, "info": {"title": self.title, "version": "1"}})
        if path == "/mode" and request.method == "PUT":
            return self._set(json.loads(request.content or b"{}")["mode"])
        if path == "/mode":
            return reply({"mode": me.mode})
        if path == "/metrics":
            return Reply.received(200, [("Content-Type", "text/plain")], self.metrics(me).encode())
        if path == "/api/made":
            return reply({"total": len(self.made)})
        return self._stages(me, path, request.content or b"")

    def _set(self, mode: str) -> Reply:
        for name, instance in self.instances.items():
            if name not in self.deaf:
                instance.mode = mode
        return reply({}, 200)

    def metrics(self, me: Instance) -> str:
        """Return what an instance says of itself."""
        lines = ["# TYPE checks_total counter"]
        lines += [
            f'checks_total{{mode="{mode}",result="{result}"}} {value}.0' for (mode, result), value in me.counted.items()
        ]
        lines += ["# TYPE mode gauge", f"mode {NUMBERS[me.mode]}.0", f"process_start_time_seconds {me.started}", ""]
        return "\n".join(lines)

    def _stages(self, me: Instance, path: str, content: bytes) -> Reply:
        if path != "/api/funds/1/stages":
            return reply({"error": "no such fund"}, 404)
        try:
            stages = json.loads(content)["stages"]
            unknown = any(one.lower() not in STAGES for one in stages)
        except (ValueError, KeyError, TypeError, AttributeError):
            return reply({"error": "malformed", "code": "MALFORMED"}, 400)
        result = "ok" if not unknown else {"warn": "warn", "enforce": "reject"}.get(me.mode, "")
        if me.mode != "off":
            me.counted[me.mode, result] += 1
        if result == "reject":
            return reply({"error": "unknown stage", "code": "UNKNOWN_STAGE"}, 400)
        self.made.append(len(self.made) + 1)
        shown = stages if me.mode == "off" else [one.lower() if one.lower() in STAGES else one for one in stages]
        body = {"id": self.made[-1], "run": str(uuid.uuid4()), "stages": shown}
        return reply(body, 201, DEPRECATED if result == "warn" else {})


def reply(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """Return a JSON answer."""
    lines = {"Content-Type": "application/json", **(headers or {})}
    return Reply.received(status, lines.items(), json.dumps(body).encode())
