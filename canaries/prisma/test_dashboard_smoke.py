"""The dashboard smoke of stage 1: what an admin sees is there, and agrees with the API.

Traffic may go on meanwhile: a figure that only grows is compared with the API before and after the page.
"""

import pytest
from playwright.sync_api import Page, expect

from canaries.prisma.conftest import Troubles
from canaries.prisma.pages import ADMIN_PATHS, Api, Dashboard, Payments, TableView, View, number

pytestmark = pytest.mark.canary("dashboard-smoke")

UNKNOWN_AGENT = 99_999_999
BRACKETS = 3
"""How often sums are compared at most, if another canary's money comes and goes meanwhile."""


@pytest.mark.parametrize("path", [*ADMIN_PATHS, "/agents/{id}"])
def test_page_renders_with_the_whole_menu(page: Page, api: Api, path: str) -> None:
    """Every admin page has a heading and all seven links of the menu."""
    if "{id}" in path:
        path = path.format(id=api.rows("agents")[0]["id"])
    view = View(page).visit(path)
    expect(view.heading).not_to_be_empty()
    assert sorted(view.menu_paths()) == sorted(ADMIN_PATHS)


@pytest.mark.parametrize(
    ("path", "columns", "resource"),
    [("/agents", 8, "agent-summaries"), ("/invoices", 7, "invoices"), ("/payments", 5, "payments")],
)
def test_table_has_a_row_for_each_in_the_api(page: Page, api: Api, path: str, columns: int, resource: str) -> None:
    """The big tables have their columns and lose no row."""
    before = len(api.rows(resource))
    table = TableView(page).visit(path)
    expect(table.headers).to_have_count(columns)
    shown = table.rows.count()
    after = len(api.rows(resource))
    assert before <= shown <= after, f"{path} has {shown} rows, the API {before} before and {after} after"


def test_dashboard_shows_the_sums_of_the_api(page: Page, api: Api) -> None:
    """The four cards are sums over the agents; the chart has its six bars."""

    def sums() -> list[int]:
        rows = api.rows("agent-summaries")
        columns = ("totalBilled", "totalPaid", "outstandingAmount")
        return [*(sum(int(row[column]) for row in rows) for column in columns), len(rows)]

    for _ in range(BRACKETS):
        quiet, before = synthetic_payments(api), sums()
        dashboard = Dashboard(page).visit("/")
        shown, after = dashboard.card_numbers(), sums()
        if synthetic_payments(api) == quiet:
            break
    assert_between(before, shown, after)
    expect(dashboard.bars).to_have_count(6)


def test_agent_page_leads_to_the_portal(page: Page, api: Api) -> None:
    """An agent's page shows the contact data and leads to the agent's portal."""
    agent = api.rows("agents")[0]
    view = View(page).visit(f"/agents/{agent['id']}")
    expect(page.get_by_text(agent["email"])).to_be_visible()
    link = page.locator(f'a[href="/portal/{agent["id"]}"]')
    expect(link).to_be_visible()
    with page.expect_navigation():
        link.click()
    expect(view.heading).to_contain_text(agent["name"])
    expect(view.heading).to_contain_text(agent["code"])


def test_portal_shows_the_sums_of_the_api(page: Page, api: Api) -> None:
    """The portal's cards are the agent's sums."""
    agent = api.rows("agents")[0]["id"]

    def sums() -> list[int]:
        summary = next(row for row in api.rows("agent-summaries") if row["agentId"] == agent)
        invoices = sum(row["agentId"] == agent for row in api.rows("invoices"))
        return [summary["totalBilled"], summary["totalPaid"], summary["outstandingAmount"], invoices]

    before = sums()
    shown = View(page).visit(f"/portal/{agent}").card_numbers()
    assert_between(before, shown, sums())


def test_portal_of_an_unknown_agent_is_not_found(page: Page, troubles: Troubles) -> None:
    """An unknown agent has no portal."""
    path = f"/portal/{UNKNOWN_AGENT}"
    troubles.allow(404, path)
    response = page.goto(path)
    assert response is not None
    assert response.status == 404


def test_search_finds_a_payment_by_its_reference(page: Page, api: Api) -> None:
    """The search finds a payment, and only what matches."""
    payments = api.rows("payments")
    wanted = next(row for row in payments if row["reference"])
    expected = sum(wanted["reference"] in (row["reference"] or "") for row in payments)
    view = Payments(page).visit("/payments")
    view.search(wanted["reference"])
    expect(view.rows.filter(has_text=wanted["reference"])).to_have_count(expected)
    expect(view.rows).to_have_count(expected)
    amounts = [number(text) for text in view.rows.locator("td:nth-child(2)").all_inner_texts()]
    assert int(wanted["amount"]) in amounts


def test_payment_dialog_opens_with_its_fields(page: Page) -> None:
    """The payment dialog opens with its fields."""
    view = Payments(page).visit("/payments")
    dialog = view.open_dialog()
    for field in Payments.FIELDS:
        expect(dialog.locator(field)).to_be_visible()
    expect(dialog.locator("#amount")).to_have_attribute("type", "number")


def test_refused_payment_is_not_reported_as_success(page: Page, api: Api) -> None:
    """A payment of 0 is reported as refused and is not recorded."""
    view = Payments(page).visit("/payments")
    view.open_dialog()
    view.submit("0")
    expect(view.toast).to_be_visible()
    expect(view.toast).to_have_attribute("data-variant", "destructive")
    created = [row["id"] for row in api.rows("payments") if int(row["amount"]) == 0]
    assert not created, f"a payment of 0 was recorded: {created}"


def synthetic_payments(api: Api) -> int:
    """Return how many payments and reversals the agents of the canary dataset have."""
    agents = {row["id"] for row in api.rows("agents") if row["code"].startswith("SYN-")}
    return sum(row["agentId"] in agents for row in api.rows("payments"))


def assert_between(before: list[int], shown: list[int], after: list[int]) -> None:
    """Compare figures with the API before and after; live traffic moves each in one direction."""
    for low, value, high in zip(before, shown, after, strict=True):
        assert min(low, high) <= value <= max(low, high), f"the page shows {shown}, the API {before} then {after}"
