"""Filters in memory keep the chunks that SQLite keeps, whatever is stored, filtered on and written."""

import tempfile
import threading
from contextlib import ExitStack, closing, contextmanager
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made import entry, ranked, restriction
from test_where import NUMBERS, TEXTS, documents, scalars, stored, texts, trees

from hybridstore.backends.resident import field_values, metadata_columns
from hybridstore.backends.resident.field_values import MISSING, encoded
from hybridstore.backends.resident.metadata_columns import MetadataColumns
from hybridstore.backends.resident.text_dictionary import pack
from hybridstore.backends.sqlite import SQLiteBackend, loader
from hybridstore.backends.sqlite.connection import value
from hybridstore.backends.sqlite.where_sql import restricted
from hybridstore.backends.values import Restriction
from hybridstore.filters import Comparison, field, matches

ROOMY = 2**30


def in_memory(backend, columns, tree):
    """Return the chunk ids that a filter keeps by the columns; None where they leave it to SQL."""
    with backend._connections.reading() as connection:
        revision = int(value(connection, "SELECT value FROM meta WHERE key = 'revision'"))
        found = columns.allowed(loader.SQLiteLoader(connection), revision, tree)
    if found is not None:
        assert found.dtype == np.int64
    return None if found is None else found.tolist()


def in_sql(backend, tree):
    condition, bindings = restricted(Restriction(tree))
    with backend._connections.reading() as connection:
        return sorted(chunk for (chunk,) in connection.execute(condition, tuple(bindings)))


def made(id_, metadata, title="", uri="", parts=1):
    return entry(id_, "x" * parts, spans=[(n, n + 1) for n in range(parts)], metadata=metadata, title=title, uri=uri)


def by_id(tree):
    return "@id" in repr(tree)


