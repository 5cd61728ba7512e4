"""The layers of ARCHITECTURE.md: a lower one never imports a higher one, and each library has one home."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pytest_rollout"
LAYERS = (
    {"errors", "verdict", "units", "process", "__init__"},
    {"plan", "judge"},
    {"sources", "evidence", "publish", "golden", "flags", "load"},
    {
        *("sandbox", "target", "gathering", "canary", "look", "stage", "replay", "live"),
        *("archive", "flag_state", "heartbeat", "schedule", "playbook", "latency", "load_runner"),
    },
    {"plugin"},
    {"cli", "commands"},
)
INSIDE_LOCUST = "load/injected/"
"""What runs in Locust's process: no other module imports it, for gevent patches the process that it is in."""
HOMES: dict[str, str | tuple[str, ...]] = {
    "httpx": "sources/http.py",
    "httpcore": "sources/http.py",
    "sqlalchemy": "evidence/",
    "jsonschema": "golden/schemas.py",
    "referencing": "golden/schemas.py",
    "prometheus_client": ("publish/pushgateway.py", "golden/exposition.py"),
    "promql_parser": "plan/promql.py",
    "yaml": "plan/document.py",
    "typer": "cli/",
    "allure": "plugin/allure.py",
    "locust": INSIDE_LOCUST,
    "gevent": INSIDE_LOCUST,
}
"""The one module, or folder, that may import a library, or one for writing and one for reading."""
NOWHERE = {"playwright", "psycopg", "sandbox", "canaries", "xdist"}
"""Never imported: SQLAlchemy loads psycopg, the rest is spoken to from outside."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def layer(name: str) -> int:
    return next(number for number, rooms in enumerate(LAYERS) if name in rooms)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_from_its_own_layer_or_below(path: Path) -> None:
    own = layer(room(path))
    for name in imported(ast.parse(path.read_text())):
        parts = name.split(".")
        if parts[0] == "pytest_rollout" and len(parts) > 1 and parts[1] != "__version__":
            assert layer(parts[1]) <= own, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_library_is_imported_where_it_lives(path: Path) -> None:
    place = path.relative_to(PACKAGE).as_posix()
    for name in {name.split(".")[0] for name in imported(ast.parse(path.read_text()))}:
        homes = HOMES.get(name, place)
        homes = (homes,) if isinstance(homes, str) else homes
        assert any(place == home or (home.endswith("/") and place.startswith(home)) for home in homes), (
            f"{place} imports {name}"
        )
        assert name not in NOWHERE, f"{place} imports {name}"
        assert name != "pytest" or room(path) == "plugin", f"{place} imports pytest"
        assert name != "_pytest", f"{place} imports pytest's inside"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_outside_of_locust_imports_what_runs_inside(path: Path) -> None:
    if not path.relative_to(PACKAGE).as_posix().startswith(INSIDE_LOCUST):
        names = list(imported(ast.parse(path.read_text())))
        assert not [name for name in names if name.startswith("pytest_rollout.load.injected")]
