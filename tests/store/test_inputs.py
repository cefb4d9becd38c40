"""Input checks: what cannot be stored is rejected with a remedy, and nothing is written."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridstore import Document
from hybridstore.backends.batches import compact_json
from hybridstore.errors import InputError
from hybridstore.store.inputs import content_digest

BAD = {
    "no document": (5, "not int"),
    "bytes": (b"text", "not bytes"),
    "a number among texts": (["fine", 5], "not int"),
    "nothing": (None, "not NoneType"),
    "an empty text": ("  \n", "empty text"),
    "a mapping without text": ({"id": "a"}, "has no text"),
    "an unknown field": ({"text": "x", "txt": 1}, "txt"),
    "a text that is none": ({"text": 5}, "must be a string"),
    "a title that is a number": ({"text": "x", "title": 5}, "title"),
    "an id that is none": ({"text": "x", "id": 5}, "must be a string"),
    "an empty id": ({"text": "x", "id": ""}, "empty"),
    "an unknown format": ({"text": "x", "format": "pdf"}, "markdown"),
    "metadata that is a list": ({"text": "x", "metadata": [1]}, "mapping"),
    "metadata that is no JSON": (
        {"text": "x", "metadata": {"a": object()}},
        "'a' in metadata of a document without id is of the type object",
    ),
    "metadata with bytes": ({"text": "x", "metadata": {"a": b"x"}}, "decode them"),
    "metadata with half a character": ({"text": "x", "metadata": {"a": "\ud800"}}, "half of a character"),
    "half a character": ({"text": "a\ud800b"}, "position 1"),
    "half a character in an id": ({"text": "x", "id": "\udfff"}, "surrogate"),
}


@pytest.mark.parametrize(("documents", "says"), BAD.values(), ids=BAD)
def test_what_cannot_be_stored_is_rejected_and_nothing_is_written(store, documents, says):
    several = [*documents] if isinstance(documents, list) else documents
    with pytest.raises(InputError, match=says):
        store.add(several)
    with pytest.raises(InputError, match=says):
        store.add([{"id": "good", "text": "good"}, *(several if isinstance(several, list) else [several])])
    assert store.count() == 0
    assert store.stats().revision == 0


def test_circular_metadata_is_rejected(store):
    circle: dict = {}
    circle["self"] = circle
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    for metadata in (circle, {"deep": deep}):
        with pytest.raises(InputError, match="levels deep, or contains itself"):
            store.add({"text": "x", "metadata": metadata})


@pytest.mark.parametrize(
    ("vectors", "says"),
    [
        (np.ones((1, 32)), "2 documents but 1"),
        (np.ones((3, 32)), "2 documents but 3"),
        (np.ones(32), "shape"),
        (np.ones((2, 0)), "shape"),
        ([[1.0], [1.0, 2.0]], "array of numbers"),
        ([["a"], ["b"]], "array of numbers"),
        (np.full((2, 32), np.nan), "finite"),
        (np.full((2, 32), np.inf), "finite"),
        (np.ones((2, 31)), "31"),
    ],
)
def test_invalid_vectors_are_rejected_and_nothing_is_written(store, vectors, says):
    with pytest.raises(InputError, match=says):
        store.add(["one", "two"], vectors=vectors)
    assert store.count() == 0


TEXTS = st.text(st.characters(exclude_categories=("Cs",)))
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS


@given(st.dictionaries(TEXTS, _SCALARS | st.lists(_SCALARS, max_size=2), max_size=5))
def test_metadata_are_written_as_json_writes_them(metadata):
    """Most have texts and integers alone, which are written without `json`: digests and files must stay the same."""
    assert compact_json(metadata) == json.dumps(metadata, ensure_ascii=False, separators=(",", ":"))
    document = Document(text="x", metadata=metadata)
    assert content_digest(document, whole=True) == _digest(json.dumps(metadata, sort_keys=True))


def _digest(metadata):
    content = ("", "", "plain", metadata, "whole", "x")
    data = [part.encode() for part in content]
    return hashlib.blake2b(b"".join(len(d).to_bytes(8, "little") + d for d in data), digest_size=16).digest()
