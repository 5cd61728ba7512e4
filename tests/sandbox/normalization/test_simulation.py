"""The simulation gives the same answer to the same question, and strategies are stored as they are answered."""

from decimal import Decimal

import httpx
import pytest

from sandbox.normalization.simulation import mix, simulate as run
from tests.sandbox.normalization.asking import add, distribution, simulate, stable, strategy
from tests.sandbox.normalization.conftest import MODES


def test_results_are_a_function_of_the_request(unchanged: httpx.Client) -> None:
    body = distribution("seed", "series-a")
    one, other = (simulate(unchanged, "off", body) for _ in range(2))
    assert stable(one) == stable(other)
    assert one.json()["runId"] != other.json()["runId"]
    for change in ({"fundId": 2}, {"runs": 21}, {"timeHorizonYears": 9}):
        assert simulate(unchanged, "off", body | change).json()["results"] != one.json()["results"]


def test_results_are_these() -> None:
    """Golden payloads hold such numbers: they must not change from one release to the next."""
    weights = mix([("series-a", Decimal("0.40")), ("Seed", Decimal("0.3")), ("seed", Decimal("0.3"))])
    assert run(1, 100, 10, weights) == {
        "mean": pytest.approx(3.708429, abs=2e-6),
        "lossProbability": 0.29,
        "percentiles": [
            {"percentile": percent, "value": pytest.approx(value, abs=2e-6)}
            for percent, value in ((5, 0.0), (25, 0.713728), (50, 2.22051), (75, 5.353142), (95, 12.01431))
        ],
    }


@pytest.mark.parametrize("mode", MODES)
def test_alias_and_order_do_not_change_the_results(unchanged: httpx.Client, mode: str) -> None:
    stages = [("seed", "series-a"), ("Seed", "Series A"), ("series_a", "SEED")]
    results = [simulate(unchanged, mode, distribution(*pair)).json()["results"] for pair in stages]
    assert all(result == results[0] for result in results)


def test_unknown_stages_are_all_alike_to_the_simulation(unchanged: httpx.Client) -> None:
    one, other = (simulate(unchanged, "off", distribution("seed", stage)).json() for stage in ("foo", "bar"))
    assert one["results"] == other["results"]


def test_weights_come_back_as_they_were_sent(unchanged: httpx.Client) -> None:
    body = distribution("seed", "series-a", "series-b", weights=(0.333333, 0.333333, 0.333333))
    assert simulate(unchanged, "enforce", body).json()["stageDistribution"] == body["stageDistribution"]


def listing(client: httpx.Client) -> dict[str, object]:
    body: dict[str, object] = client.get("/api/portfolio/strategies?fundId=1").json()
    return body


def test_strategy_is_stored_as_answered(client: httpx.Client) -> None:
    before = listing(client)["total"]
    answer = add(client, "warn", strategy(**{"Series A": 0.5, "series_a": 0.25, "seed": 0.25}))
    assert answer.json()["stageAllocation"] == {"series-a": 0.75, "seed": 0.25}
    after = listing(client)
    assert after["total"] == before + 1  # type: ignore[operator]
    assert after["data"][0] == answer.json()  # type: ignore[index]


def test_off_stores_what_was_sent_and_the_listing_recognises_it(client: httpx.Client) -> None:
    answer = add(client, "off", strategy(**{"Series A": 0.5, "angel": 0.5}))
    assert answer.json()["stageAllocation"] == {"Series A": 0.5, "angel": 0.5}
    assert listing(client)["data"][0]["stageAllocation"] == {"series-a": 0.5, "angel": 0.5}  # type: ignore[index]


def test_rejected_strategy_leaves_nothing(client: httpx.Client) -> None:
    before = listing(client)
    assert add(client, "enforce", strategy(angel=1)).status_code == 400
    assert listing(client) == before
