"""The JSON Schemas of golden files, for editors and other tools, made from the models."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from pytest_rollout.golden.case import Case
from pytest_rollout.golden.endpoint import Endpoint

FILES: dict[str, type[BaseModel]] = {"case.schema.json": Case, "endpoint.schema.json": Endpoint}
"""Name of each published file, and the model that it describes."""
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def published(name: str) -> str:
    """Return the content of a published file."""
    schema = {"$schema": _DIALECT, **FILES[name].model_json_schema(by_alias=True)}
    return json.dumps(schema, indent=2) + "\n"


def publish_schemas(folder: Path) -> list[Path]:
    """Write every published file that is not current, and return those that were written."""
    stale = [name for name in FILES if not (folder / name).exists() or (folder / name).read_text() != published(name)]
    for name in stale:
        (folder / name).write_text(published(name))
    return [folder / name for name in stale]
