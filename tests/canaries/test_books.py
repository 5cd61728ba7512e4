# ruff: noqa: RUF001 - Persian digits are meant
"""What is read over HTTP: cards in any digits, counters though payments go on, answers that are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Any

import httpx
import pytest

from canaries.prisma.books import Books, card_numbers, counters, until_equal
from canaries.prisma.settlement import UnusableError

CARD = '<p>Billed</p><div class="text-2xl font-bold">{}</div>'
METRICS = """# TYPE financial_orchestrator_payments_total counter
financial_orchestrator_payments_total{{status="success"}} {}
# TYPE financial_orchestrator_rollbacks_total counter
financial_orchestrator_rollbacks_total 0
# TYPE process_start_time_seconds gauge
process_start_time_seconds 5
"""


def books(answer: Callable[[httpx.Request], httpx.Response]) -> Books:
    return Books(httpx.Client(base_url="http://portal.test", transport=httpx.MockTransport(answer)))


def answering(status: int, body: Any = None, text: str = "") -> Books:
    return books(lambda _: httpx.Response(status, json=body) if body is not None else httpx.Response(status, text=text))


def counting(recorded: Iterator[int], counted: Iterator[int]) -> Books:
    """Return books in which payments and their counter move with every read."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/payments":
            return httpx.Response(200, json=[{"reversalOf": None}] * next(recorded) + [{"reversalOf": 1}])
        return httpx.Response(200, text=METRICS.format(next(counted)))

    return books(answer)


@pytest.mark.parametrize(
    ("figures", "numbers"),
    [
        (("1,200", "0", "-7", "3"), [1200, 0, -7, 3]),
        (("۱٬۲۰۰", "۰", "\N{MINUS SIGN}۷", "۳"), [1200, 0, -7, 3]),
        (("<b>1</b>,<i>2</i>00", " 0\n", "-<div>7</div>", "3"), [1200, 0, -7, 3]),
    ],
    ids=["latin", "persian", "nested"],
)
def test_cards(figures: tuple[str, ...], numbers: list[int]) -> None:
    assert card_numbers("<h1>Ada 9</h1>" + "".join(CARD.format(figure) for figure in figures)) == numbers


def test_cards_are_four() -> None:
    with pytest.raises(AssertionError, match=r"^expected 4 cards, found 3$"):
        card_numbers(CARD.format("1") * 3)


def test_counters_that_were_not_used_yet_are_0() -> None:
    found = counters(METRICS.format(7))
    assert found == {"success": 7, "failure": 0, "rollbacks": 0, "started": 5.0}


@pytest.mark.parametrize("name", ["financial_orchestrator_payments", "financial_orchestrator_rollbacks"])
def test_counter_that_is_not_there_is_no_0(name: str) -> None:
    with pytest.raises(UnusableError) as caught:
        counters(METRICS.format(7).replace(name, "renamed"))
    assert str(caught.value) == f"/api/internal/metrics has no {name}_total, so nothing can be counted"


def test_tally_belongs_to_one_moment() -> None:
    tally = counting(iter([3, 4, 4, 5, 5, 5]), iter([3, 4, 4, 5, 5])).tally()
    assert (tally.recorded, tally.success) == (5, 5)


def test_payment_that_is_counted_a_moment_later_is_waited_for() -> None:
    tally = counting(repeat(5), chain([4], repeat(5))).tally()
    assert (tally.recorded, tally.success) == (5, 5)


def test_tally_gives_up() -> None:
    with pytest.raises(UnusableError) as caught:
        counting(iter(range(100)), iter(range(100))).tally()
    assert str(caught.value) == "payments came in too fast to tell what the counters count: 60 reads, no two alike"


def test_read_that_fails_is_a_failure_of_the_system() -> None:
    with pytest.raises(AssertionError, match=r"^GET /api/invoices answered 500$"):
        answering(500).rows("invoices")


def test_missing_summary_is_a_failure_of_the_system() -> None:
    with pytest.raises(AssertionError, match=r"^GET /api/agent-summaries has no row for agent 7$"):
        answering(200, []).summary(7)


def test_missing_agent_is_no_failure() -> None:
    with pytest.raises(UnusableError) as caught:
        answering(200, []).agent("SYN-001")
    assert str(caught.value) == (
        "there is no agent SYN-001: seed the canary dataset, an agent with this code and two open invoices "
        "that nobody else pays for"
    )


def test_deployment_without_reversals_is_no_failure() -> None:
    with pytest.raises(UnusableError) as caught:
        answering(200, []).require_reversals()
    assert str(caught.value) == (
        "this canary cannot be used here: there is no POST /api/payments/{id}/reversal to take its payment back with "
        "(for a payment that is not there it answered 200 [])"
    )


@pytest.mark.parametrize("status", [404, 405])
def test_address_that_is_not_there(status: int) -> None:
    with pytest.raises(UnusableError, match=rf"it answered {status} <h1>nothing here</h1>\)$"):
        answering(status, text="<h1>nothing here</h1>").require_reversals()


def test_audit_that_is_not_there() -> None:
    with pytest.raises(UnusableError, match=r"^there is no GET /api/audit\?correlationId=\.\.\., which this canary"):
        answering(404).audit("x")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"success": True, "paymentId": 2, "reversalOf": 1}),
        (201, {"success": False, "paymentId": 2, "reversalOf": 1}),
        (201, {"success": True, "paymentId": 2, "reversalOf": 7}),
        (201, []),
    ],
    ids=["status", "success", "another", "nonsense"],
)
def test_reversal_that_is_none(status: int, body: Any) -> None:
    with pytest.raises(
        AssertionError, match=rf"^payment 1 was not taken back: POST \.\.\./reversal answered {status} "
    ):
        answering(status, body).reverse(1, "back")


def test_reversal_is_sent_again_if_nobody_answers() -> None:
    faults = iter([httpx.ReadTimeout("late"), httpx.ConnectError("refused")])

    def answer(request: httpx.Request) -> httpx.Response:
        for fault in faults:
            raise fault
        assert request.headers["x-correlation-id"] == "back"
        return httpx.Response(201, json={"success": True, "paymentId": 2, "reversalOf": 1})

    assert books(answer).reverse(1, "back") == 2


def test_reversal_gives_up_if_nobody_answers() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(httpx.ConnectError):
        books(answer).reverse(1, "back")


def test_until_equal_reads_until_it_is_so_or_time_is_up() -> None:
    values = iter([1, 2, 3, 4])
    assert until_equal(lambda: next(values), 3, 5) == 3
    assert until_equal(lambda: 7, 3, 0) == 7
