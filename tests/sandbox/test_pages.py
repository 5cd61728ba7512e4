"""The pages: structure, both languages, settings."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.sandbox.conftest import Open

MENU = ["/", "/agents", "/invoices", "/payments", "/partners", "/reports", "/settings"]


def menu(html: str) -> list[str]:
    return re.findall(r'<a data-sidebar="menu-button" href="([^"]+)"', html)


def cards(html: str) -> list[str]:
    return re.findall(r'class="text-2xl font-bold">([^<]+)<', html)


@pytest.mark.parametrize("path", [*MENU, "/agents/1"])
def test_admin_page_has_a_heading_and_the_whole_menu(unchanged: httpx.Client, path: str) -> None:
    html = unchanged.get(path).text
    assert len(re.findall(r"<h1>[^<]+</h1>", html)) == 1
    assert menu(html) == MENU


@pytest.mark.parametrize(("path", "columns", "rows"), [("/agents", 8, 27), ("/invoices", 7, 67), ("/payments", 5, 40)])
def test_table(unchanged: httpx.Client, path: str, columns: int, rows: int) -> None:
    html = unchanged.get(path).text
    assert len(re.findall(r"<th ", html)) == columns
    assert len(re.findall(r"<tr><td", html)) == rows


@pytest.mark.parametrize("path", ["/portal/999", "/agents/999", "/nowhere"])
def test_unknown_is_not_found(unchanged: httpx.Client, path: str) -> None:
    assert unchanged.get(path).status_code == 404


def test_persian_pages_are_right_to_left_with_persian_digits(site: "Open") -> None:
    html = site(locale="fa").get("/").text
    assert '<html lang="fa" dir="rtl">' in html
    figures = cards(html)
    assert len(figures) == 4
    assert all(set(figure) <= set("۰۱۲۳۴۵۶۷۸۹٬") for figure in figures)


def test_persian_and_english_show_the_same_numbers(site: "Open", unchanged: httpx.Client) -> None:
    persian = [int(figure.replace("٬", "")) for figure in cards(site(locale="fa").get("/").text)]
    english = [int(figure.replace(",", "")) for figure in cards(unchanged.get("/").text)]
    assert persian == english


@pytest.mark.parametrize(("amount", "variant"), [("1200", "default"), ("0", "destructive"), ("", "destructive")])
def test_payment_form_shows_its_result(client: httpx.Client, amount: str, variant: str) -> None:
    before = len(client.get("/api/payments").json())
    html = client.post("/payments", data={"agentId": "1", "amount": amount}).text
    assert f'<li role="status" data-variant="{variant}">' in html
    assert len(client.get("/api/payments").json()) == before + (variant == "default")


def test_sensitive_setting_is_encrypted_and_masked(client: httpx.Client, tmp_path: Path) -> None:
    client.post("/settings", data={"telegramBotToken": "deadbeef-secret"})
    assert "de***et" in client.get("/settings").text
    with closing(sqlite3.connect(tmp_path / "prisma.db")) as books:
        dump = "\n".join(books.iterdump())
    assert "v1:" in dump
    assert "de***et" in dump
    assert "deadbeef-secret" not in dump + (tmp_path / "app.jsonl").read_text()


@pytest.mark.parametrize(("value", "result"), [("New Name", "success"), ("Prisma Sandbox", "noop")])
def test_settings_updates_are_counted(client: httpx.Client, value: str, result: str) -> None:
    client.post("/settings", data={"companyName": value})
    assert f'settings_updates_total{{result="{result}"}} 1.0' in client.get("/api/internal/metrics").text


def test_development_secret_is_warned_about_and_counted(site: "Open", tmp_path: Path) -> None:
    client = site(managed_secret=False)
    assert "settings_secret_fallback_total 1.0" in client.get("/api/internal/metrics").text
    assert "development-only secret" in (tmp_path / "app.jsonl").read_text()
