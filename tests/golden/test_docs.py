"""What docs/golden.md says is so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from pytest_rollout.golden.case import Case, RequestObject
from pytest_rollout.golden.corpus import load_corpora
from pytest_rollout.golden.coverage import State
from pytest_rollout.golden.endpoint import Endpoint
from pytest_rollout.golden.header_checks import HeaderCheck
from pytest_rollout.golden.matchers import Matcher
from pytest_rollout.plan.golden import GoldenCorpus

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "golden.md").read_text(encoding="utf-8")
UNSAID = {"schema", "$schema", "id", "shared", "endpoint"}


def names(model: Any) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def variants(union: Any) -> list[Any]:
    found = [one for one in get_args(union) if isinstance(one, type)]
    return found or [one for part in get_args(union) for one in variants(part)]


def words(model: Any) -> set[str]:
    """Return the values of ``is`` and the keys of a matcher."""
    return {*get_args(model.model_fields["kind"].annotation), *(names(model) - {"is"})}


WORDS = {
    *(names(Case) | names(Endpoint) | names(RequestObject) | names(GoldenCorpus)),
    *(word for union in (Matcher, HeaderCheck) for model in variants(union) for word in words(model)),
    *get_args(State),
} - UNSAID


@pytest.mark.parametrize("word", sorted(WORDS))
def test_every_word_is_explained(word: str) -> None:
    assert re.search(rf"`[^`\n]*(?<![\w-]){re.escape(word)}(?![\w-])[^`\n]*`", TEXT), word


def test_the_example_is_a_case(tmp_path: Path) -> None:
    """It builds upon a case of this repository, in whose corpus it takes the place of another one."""
    (text,) = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    example = json.loads(text)
    corpora = ROOT / "golden_payloads"
    for file in [corpora / "common.json", *(corpora / "monte_carlo").glob("*.json")]:
        place = tmp_path / file.relative_to(corpora)
        place.parent.mkdir(exist_ok=True)
        place.write_text(file.read_text())
    (tmp_path / "monte_carlo" / "mc-unknown.json").write_text(json.dumps({**example, "id": "mc-unknown"}))
    (corpus,) = load_corpora(tmp_path)
    assert corpus.cases["mc-unknown"].request["json"]["stageDistribution"][0]["stage"] == "sed"
