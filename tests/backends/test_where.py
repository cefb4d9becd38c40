"""Filters as SQL: SQLite keeps exactly what `matches` keeps."""

import json
from contextlib import closing

import apsw
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hybridstore.backends.sqlite.connection import add_functions
from hybridstore.backends.sqlite.where_sql import compile_where
from hybridstore.errors import InputError
from hybridstore.filters import MAX_CONDITIONS, MAX_LEVELS, And, Comparison, Not, Or, field, matches

# Few keys and values, so that filters and metadata meet; every one of them is there to be mistaken for another.
PATTERNS = ["", "a", "^a", "b$", "(?i)A", "^$", "[01]", "\\d{4}-", "é|ß", "\\.", "(a|b)+c?", "\\Aab\\Z"]
KEYS = [
    "a",
    "b",
    "a.a",
    "a.b.b",
    "",
    '"',
    "'",
    "\\",
    "[0]",
    "0",
    "a.b",
    "$",
    "@id",
    "#-1",
    "é",
    "🙂",
    "*",
    "\n",
    "A",
    "?1",
]
TEXTS = ["", "a", "A", "ab", "abc", "b", "0", "1", "true", "null", "[1]", "%", "_", "*", "?", '"', "\\", "'", "é"]
TEXTS += [
    "e\u0301",
    "ß",
    "🙂",
    "\uffff",
    "\ud7ff",
    "\ue000",
    "\U0010ffff",
    "\U0010ffffa",
    "a\0",
    "a\0b",
    " a",
    "1.0",
]
DATES = ["2024-05", "2024-05-01", "2024-05-01T00:00Z", "2024-05-01 02:00:00+02:00", "2024-04-30T23:00:00-01:00"]
DATES += ["2024-05-01T00:00:00.000001", "20240501", "2024-02-30", "2024-05-01x", "0001-01-01T00:00+14:00", "9999-12-31"]
TEXTS += [*DATES, "\u1e9e", "SS", "STRASSE", "Straße"]
NUMBERS = [0, 1, -1, 2, 1.0, 0.5, -0.0, 0.1, 2**53, 2**53 + 1, 2.0**53, 2**63 - 1, -(2**63), 2.0**63, -(2.0**63)]
NUMBERS += [2**63 - 512, 1e308, 5e-324, 0.1 + 0.2, 1e16, 123456789.123456789]

