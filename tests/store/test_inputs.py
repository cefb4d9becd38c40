"""Input checks: what cannot be stored is rejected with a remedy, and nothing is written."""

import numpy as np
import pytest

from hybridstore.errors import InputError

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
