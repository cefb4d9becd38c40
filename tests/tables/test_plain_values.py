"""Values of Python, NumPy and pandas as JSON's types."""

import math
from collections import OrderedDict, deque
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path, PurePosixPath
from uuid import UUID

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.errors import InputError
from hybridstore.tables.plain_values import plain_object


class Colour(Enum):
    RED = "red"
    DAY = date(2024, 5, 1)


class Size(IntEnum):
    LARGE = 3


class Name(StrEnum):
    ANNA = "anna"


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (date(2024, 5, 1), "2024-05-01"),
        (datetime(2024, 5, 1, 2, tzinfo=UTC), "2024-05-01T02:00:00+00:00"),
        (datetime(2024, 5, 1, 2), "2024-05-01T02:00:00"),  # noqa: DTZ001 - as people write them
        (time(2, 30), "02:30:00"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (Decimal("1.10"), 1.1),
        (Decimal("2.00"), 2),
        (Decimal("NaN"), None),
        (Decimal("-Infinity"), None),
        (Path("a") / "b.txt", str(Path("a/b.txt"))),
        (PurePosixPath("/x"), "/x"),
        (Colour.RED, "red"),
        (Colour.DAY, "2024-05-01"),
        (Size.LARGE, 3),
        (Name.ANNA, "anna"),
        (np.int64(5), 5),
        (np.uint8(5), 5),
        (np.float32(0.5), 0.5),
        (np.float64("nan"), None),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.datetime64("2024-05-01"), "2024-05-01"),
        (np.datetime64("2024-05-01T02:00:00.000000000"), "2024-05-01T02:00:00.000000000"),
        (np.datetime64("NaT"), None),
        (np.array([1, 2]), [1, 2]),
        (np.array([[1.0, math.nan]]), [[1.0, None]]),
        (np.array(7), 7),
        (np.array(["2024-05-01", "NaT"], "datetime64[D]"), ["2024-05-01", None]),
        ((1, (2, None)), [1, [2, None]]),
        ({"b", "a", "c"}, ["a", "b", "c"]),
        (frozenset({date(2024, 5, 2), date(2024, 5, 1)}), ["2024-05-01", "2024-05-02"]),
        (deque([1, Size.LARGE]), [1, 3]),
        (range(3), [0, 1, 2]),
        (OrderedDict(a={"b": UUID(int=1)}), {"a": {"b": str(UUID(int=1))}}),
        (math.inf, None),
        ([math.nan, {"a": -math.inf}], [None, {"a": None}]),
        (
            {1: "a", None: "b", 2.5: "c", date(2024, 5, 1): "d"},
            {"1": "a", "null": "b", "2.5": "c", "2024-05-01": "d"},
        ),
    ],
)
def test_a_value_is_stored_as_jsons_type(value, stored):
    with hs.open(":memory:", embedder="none") as store:
        store.add({"id": "a", "text": "x", "metadata": {"v": value}})
        assert store.get("a").metadata == {"v": stored}
        assert store.add({"id": "a", "text": "x", "metadata": {"v": value}}).unchanged == 1
        assert store.add({"id": "a", "text": "x", "metadata": {"v": stored}}).unchanged == 1


def test_missing_values_of_pandas_are_null():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"at": pandas.to_datetime(["2024-05-01", None]), "n": pandas.array([1, None], "Int64")})
    rows = [plain_object(row, "metadata") for row in frame.to_dict("records")]
    assert rows == [{"at": "2024-05-01T00:00:00", "n": 1}, {"at": None, "n": None}]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (b"x", "'v' in metadata of document 'a' is bytes; decode them to text, or write them as base64"),
        ({"deep": [0, {"photo": bytearray(b"x")}]}, "'v.deep[1].photo' in metadata of document 'a' is bytes"),
        ([object()], r"'v\[0\]' in metadata of document 'a' is of the type object; metadata takes numbers, text"),
        ({"f": print}, "'v.f' .* is of the type builtin_function_or_method"),
        (1j, "'v' .* is of the type complex"),
        ({("a", "b"): 1}, r"'v' .* has the key \('a', 'b'\); the keys of JSON are texts"),
        ({1: "a", "1": "b"}, "'v' .* has two keys that are written '1'; rename one"),
        ("a\ud800", "'v' .* contains half of a character"),
        ({"\ud800": date(2024, 5, 1)}, "'v' .* contains half of a character"),
        ((n for n in range(3)), "'v' .* is of the type generator"),
    ],
)
def test_what_json_cannot_represent_is_refused_with_its_place(value, sentence):
    with (
        hs.open(":memory:", embedder="none") as store,
        pytest.raises(InputError, match=sentence.replace("[1]", r"\[1\]")),
    ):
        store.add({"id": "a", "text": "x", "metadata": {"v": value, "day": date(2024, 5, 1)}})


def test_what_contains_itself_is_refused():
    loop = {}
    loop["again"] = [loop]
    with pytest.raises(InputError, match="over 200 levels deep, or contains itself"):
        plain_object(loop, "metadata")


def test_no_title_uri_or_metadata_is_none():
    with hs.open(":memory:", embedder="none") as store:
        document = hs.Document(id="a", text="x", title=None, uri=None, metadata=None)
        store.add([document, {"id": "b", "text": "y", "title": None, "uri": None, "metadata": None}])
        for id_ in "ab":
            stored = store.get(id_)
            assert (stored.title, stored.uri, stored.metadata) == ("", "", {})
