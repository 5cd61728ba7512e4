"""Odd requests: ids, stages, payloads and paths that a client can make up, and that no label may ever hold."""

from __future__ import annotations

from collections.abc import Iterator

from canaries.stage_normalization.endpoints import Ask, simulation, strategy

_TEXTS = (
    "odd stage {0}",
    "séries {0}",
    "series-a{0}",
    "__proto__{0}",
    'a"b\\{0}',
    "new\nline {0}",
    "{{{0}}}",
    "${{jndi:{0}}}",
    "'; DROP TABLE {0};--",
    "\uff19\uff19{0}",  # fullwidth digits
    "\uff53eed{0}",
    "NaN{0}",
    "x" * 80 + "{0}",
)
_FUNDS = ("999{0}", "-{0}", "1e{0}", "odd-{0}", "%2e%2e%2f{0}")
_SIZES = (1, 2, 5, 6, 10, 11, 40)
COHORTS = ("odd-{0}", "golden-{0}")
"""Cohorts of a client's making: no flag names them."""


def odd_requests(turn: int) -> Iterator[Ask]:
    """Yield about sixty requests, none of which any other turn has; both turns are of the same kinds."""
    for text in _TEXTS:
        stage = text.format(turn)
        yield Ask("POST", "/api/monte-carlo/simulate", {}, simulation([(stage, 1)], 1))
        yield Ask("POST", "/api/portfolio/strategies", {"fundId": "8"}, strategy({stage: 1}, f"synthetic odd {turn}"))
        yield Ask("GET", "/api/funds/1/companies", {"stage": stage})
    for size in _SIZES:
        entries = [(f"odd {turn} {number}", 1 / size) for number in range(size)]
        yield Ask("POST", "/api/monte-carlo/simulate", {}, simulation(entries, 1))
        yield Ask(
            "POST", "/api/portfolio/strategies", {"fundId": "8"}, strategy(dict(entries), f"synthetic odd {turn}")
        )
    for fund in _FUNDS:
        yield Ask("GET", f"/api/funds/{fund.format(turn)}/companies", {"stage": "seed"})
    yield Ask("GET", "/api/funds/1/companies", {"stage": "seed", f"odd{turn}": "1"})
    yield Ask("GET", "/api/funds/1/companies", {"stage": "seed", "limit": f"{turn}{turn}{turn}0"})
    yield Ask("GET", "/api/funds/1/companies", {"stage": "seed", "cursor": f"odd{turn}"})
    yield Ask("POST", "/api/monte-carlo/simulate", {}, {f"odd{turn}": turn})
    yield Ask("POST", "/api/portfolio/strategies", {"fundId": f"odd{turn}"}, strategy({"seed": 1}))
    yield Ask("PATCH", f"/api/portfolio/strategies/{turn}", {})
    yield Ask("GET", f"/api/odd/{turn}", {})
