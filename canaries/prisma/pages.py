"""The admin dashboard and the agent portal as a reader meets them, in any language.

Nothing here depends on a text: only on roles, links, structure and numbers.
"""

import unicodedata
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from playwright.sync_api import Locator, Page, expect

ADMIN_PATHS = ("/", "/agents", "/invoices", "/payments", "/partners", "/reports", "/settings")


def number(text: str) -> int:
    """Return the whole number in a text, in the digits of any script, separators ignored."""
    digits = [str(unicodedata.digit(char)) for char in text if char.isdecimal()]
    assert digits, f"no number in {text!r}"
    return int("".join(digits)) * (-1 if text.strip().startswith(("-", "\N{MINUS SIGN}")) else 1)


@dataclass(frozen=True)
class Api:
    """The JSON API, read with the browser's own session."""

    page: Page

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return the array at /api/{name}."""
        response = self.page.request.get(f"/api/{name}")
        assert response.status == 200, f"GET /api/{name} answered {response.status}"
        rows: list[dict[str, Any]] = response.json()
        return rows

    def total(self, name: str, column: str) -> int:
        """Return the sum of a column."""
        return sum(int(row[column]) for row in self.rows(name))


@dataclass(frozen=True)
class View:
    """A page with a heading."""

    page: Page

    def visit(self, path: str) -> Self:
        """Open the path; the answer must be 200."""
        response = self.page.goto(path)
        assert response is not None, f"{path} is not a document"
        assert response.status == 200, f"{path} answered {response.status}"
        return self

    @property
    def heading(self) -> Locator:
        """The page's h1."""
        return self.page.locator("h1")

    @property
    def menu(self) -> Locator:
        """The links of the side menu."""
        return self.page.locator('a[data-sidebar="menu-button"]')

    def menu_paths(self) -> list[str]:
        """Return where the side menu's links lead."""
        paths: list[str] = self.menu.evaluate_all("links => links.map(link => new URL(link.href).pathname)")
        return paths

    @property
    def cards(self) -> Locator:
        """The figures on the page's cards."""
        return self.page.locator(".text-2xl.font-bold")

    def card_numbers(self) -> list[int]:
        """Return the figures of the four cards."""
        expect(self.cards).to_have_count(4)
        return [number(text) for text in self.cards.all_inner_texts()]


@dataclass(frozen=True)
class Dashboard(View):
    """``/``: four cards and a chart of six bars."""

    @property
    def bars(self) -> Locator:
        """The bars of the sales chart."""
        return self.page.locator(".recharts-bar-rectangle")


@dataclass(frozen=True)
class TableView(View):
    """A page with one table."""

    @property
    def headers(self) -> Locator:
        """The header cells."""
        return self.page.locator("main table thead th")

    @property
    def rows(self) -> Locator:
        """The rows of the body."""
        return self.page.locator("main table tbody tr")


@dataclass(frozen=True)
class Payments(TableView):
    """``/payments``: the table, a search and a dialog with a form."""

    FIELDS: ClassVar = ("#agentId", "#amount", "#paymentMethod", "#date")

    @property
    def dialog(self) -> Locator:
        """The dialog with the payment form."""
        return self.page.get_by_role("dialog")

    @property
    def toast(self) -> Locator:
        """The result of the form."""
        return self.page.locator("li[role=status]")

    def search(self, text: str) -> None:
        """Search the payments; the result is on the page when this returns."""
        field = self.page.locator("input[name=q]")
        expect(field).to_be_visible()
        field.fill(text)
        with self.page.expect_navigation():
            field.press("Enter")

    def open_dialog(self) -> Locator:
        """Open the dialog and return it."""
        button = self.page.locator("main button[aria-haspopup=dialog]")
        expect(button).to_be_visible()
        button.click()
        expect(self.dialog).to_be_visible()
        return self.dialog

    def choose_agent(self, agent: str) -> None:
        """Choose the agent with this id in the dialog."""
        self.dialog.locator("#agentId").select_option(agent)

    def submit(self, amount: str) -> None:
        """Send the dialog's form with this amount, past the browser's own validation: the server has to refuse."""
        form = self.dialog.locator("form")
        expect(form.locator("#amount")).to_be_editable()
        expect(form.locator("button[type=submit]")).to_be_enabled()
        form.evaluate("form => { form.noValidate = true }")
        form.locator("#amount").fill(amount)
        form.locator("button[type=submit]").click()
