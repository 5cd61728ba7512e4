"""What an answer of the API to a payment amounts to, and what is sent."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from canaries.prisma.payers import Answer, ApiPayer, Order

ORDER = Order(25, 225, "synthetic slot-1", "slot-1", "synthetic-slot-1", "drill")


def answered(status: int, body: Any, headers: dict[str, str] | None = None) -> Answer:
    transport = httpx.MockTransport(lambda _: httpx.Response(status, json=body, headers=headers))
    return ApiPayer(httpx.Client(base_url="http://portal.test", transport=transport)).pay(ORDER)


@pytest.mark.parametrize(
    ("status", "success", "accepted", "refused"),
    [
        (201, True, True, False),
        (200, True, True, False),
        (400, False, False, True),
        (409, False, False, True),
        (201, False, False, False),
        (400, True, False, False),
        (500, True, False, False),
        (500, False, False, False),
        (201, None, False, False),
    ],
)
def test_an_answer_counts_if_all_of_it_agrees(status: int, success: bool | None, accepted: bool, refused: bool) -> None:
    answer = answered(status, {"success": success})
    assert (answer.accepted, answer.refused) == (accepted, refused)
    assert answer.shown == f"{status} {{'success': {success}}}"


def test_answer_that_is_no_object_says_nothing() -> None:
    answer = answered(201, ["success"])
    assert (answer.accepted, answer.refused, answer.body, answer.path) == (False, False, {}, None)


def test_path_is_what_the_header_says() -> None:
    assert answered(201, {}, {"x-write-path": "facade"}).path == "facade"


def test_order_is_sent_with_its_names() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(201, json={})

    ApiPayer(httpx.Client(base_url="http://portal.test", transport=httpx.MockTransport(answer))).pay(ORDER)
    (request,) = sent
    assert (request.method, request.url.path) == ("POST", "/api/payments")
    assert json.loads(request.content) == {
        "agentId": 25,
        "amount": 225,
        "method": "EXTERNAL",
        "reference": "synthetic slot-1",
    }
    names = ("idempotency-key", "x-correlation-id", "x-cohort")
    assert [request.headers[name] for name in names] == ["slot-1", "synthetic-slot-1", "drill"]
