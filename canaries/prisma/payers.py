"""Two ways to make a payment: through the JSON API, and as a person does it, in the dialog of the payments page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import httpx
from playwright.sync_api import expect

from canaries.prisma.books import Books, said
from canaries.prisma.pages import Payments, View
from canaries.prisma.settlement import METHOD, Id, Row, Sums

if TYPE_CHECKING:
    from playwright.sync_api import Page

WRITE_PATH = "x-write-path"


@dataclass(frozen=True)
class Order:
    """A payment to be asked for; the same order with the same key is the same payment."""

    agent: Id
    amount: int
    reference: str
    key: str
    correlation_id: str
    cohort: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What is sent along."""
        cohort = {"x-cohort": self.cohort} if self.cohort else {}
        return {"Idempotency-Key": self.key, "x-correlation-id": self.correlation_id, **cohort}


@dataclass(frozen=True)
class Answer:
    """What a payment was answered: ``accepted`` if everything says so, ``refused`` if nothing does."""

    accepted: bool
    refused: bool
    shown: str
    path: str | None = None
    """Who handled it, as the header x-write-path says."""
    body: Row | None = None
    """The API's answer."""


class Payer(Protocol):
    """A way to pay, and to see the portal."""

    has_reference: bool
    """Whether the reference of an order arrives."""

    def pay(self, order: Order) -> Answer:
        """Ask for a payment, once."""

    def cards(self, agent: Id) -> Sums:
        """Return the figures of the portal's cards."""


@dataclass(frozen=True)
class ApiPayer:
    """Pays with POST /api/payments."""

    client: httpx.Client
    has_reference = True

    def pay(self, order: Order) -> Answer:
        """Ask for a payment, once."""
        wanted = {"agentId": order.agent, "amount": order.amount, "method": METHOD, "reference": order.reference}
        response = self.client.post("/api/payments", json=wanted, headers=order.headers)
        body = said(response)
        claims = (response.is_success, body.get("success") is True)
        return Answer(
            accepted=all(claims),
            refused=response.is_client_error and not any(claims),
            shown=f"{response.status_code} {dict(body)}",
            path=response.headers.get(WRITE_PATH),
            body=body,
        )

    def cards(self, agent: Id) -> Sums:
        """Return the figures of the portal's cards."""
        return Books(self.client).cards(agent)


@dataclass(frozen=True)
class BrowserPayer:
    """Pays in the dialog of /payments; what an order sends along goes with every request that the dialog makes."""

    page: Page
    usual: Mapping[str, str]
    """Headers of all other requests."""
    has_reference = False

    def __post_init__(self) -> None:
        """Send the usual headers from the first request on."""
        self._send_along(self.usual)

    def pay(self, order: Order) -> Answer:
        """Ask for a payment, once."""
        self._send_along({**self.usual, **order.headers})
        view = Payments(self.page).visit("/payments")
        view.open_dialog()
        view.choose_agent(str(order.agent))
        with self.page.expect_response(lambda one: one.request.method == "POST") as sent:
            view.submit(str(order.amount))
        expect(view.toast).to_be_visible()
        variant = view.toast.get_attribute("data-variant")
        text = " ".join(view.toast.inner_text().split())
        self._send_along(self.usual)
        return Answer(
            accepted=variant == "default",
            refused=variant == "destructive",
            shown=f"a toast ({variant}): {text}",
            path=sent.value.headers.get(WRITE_PATH),
        )

    def cards(self, agent: Id) -> Sums:
        """Return the figures of the portal's cards."""
        return Sums(*View(self.page).visit(f"/portal/{agent}").card_numbers())

    def _send_along(self, headers: Mapping[str, str]) -> None:
        self.page.context.set_extra_http_headers(dict(headers))