@contextmanager
def small_bounds():
    """Make pages of few rows, and few documents late, so that little data meets every bound."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(loader, "_PAGE", 3))
        for name, bound in {"_MOST_LATE": 2, "_MOST_LATE_CHUNKS": 5, "_MOST_ADDED": 2}.items():
            stack.enter_context(patch.object(metadata_columns, name, bound))
        stack.enter_context(patch.object(field_values, "_SOME", 0))
        yield


ids = st.sampled_from([f"d{n}" for n in range(7)])
puts = st.lists(st.tuples(ids, documents, st.integers(1, 3)), min_size=1, max_size=5)
steps = st.tuples(st.booleans(), puts | st.lists(ids, min_size=1, max_size=3))


@settings(max_examples=settings().max_examples * 4 // 5)
@given(puts, st.lists(trees, min_size=1, max_size=4), st.lists(steps, max_size=6))
@example([("d0", ({"a": [1]}, "", "", ""), 1)], [field("a").contains(1)], [(True, ["d0"]), (False, ["d1"])])
def test_memory_keeps_what_sql_keeps_through_writes_of_all_kinds(first, filters, walk):
    with (
        small_bounds(),
        tempfile.TemporaryDirectory() as folder,
        closing(SQLiteBackend(f"{folder}/store.db")) as backend,
        closing(SQLiteBackend(backend.location)) as other,
    ):
        columns = MetadataColumns(ROOMY)
        for elsewhere, step in [(False, first), *walk]:
            writer = other if elsewhere else backend
            if isinstance(step[0], str):
                writer.remove(step)
            else:
                writer.put([made(id_, data, title, uri, parts) for id_, (data, _, title, uri), parts in step])
            for tree in filters:
                found = in_memory(backend, columns, tree)
                assert found == in_sql(backend, tree) or (found is None and by_id(tree))


@pytest.fixture
def backend(tmp_path):
    with closing(SQLiteBackend(str(tmp_path / "columns.db"))) as backend:
        yield backend


def test_every_odd_value_against_every_odd_operand(backend):
    values = [None, True, False, *NUMBERS, *TEXTS, 2**63 + 1, 2**70, 10**400, -(10**400)]
    rows = [{"a": value} for value in values] + [{"a": [value]} for value in [*values, [1], {"a": 1}]]
    rows += [{"a": []}, {"a": {"b": 1}}, {}]
    backend.put([made(f"d{n}", row) for n, row in enumerate(rows)])
    columns = MetadataColumns(ROOMY)
    for operand in [None, True, False, *NUMBERS, *TEXTS]:
        signs = ["eq", "ne", "contains"] + ["gt", "gte", "lt", "lte"] * (operand is not None)
        trees = [Comparison("a", sign, operand) for sign in signs + ["prefix", "ieq"] * isinstance(operand, str)]
        for tree in [*trees, field("a").in_([operand]), field("a").nin([operand, 1, 2, "a", "b", None])]:
            assert in_memory(backend, columns, tree) == in_sql(backend, tree), tree


def test_a_long_list_of_values_is_looked_up(backend):
    backend.put([made(f"d{n}", {"n": n}) for n in range(300)])
    for wanted in (range(0, 300, 7), [], ["1"], [1.0, 299, 300]):
        tree = field("n").in_(wanted)
        assert in_memory(backend, MetadataColumns(ROOMY), tree) == in_sql(backend, tree)


def test_an_empty_store_and_one_that_was_emptied_keep_nothing(backend):
    columns = MetadataColumns(ROOMY)
    everything = field("a").exists(False)
    assert in_memory(backend, columns, everything) == []
    backend.put([made("a", {}), made("b", {})])
    assert len(in_memory(backend, columns, everything)) == 2
    backend.remove(["a", "b"])
    assert in_memory(backend, columns, everything) == []
    assert in_memory(backend, columns, field("b").exists(False)) == []  # loaded when there is nothing to load


def test_writes_are_followed_and_nothing_is_loaded_again(backend):
    backend.put([made(f"d{n}", {"n": n % 10, "text": f"t{n}"}, parts=1 + n % 3) for n in range(300)])
    columns = MetadataColumns(ROOMY)
    with patch.object(metadata_columns, "load_owners", wraps=metadata_columns.load_owners) as load:
        for step in range(350):
            if step % 5 == 0:
                backend.remove([f"d{step}"])
            else:
                backend.put([made(f"d{step * 2}", {"n": step % 10, "text": f"new{step}"}, parts=1 + step % 2)])
            for tree in (field("n") == step % 10, field("text").prefix("new3"), field("n").exists()):
                assert in_memory(backend, columns, tree) == in_sql(backend, tree)
    assert load.call_count == 1


def test_a_field_first_filtered_on_after_writes_is_right_for_old_and_new_documents(backend):
    backend.put([made(f"d{n}", {"n": n, "m": n}) for n in range(20)])
    columns = MetadataColumns(ROOMY)
    in_memory(backend, columns, field("n") == 1)
    backend.put([made("d3", {"n": 4, "m": 4}), made("new", {"m": 4})])
    backend.remove(["d5"])
    for tree in (field("m") == 4, field("m") == 3, field("m") == 5, (field("n") == 4) & (field("m") == 4)):
        assert in_memory(backend, columns, tree) == in_sql(backend, tree)


def test_a_large_write_is_loaded_again(backend):
    backend.put([made(f"d{n}", {"n": n}) for n in range(20)])
    columns = MetadataColumns(ROOMY)
    in_memory(backend, columns, field("n") == 1)
    backend.put([made(f"e{n}", {"n": n}) for n in range(400)])
    with patch.object(metadata_columns, "load_owners", wraps=metadata_columns.load_owners) as load:
        assert in_memory(backend, columns, field("n") == 7) == in_sql(backend, field("n") == 7)
    assert load.call_count == 1


def test_a_reader_of_an_older_state_is_left_to_sql(backend):
    backend.put([made("a", {"n": 1})])
    columns, tree = MetadataColumns(ROOMY), field("n") == 1
    with closing(SQLiteBackend(backend.location)) as other, backend.snapshot():
        before = in_memory(backend, columns, tree)
        other.put([made("b", {"n": 1})])
        assert len(in_memory(other, columns, tree)) == 2
        assert in_memory(backend, columns, tree) is None
    assert before == in_sql(backend, tree)[:1]


def test_a_filter_by_id_is_left_to_the_index_of_the_file(backend):
    backend.put([made("a", {"n": 1})])
    columns = MetadataColumns(ROOMY)
    for tree in (field("@id") == "a", (field("n") == 1) & field("@id").in_(["a"])):
        assert in_memory(backend, columns, tree) is None
    for tree in (field("@id") != "a", (field("n") == 1) | (field("@id") == "b")):
        assert in_memory(backend, columns, tree) == in_sql(backend, tree)


def test_columns_stay_within_their_bytes_and_the_least_recently_used_go_first(backend):
    names = "abc"
    backend.put([made(f"d{n}", {name: f"{name} {n}" * 10 for name in names}) for n in range(200)])
    columns = MetadataColumns(ROOMY)
    for name in names:
        in_memory(backend, columns, field(name) == "x")
    one = columns._columns[(("a",),)].nbytes
    tight = MetadataColumns(columns._owners.nbytes + 2 * one + one // 2)
    for name in "abac":
        assert in_memory(backend, tight, field(name) == "x") == []
    assert list(tight._columns) == [(("a",),), (("c",),)]
    assert in_memory(backend, tight, (field("a") == 1) & (field("b") == 1) & (field("c") == 1)) is None
    assert in_memory(backend, tight, field("a") == "a 7" * 10) == in_sql(backend, field("a") == "a 7" * 10)
    for budget in (0, 100, columns._owners.nbytes + one // 2):
        assert in_memory(backend, MetadataColumns(budget), field("a") == "x") is None


def test_threads_that_filter_while_another_writes_see_their_own_state(backend):
    backend.put([made(f"d{n}", {"n": n % 5}) for n in range(100)])
    columns, stop, wrong, seen = MetadataColumns(ROOMY), threading.Event(), [], []

    def read():
        while not stop.is_set():
            for tree in (field("n") == 3, ~(field("n") == 3), field(f"m{len(seen) % 50}").exists(False)):
                with backend.snapshot():
                    found = in_memory(backend, columns, tree)
                    if found is not None:
                        seen.append(1)
                        if found != in_sql(backend, tree):
                            wrong.append(tree)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for n in range(200):
        backend.put([made(f"d{n % 120}", {"n": n % 7})])
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong
    assert len(seen) > 10


def test_a_filtered_search_finds_the_same_with_and_without_memory(backend):
    entries = [entry(f"d{n}", f"apple w{n}", metadata={"n": n % 4}, title=f"berry {n % 3}") for n in range(60)]
    backend.put(entries)
    with closing(SQLiteBackend(backend.location, memory=0)) as bare:
        for limits in (
            restriction(backend, {"n": {"$gte": 2}}),
            restriction(backend, {"n": 1}, phrases=["berry 2"], excluded=["w5", "w17"]),
            restriction(backend, {"n": 1, "@id": "d5"}),
            restriction(backend, phrases=["berry 1"]),
        ):
            ours, theirs = (ranked(one, ["appl"], limits=limits).chunks.tolist() for one in (backend, bare))
            assert sorted(ours) == sorted(theirs)
            assert 0 < len(ours) < 60
    assert list(backend._memory._columns._columns) == [(("n",),)]


@given(
    st.lists(stored | st.just(MISSING), max_size=12),
    st.lists(stored, max_size=6),
    st.data(),
    st.sampled_from([-99, 99]),
)
def test_values_are_extended_by_added_documents_and_drop_those_of_removed_ones(first, more, data, some):
    values = encoded(first, np.arange(len(first)))
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=len(first), max_size=len(first))), np.bool_)
    left = [value for value, stays in zip(first, kept, strict=True) if stays] + more
    with patch.object(field_values, "_SOME", some):
        grown = field_values.extended(values, kept, more)
    anew = encoded(left, np.arange(len(left)))
    if some < 0:  # cleared
        assert list(grown.numbers) == list(anew.numbers)
        assert grown.texts.unpacked() == anew.texts.unpacked()
    for sign, wanted in data.draw(st.lists(st.tuples(st.sampled_from(["eq", "ne", "contains"]), scalars), max_size=5)):
        assert grown.mask(sign, wanted).tolist() == anew.mask(sign, wanted).tolist()


def test_a_dictionary_does_not_keep_all_that_ever_was(backend):
    backend.put([made(f"d{n}", {"a": f"first {n}", "b": [n]}) for n in range(5)])
    columns = MetadataColumns(ROOMY)
    with small_bounds(), patch.object(field_values, "_SOME", 20):
        for n in range(100):
            tree = (field("a") == f"later {n}") & field("b").contains(f"x{n}")
            backend.put([made(f"d{n % 5}", {"a": f"later {n}", "b": [f"x{n}"]})])
            assert in_memory(backend, columns, tree) == in_sql(backend, tree) != []
    assert len(columns._columns) == 2
    assert all(column.size < 50 for column in columns._columns.values())


@given(st.sets(texts | st.text("ab", max_size=6), max_size=30), texts | st.text("ab", max_size=2))
def test_packed_texts_contain_what_the_texts_contain(distinct, part):
    ordered = sorted(distinct)
    packed = pack(ordered)
    assert packed.containing(part).tolist() == [part in text for text in ordered]
    assert packed.unpacked() == ordered
    others = sorted({*ordered[::2], part, *(text + part for text in ordered)})
    joined, places, other_places = packed.joined(pack(others))
    assert joined.unpacked() == sorted({*ordered, *others})
    assert [joined.unpacked()[place] for place in [*places, *other_places]] == [*ordered, *others]
    assert [packed[place].decode() for place in range(len(packed))] == ordered


def test_a_rare_part_is_found_in_its_texts_and_not_across_two():
    ordered = [*sorted(f"{n:03} x" for n in range(200)), "y needle z"]
    packed = pack(ordered)
    assert np.flatnonzero(packed.containing("needle")).tolist() == [200]
    assert np.flatnonzero(packed.containing("x05")).tolist() == []  # the end of one and the beginning of the next
    assert packed.containing("").all()
    assert matches(field("a").contains(""), {"a": ""})