texts = st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
numbers = st.sampled_from(NUMBERS) | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | texts
stored = st.recursive(
    scalars | st.sampled_from([2**63, 2**64 + 1, -(2**70), 10**400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)
documents = st.tuples(st.dictionaries(st.sampled_from(KEYS), stored, max_size=4), texts, texts, texts)


def written(key):
    return "".join("\\" + sign if sign in ".\\@$" else sign for sign in key)


names = st.lists(st.sampled_from(KEYS), min_size=1, max_size=2).map(lambda keys: ".".join(map(written, keys)))
dotted = st.sampled_from(["a.b", "a.a", "a.b.b", "a.a.b.b", "$.a.b", "$.a", "b.a.b.a.b"])
fields = names | dotted | st.sampled_from(["a", "b", "@id", "@title", "@uri"])
comparisons = st.one_of(
    st.builds(Comparison, fields, st.sampled_from(["eq", "ne", "contains"]), scalars),
    st.builds(
        Comparison,
        fields,
        st.sampled_from(["gt", "gte", "lt", "lte"]),
        scalars.filter(lambda value: value is not None),
    ),
    st.builds(Comparison, fields, st.sampled_from(["in", "nin"]), st.lists(scalars, max_size=4)),
    st.builds(Comparison, fields, st.sampled_from(["prefix", "ieq"]), texts),
    st.builds(Comparison, fields, st.just("regex"), st.sampled_from(PATTERNS)),
    st.builds(Comparison, fields, st.just("exists"), st.booleans()),
)
trees = st.recursive(
    comparisons,
    lambda inner: (
        st.builds(And, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Not, inner)
    ),
    max_leaves=5,
)


def filled(rows, *, ensure_ascii=False):
    connection = apsw.Connection(":memory:")
    add_functions(connection)
    connection.execute(
        "CREATE TABLE documents (number INTEGER PRIMARY KEY, id TEXT NOT NULL, title TEXT NOT NULL,"
        " uri TEXT NOT NULL, metadata TEXT NOT NULL) STRICT"
    )
    connection.executemany(
        "INSERT INTO documents (metadata, id, title, uri) VALUES (?, ?, ?, ?)",
        [(json.dumps(metadata, ensure_ascii=ensure_ascii), *own) for metadata, *own in rows],
    )
    return connection


def kept_by_sql(connection, tree):
    expression, values = compile_where(tree)
    rows = connection.execute(f"SELECT {expression} FROM documents ORDER BY number", values)
    results = [result for (result,) in rows]
    assert set(results) <= {0, 1}, f"NULL or worse from {expression}"
    return [bool(result) for result in results]


def kept_in_memory(rows, tree):
    return [matches(tree, metadata, id=id_, title=title, uri=uri) for metadata, id_, title, uri in rows]


@settings(max_examples=settings().max_examples * 2)
@given(st.lists(documents, min_size=1, max_size=8), st.lists(trees, min_size=1, max_size=6), st.booleans())
@example([({"a": True}, "", "", ""), ({"a": 1}, "", "", ""), ({}, "", "", "")], [~(field("a") == 1)], False)
@example([({"a": [1]}, "", "", ""), ({"a": "[1]"}, "", "", "")], [field("a") == "[1]"], False)
@example([({}, "5", "", "")], [field("@id").in_([5]), field("@id") == 5], False)
def test_sql_keeps_what_memory_keeps(rows, filters, ensure_ascii):
    with closing(filled(rows, ensure_ascii=ensure_ascii)) as connection:
        for tree in filters:
            assert kept_by_sql(connection, tree) == kept_in_memory(rows, tree)


def test_every_odd_value_against_every_odd_operand():
    rows = [({"a": value}, "", "", "") for value in [None, True, False, *NUMBERS, *TEXTS, 2**70]]
    rows += [({"a": [value]}, "", "", "") for value in [None, True, False, *NUMBERS, *TEXTS, [1], {"a": 1}]]
    rows += [({"a": {"b": 1}}, "", "", ""), ({}, "", "", "")]
    with closing(filled(rows)) as connection:
        for operand in [None, True, False, *NUMBERS, *TEXTS]:
            signs = ["eq", "contains"] + ["gt", "lte"] * (operand is not None)
            signs += ["prefix", "ieq"] * isinstance(operand, str)
            for tree in [Comparison("a", sign, operand) for sign in signs] + [field("a").in_([operand])]:
                assert kept_by_sql(connection, tree) == kept_in_memory(rows, tree), tree


def test_every_odd_key_is_found_and_no_other():
    rows = [({"other": 0, key: 1}, "", "", "") for key in KEYS]
    with closing(filled(rows)) as connection:
        for key in KEYS:
            assert kept_by_sql(connection, field(written(key)) == 1) == [key == other for other in KEYS], key


def test_values_and_paths_are_bound_never_written():
    hostile = "x'); DROP TABLE documents; --"
    expression, values = compile_where(And((field(written(hostile)) == hostile, field("@id").in_([hostile]))))
    assert "DROP" not in expression
    assert any("DROP" in str(value) for value in values)
    assert expression.count("?") == len(values)


def test_the_largest_filters_run():
    # of comparisons that bind the most values, and with groups in groups as deep and as wide as they may be
    wide = Or(tuple(Comparison("a", "prefix", f"{n}-") for n in range(MAX_CONDITIONS - 1)))
    deep, beside = field("a") == 1, (Comparison("a", "contains", "x"),) * (MAX_CONDITIONS // MAX_LEVELS - 3)
    for level in range(MAX_LEVELS - 1):
        deep = [And((*beside, deep)), Not(deep), Or((*beside, deep))][level % 3]
    rows = [({"a": f"{MAX_CONDITIONS - 2}-x"}, "", "", ""), ({"a": 1}, "", "", "")]
    with closing(filled(rows)) as connection:
        for tree in (wide, deep):
            assert kept_by_sql(connection, tree) == kept_in_memory(rows, tree)
    with pytest.raises(InputError, match="deep"):
        compile_where(~deep)
    with pytest.raises(InputError, match="large"):
        compile_where(Or((wide, wide)))


def test_a_long_list_is_one_bound_value():
    expression, values = compile_where(field("a").in_(range(100_000)))
    assert len(values) == 6
    assert len(expression) < 500


def test_another_table_or_alias_can_be_named():
    with closing(filled([({"a": 1}, "x", "", ""), ({"a": 2}, "y", "", "")])) as connection:
        expression, values = compile_where((field("a") == 2) & (field("@id") == "y"), table="the d")
        found = connection.execute(f'SELECT id FROM documents AS "the d" WHERE {expression}', values)
        assert list(found) == [("y",)]


def test_a_documents_own_id_is_looked_up_in_its_index():
    with closing(filled([])) as connection:
        connection.execute("CREATE UNIQUE INDEX by_id ON documents (id)")
        for tree in (field("@id") == "x", field("@id").in_(["x", "y"]), field("@id").prefix("x")):
            expression, values = compile_where(tree & (field("a") == 1))
            plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT * FROM documents WHERE {expression}", values)
            assert "USING INDEX by_id" in " ".join(row[3] for row in plan)
