"""conftest files that make a run greener than it is, each in its own way."""

from __future__ import annotations

CONFTESTS = {
    "drops items without a word": "def pytest_collection_modifyitems(items): del items[-1:]",
    "drops everything": "def pytest_collection_modifyitems(items): items.clear()",
    "does not collect the plan": "collect_ignore_glob = ['*.rollout.yaml']",
    "swallows reports": (
        "import pytest\n"
        "@pytest.hookimpl(tryfirst=True)\n"
        "def pytest_runtest_protocol(item, nextitem): return item.name == 'errors' or None"
    ),
    "skips while running": (
        "import pytest\ndef pytest_runtest_setup(item):\n    if item.name == 'errors': pytest.skip('busy')"
    ),
    "stops early": (
        "def pytest_runtest_logfinish(nodeid, location): pass\n"
        "def pytest_runtest_teardown(item): item.session.shouldstop = 'enough'"
    ),
    "makes every report a pass": (
        "import pytest\n@pytest.hookimpl(wrapper=True)\n"
        "def pytest_runtest_makereport():\n    report = yield\n    report.outcome = 'passed'\n"
        "    report.longrepr = None\n    return report"
    ),
    "makes every report a skip": (
        "import pytest\n@pytest.hookimpl(wrapper=True)\n"
        "def pytest_runtest_makereport():\n    report = yield\n"
        "    if report.failed: report.outcome, report.longrepr = 'skipped', ('x', 1, 'y')\n    return report"
    ),
    "forgets properties": (
        "import pytest\n@pytest.hookimpl(wrapper=True)\n"
        "def pytest_runtest_makereport():\n    report = yield\n"
        "    report.user_properties.clear(); report.outcome = 'skipped'; report.longrepr = ('x', 1, 'y')\n"
        "    return report"
    ),
    "forgets properties of passes": (
        "import pytest\n@pytest.hookimpl(wrapper=True)\n"
        "def pytest_runtest_makereport():\n    report = yield\n"
        "    report.user_properties.clear(); report.outcome = 'passed'; report.longrepr = None\n"
        "    return report"
    ),
    "replaces what gates do": (
        "def pytest_collection_modifyitems(items):\n    for item in items: item.runtest = lambda: None"
    ),
    "sets the exit status": "def pytest_sessionfinish(session): session.exitstatus = 0",
}
