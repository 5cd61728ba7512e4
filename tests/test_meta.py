"""Every module can be imported first, alone, with warnings as errors."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for folder in ("pytest_rollout", "sandbox")
    for path in (ROOT / folder).rglob("*.py")
    if path.name != "__main__.py" and "injected" not in path.parts
)
"""Without what Locust imports in a process of its own."""
# One process has loaded the large libraries and none of ours; each module is imported by a copy of that process.
IMPORTER = """
    import json, os, sys, traceback
    import httpx, jinja2, jsonschema, prometheus_client.parser, promql_parser, pydantic, pytest, sqlalchemy.orm
    import starlette.applications, typer, uvicorn, yaml

    said = {}
    for name in sys.argv[1:]:
        reader, writer = os.pipe()
        if not os.fork():
            try:
                __import__(name)
                what = "imported"
            except BaseException:
                what = traceback.format_exc()[-3000:]
            os.write(writer, what.encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as file:
            said[name] = file.read()
        os.wait()
    ours = [name for name in sys.modules if name.split(".")[0] in {"pytest_rollout", "sandbox"}]
    assert not ours, f"imported before: {ours}"
    print(json.dumps(said))
"""


def test_every_module_imports_alone() -> None:
    argv = [sys.executable, "-W", "error", "-c", textwrap.dedent(IMPORTER), *NAMES]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == dict.fromkeys(NAMES, "imported")
