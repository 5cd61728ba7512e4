"""The file that Locust loads behind the user's: ``locust -f user_file.py,recorder.py``."""

import importlib.util
import sys
from pathlib import Path

from locust import events


def _find_package() -> None:
    """Let this very package be imported, whatever else is installed for Locust's interpreter."""
    folder = Path(__file__).resolve().parents[2]
    spec = importlib.util.spec_from_file_location(
        folder.name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec and spec.loader:
        sys.modules[folder.name] = package = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(package)


_find_package()


@events.init.add_listener
def _attend(environment: object, **_: object) -> None:
    from pytest_rollout.load.injected.crew import attend

    attend(environment)
