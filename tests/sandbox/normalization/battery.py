"""A battery of requests in every mode: what it sees change between a healthy and a faulty instance is the fault."""

from collections.abc import Callable, Mapping
from typing import Any

import httpx

from tests.sandbox.normalization.asking import add, companies, deprecation, distribution, samples, simulate, strategy
from tests.sandbox.normalization.conftest import MODES

MANY = [f"{stage}{blank}" for stage in ("seed", "series-a") for blank in ("", " ", "  ", "   ", "    ", "     ")]
SIMULATIONS: Mapping[str, dict[str, Any]] = {
    "mc-valid": distribution("seed", "series-a"),
    "mc-plus": distribution("series-c+"),
    "mc-alias": distribution("Series A"),
    "mc-underscore": distribution("series_b", "seed"),
    "mc-fullwidth": distribution("ｓｅｅｄ"),  # noqa: RUF001
    "mc-many": distribution(*MANY, weights=(0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.1, 0.1, 0.1, 0.05, 0.05)),
    "mc-typo": distribution("serie-b", "seed"),
    "mc-far": distribution("something-else"),
    "mc-seriesc": distribution("seriesc"),
    "mc-proto": distribution("__proto__"),
    "mc-low": distribution("seed", "series-a", "series-b", weights=(0.333333,) * 3),
    "mc-high": distribution("seed", "series-a", weights=(0.5, 0.500001)),
    "mc-sum": distribution("seed", weights=(0.9,)),
}
STRATEGIES: Mapping[str, dict[str, Any]] = {
    "st-valid": strategy(seed=1),
    "st-alias": strategy(**{"Series A": 0.5, "seriesA": 0.25, "seed": 0.25}),
    "st-typo": strategy(**{"serie-b": 1}),
}
COMPANIES: Mapping[str, str] = {
    "co-page": "limit=10",
    "co-valid": "stage=series-a&limit=100",
    "co-alias": "stage=Series%20A&limit=100",
    "co-typo": "stage=serie-b",
}
PROBES = [*SIMULATIONS, *STRATEGIES, "st-stored", *COMPANIES, "co-next"]
_VOLATILE = {"runId", "generatedAt", "createdAt", "id", "correlationId"}
_MOST = 0.5


def observe(client: httpx.Client) -> dict[str, Any]:
    """Return everything the battery sees, by ``mode.probe``, document or metric family."""
    before = samples(client)
    seen = {f"{mode}.{name}": value for mode in MODES for name, value in _in_mode(client, mode).items()}
    after = samples(client)
    for name, value in after.items():
        family = name.partition("{")[0]
        if not name.startswith(("http_", "process_")):
            seen.setdefault(f"metric.{family}", {})[name] = value - (0 if "mode{" in name else before.get(name, 0))
    seen["openapi"] = client.get("/openapi.json").json()
    seen["deprecations"] = client.get("/api/deprecations").json()
    seen["slow"] = _share_within_5_ms(client) < _MOST
    return seen


def _in_mode(client: httpx.Client, mode: str) -> dict[str, Any]:
    asked: dict[str, Callable[[], httpx.Response]] = {}
    for name, body in SIMULATIONS.items():
        asked[name] = lambda body=body: simulate(client, mode, body)  # type: ignore[misc]
    for name, body in STRATEGIES.items():
        asked[name] = lambda body=body: add(client, mode, body)  # type: ignore[misc]
    for name, query in COMPANIES.items():
        asked[name] = lambda query=query: companies(client, mode, query)  # type: ignore[misc]
    seen: dict[str, Any] = {name: _answer(ask()) for name, ask in asked.items()}
    stored = client.get("/api/portfolio/strategies?fundId=1").json()
    seen["st-stored"] = (stored["total"], [row["stageAllocation"] for row in stored["data"]])
    cursor = companies(client, mode, COMPANIES["co-page"]).json()["nextCursor"]
    seen["co-next"] = [row["id"] for row in companies(client, mode, f"limit=10&cursor={cursor}").json()["data"]]
    return seen


def _answer(response: httpx.Response) -> tuple[int, Any, Any]:
    body = {name: value if name not in _VOLATILE else "" for name, value in response.json().items()}
    return response.status_code, deprecation(response), body


def _share_within_5_ms(client: httpx.Client) -> float:
    lines = [line for line in client.get("/metrics").text.splitlines() if "validation_duration_seconds_bucket" in line]
    quick, number = (sum(float(line.split()[-1]) for line in lines if f'le="{le}"' in line) for le in ("0.005", "+Inf"))
    return quick / number
