"""What the plugin costs a pytest run that has no plan: importing it, and a whole empty run with and without it.

Prints medians in milliseconds; fresh processes, run in turn so that a slow spell of the machine hits both.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 15
BUDGET_MS = 10.0
IMPORT = """
import pytest, time
began = time.perf_counter()
import pytest_rollout.plugin, pytest_rollout.plugin.wiring
import pytest_rollout.plugin.fixtures, pytest_rollout.plugin.hookspecs
print((time.perf_counter() - began) * 1000)
"""


def imported() -> float:
    """Return the milliseconds that a fresh process needs to import what every run imports."""
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
    return float(done.stdout)


def run(folder: Path, *arguments: str) -> float:
    """Return the milliseconds of a whole pytest run over one empty test."""
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, str(folder)]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    began = time.perf_counter()
    subprocess.run(argv, cwd=folder, env=environment, capture_output=True, check=True)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_nothing.py").write_text("def test_nothing(): pass\n")
        imports, with_it, without = [], [], []
        for _ in range(RUNS):
            imports.append(imported())
            with_it.append(run(folder, "-p", "pytest_rollout.plugin"))
            without.append(run(folder))
    print(f"import of the plugin        {statistics.median(imports):6.1f} ms (budget {BUDGET_MS:g} ms)")
    print(f"whole run, without plugin   {statistics.median(without):6.1f} ms")
    print(f"whole run, with plugin      {statistics.median(with_it):6.1f} ms")
    print(f"difference, run by run      {statistics.median(map(float.__sub__, with_it, without)):6.1f} ms")


if __name__ == "__main__":
    main()
