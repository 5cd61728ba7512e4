"""The three validated endpoints, and the listing that shows what was stored."""

from datetime import UTC, datetime
from uuid import uuid4

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.normalization.allocations import merged
from sandbox.normalization.call import Call, Checked, Instance, route
from sandbox.normalization.deprecation import rfc3339
from sandbox.normalization.modes import COMPANIES, MONTE_CARLO, STRATEGIES
from sandbox.normalization.portfolio import start_of_page
from sandbox.normalization.shapes import (
    CompaniesQuery,
    FundQuery,
    SimulationOrder,
    StrategyOrder,
    read_body,
    read_query,
)
from sandbox.normalization.simulation import mix, simulate


def monte_carlo(call: Call) -> Response:
    """POST /api/monte-carlo/simulate."""
    order = read_body(SimulationOrder, call.body)
    weights = [entry.weight for entry in order.stage_distribution]
    call.require_one("/stageDistribution", weights)
    call.instance.portfolio.require_fund(order.fund_id)
    checked = call.check([entry.stage for entry in order.stage_distribution])
    entries = list(zip(checked.stages, weights, strict=True))
    results = simulate(order.fund_id, order.runs, order.time_horizon_years, mix(entries))
    body = {
        "runId": str(uuid4()),
        "generatedAt": rfc3339(datetime.now(UTC)),
        "fundId": order.fund_id,
        "runs": order.runs,
        "timeHorizonYears": order.time_horizon_years,
        "stageDistribution": [{"stage": stage, "weight": float(weight)} for stage, weight in entries],
        "results": call.instance.behaviour.results(call.mode, results),
    }
    return call.answer(200, body, checked)


def add_strategy(call: Call) -> Response:
    """POST /api/portfolio/strategies."""
    fund = read_query(FundQuery, call.request.query_params.multi_items()).fund_id
    order = read_body(StrategyOrder, call.body)
    call.require_one("/sectorAllocation", order.sector_allocation.values())
    call.require_one("/stageAllocation", order.stage_allocation.values())
    portfolio = call.instance.portfolio
    portfolio.require_fund(fund)
    if call.instance.behaviour.stores_first:
        portfolio.add_strategy(fund, order, order.stage_allocation)
    checked = call.check(list(order.stage_allocation))
    stages = merged(zip(checked.stages, order.stage_allocation.values(), strict=True))
    return call.answer(201, portfolio.add_strategy(fund, order, stages), checked)


def strategies(call: Call) -> Response:
    """GET /api/portfolio/strategies."""
    fund = read_query(FundQuery, call.request.query_params.multi_items()).fund_id
    call.instance.portfolio.require_fund(fund)
    return JSONResponse(call.instance.portfolio.strategies(fund))


def companies(call: Call) -> Response:
    """GET /api/funds/{fundId}/companies."""
    asked = [*call.request.query_params.multi_items(), ("fundId", call.request.path_params["fundId"])]
    query = read_query(CompaniesQuery, asked)
    after = start_of_page(query)
    call.instance.portfolio.require_fund(query.fund_id)
    checked = Checked(()) if query.stage is None else call.check([query.stage])
    stage = checked.stages[0] if checked.stages else None
    found = call.instance.portfolio.companies(query.model_copy(update={"stage": stage}), after)
    return call.answer(200, {"fundId": query.fund_id, "stage": stage, **found}, checked)


def routes(instance: Instance) -> list[Route]:
    """Return the routes of the API."""
    return [
        route(instance, MONTE_CARLO, "POST", monte_carlo),
        route(instance, STRATEGIES, "POST", add_strategy),
        route(instance, STRATEGIES, "GET", strategies),
        route(instance, COMPANIES, "GET", companies),
    ]
