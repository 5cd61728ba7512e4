"""Roll a deployment to a release: ``current``, or ``previous``, the tag before the validator."""

import argparse
import json
import sys
import time
import urllib.error
from collections.abc import Sequence
from pathlib import Path

from sandbox.components import request
from sandbox.normalization.releases import Release, want

_PATIENCE = 60.0
_POLL_SECONDS = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return the exit code: 0 when every instance answers with the release, else 1."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.normalization.release", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, metavar="FILE", help="the deployment's state file")
    parser.add_argument("release", type=Release, choices=list(Release))
    given = parser.parse_args(arguments)
    try:
        state = json.loads(given.state.read_text())
    except OSError as error:
        return _complain(f"no deployment is described by {given.state}: {error}")
    want(Path(state["directory"]), given.release)
    asked = state["instances"][:1] if "release-stops-halfway" in state["faults"] else state["instances"]
    deadline = time.monotonic() + _PATIENCE
    while late := [url for url in asked if version(url) != given.release.version]:
        if time.monotonic() > deadline:
            return _complain(f"{', '.join(late)} did not answer as {given.release} within {_PATIENCE:g} s")
        time.sleep(_POLL_SECONDS)
    print(f"{len(state['instances'])} instances answer as {given.release} ({given.release.version})")  # noqa: T201
    return 0


def version(instance: str) -> str | None:
    """Return the version that an instance's OpenAPI document names, None if it does not answer."""
    try:
        return str(json.loads(request(f"{instance}/openapi.json"))["info"]["version"])
    except (urllib.error.URLError, OSError):
        return None


def _complain(text: str) -> int:
    print(text, file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
