"""JSON Patch."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from pytest_rollout.golden.exact import MISSING, equal
from pytest_rollout.golden.patch import PatchError, apply_patch
from pytest_rollout.golden.pointer import Path, lookup, write_pointer
from tests.golden.test_exact import VALUES

DERANDOMISED = settings(derandomize=True, deadline=None)
Ops = list[dict[str, Any]]


# RFC 6902, appendix A, by its numbers; A.11 (unknown members) is an error in a case's file, where nothing is ignored.
@pytest.mark.parametrize(
    ("document", "patch", "wanted"),
    [
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
        ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}], {"foo": ["bar", "qux", "baz"]}),
        ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
        ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
        ({"baz": "qux"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo"}),
        (
            {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
            [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
            {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
        ),
        (
            {"foo": ["all", "grass", "cows", "eat"]},
            [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
            {"foo": ["all", "cows", "eat", "grass"]},
        ),
        (
            {"baz": "qux", "foo": ["a", 2, "c"]},
            [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
            {"baz": "qux", "foo": ["a", 2, "c"]},
        ),
        ({"foo": "bar"}, [{"op": "add", "path": "/child", "value": {"g": {}}}], {"foo": "bar", "child": {"g": {}}}),
        ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
        ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["a", "b"]}], {"foo": ["bar", ["a", "b"]]}),
        ({"a": 1}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": 1, "b": 1}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": [1]}], [1]),
        ({"a": 1}, [{"op": "add", "path": "", "value": [1]}], [1]),
        ({"a": 1}, [{"op": "add", "path": "/a", "value": None}], {"a": None}),
        ({"a": [1]}, [{"op": "move", "from": "/a", "path": "/a"}], {"a": [1]}),
    ],
)  # fmt: skip
def test_the_examples_of_the_rfc(document: Any, patch: Ops, wanted: Any) -> None:
    before = copy.deepcopy(document)
    assert equal(apply_patch(document, patch), wanted)
    assert equal(document, before)


@pytest.mark.parametrize(
    ("document", "operation", "said"),
    [
        ({"a": "b"}, {"op": "test", "path": "/a", "value": "c"}, "the test fails: '/a' is \"b\", not \"c\""),
        ({"a": 1}, {"op": "test", "path": "/a", "value": True}, "the test fails: '/a' is 1, not true"),
        ({"/": 9, "~1": 10}, {"op": "test", "path": "/~01", "value": "10"}, "the test fails: '/~01' is 10, not \"10\""),
        ({}, {"op": "test", "path": "/a", "value": None}, "there is nothing at '/a'"),
        ({"foo": "bar"}, {"op": "add", "path": "/baz/bat", "value": "qux"}, "'/baz/bat' has no parent"),
        ({"foo": [1]}, {"op": "add", "path": "/foo/2", "value": 1}, "'/foo/2' is not a place in a list of 1"),
        ({"foo": [1]}, {"op": "add", "path": "/foo/x", "value": 1}, "'/foo/x' is not a place in a list of 1"),
        ({}, {"op": "remove", "path": "/a"}, "there is nothing at '/a'"),
        ({}, {"op": "replace", "path": "/a", "value": 1}, "there is nothing at '/a'"),
        ({"a": [1]}, {"op": "replace", "path": "/a/-", "value": 1}, "there is nothing at '/a/-'"),
        ({"a": {"b": 1}}, {"op": "move", "from": "/a", "path": "/a/b"}, "'/a' cannot be moved into itself"),
        ({}, {"op": "copy", "from": "/a", "path": "/b"}, "there is nothing at '/a'"),
        ({}, {"op": "remove", "path": ""}, "the whole document cannot be removed"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_an_error_of_its_operation(document: Any, operation: Any, said: str) -> None:
    fine = {"op": "test", "path": "", "value": document}
    with pytest.raises(PatchError) as caught:
        apply_patch(document, [fine, operation])
    assert (str(caught.value), caught.value.index) == (said, 1)


@st.composite
def places(draw: st.DrawFn) -> tuple[Any, Path]:
    """Return a value and a place in it, the root among them."""
    value = whole = draw(VALUES)
    path: Path = ()
    while isinstance(value, dict | list) and value and draw(st.booleans()):
        token = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else [*map(str, range(len(value)))]))
        path, value = (*path, token), lookup(value, (token,))
    return whole, path


@DERANDOMISED
@given(places(), VALUES)
def test_laws_of_patches(place: tuple[Any, Path], new: Any) -> None:
    value, path = place
    at, there = write_pointer(path), lookup(value, path)
    replaced = apply_patch(value, [{"op": "replace", "path": at, "value": new}])
    assert equal(lookup(replaced, path), new)
    assert equal(apply_patch(replaced, [{"op": "replace", "path": at, "value": there}]), value)
    assert equal(apply_patch(value, [{"op": "test", "path": at, "value": there}]), value)
    if path:
        twice = [{"op": "remove", "path": at}, {"op": "add", "path": at, "value": there}]
        assert equal(apply_patch(value, twice), value)
        assert equal(apply_patch(value, [{"op": "copy", "from": at, "path": at}]), value) or isinstance(
            lookup(value, path[:-1]), list
        )
    else:
        assert there is not MISSING
