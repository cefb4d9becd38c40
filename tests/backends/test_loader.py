"""What SQLite's loader reads of the keyword index is what was written, row by row."""

import contextlib
import random

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import entry

from hybridstore.backends.keyword_scoring import COLUMNS, WEIGHTS
from hybridstore.backends.sqlite import SQLiteBackend, fts5_terms
from hybridstore.backends.sqlite.loader import SQLiteLoader
from hybridstore.backends.sqlite.schema import TABLES


def index():
    connection = apsw.Connection(":memory:")
    connection.execute(TABLES)
    connection.execute("CREATE VIRTUAL TABLE instances USING fts5vocab (keywords, instance)")
    return connection


def write(connection, rows):
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO keywords (rowid, title, heading, body, compounds) VALUES (?, ?, ?, ?, ?)", rows)
    connection.execute("COMMIT")


def expected(connection, token):
    """Count a token's occurrences by row, weighted by column, one occurrence after another as FTS5 lists them."""
    found = {}
    sql = "SELECT doc, col FROM instances WHERE term = ? ORDER BY doc"
    for row, column in connection.execute(sql, (token,)):
        found[row] = found.get(row, 0.0) + WEIGHTS[COLUMNS.index(column)]
    return found


def assert_as_fts5(connection, tokens):
    loader = SQLiteLoader(connection)
    frequencies = loader.frequencies(tokens)
    for token, df, (ids, weighted) in zip(tokens, frequencies, loader.postings(tokens), strict=True):
        assert len(ids) == df
        assert dict(zip(ids.tolist(), weighted.tolist(), strict=True)) == expected(connection, token), token
        assert ids.tolist() == sorted(ids.tolist())


def passage(rng, words):
    def text(most):
        return " ".join(
            words[min(int(rng.paretovariate(0.6)) - 1, len(words) - 1)] for _ in range(rng.randint(0, most))
        )

    return text(3), text(2), text(rng.choice([5, 40, 400])), text(3)


@pytest.mark.parametrize("gap", [1, 1000, 2**40], ids=["close rows", "rows apart", "rows far apart"])
def test_lists_over_many_pages_and_segments_are_read_whole(gap):
    rng, connection = random.Random(gap), index()
    words = ["a", "ab", "abc", "b" * 90, "日本", "é", *(f"w{n}" for n in range(400))]
    row = 1
    for _ in range(6):
        rows = []
        for _ in range(300):
            rows.append((row, *passage(rng, words)))
            row += rng.randint(1, gap)
        write(connection, rows)
    assert_as_fts5(connection, [*words, "nowhere", "", "abd", "zzz"])
    connection.execute("INSERT INTO keywords (keywords) VALUES ('optimize')")
    assert_as_fts5(connection, [*words, "nowhere"])


def test_deleted_rows_are_gone_and_rows_written_again_are_as_last_written():
    rng, connection = random.Random(5), index()
    words = [f"w{n}" for n in range(50)]
    write(connection, [(row, *passage(rng, words)) for row in range(1, 400)])
    for _ in range(12):
        gone = rng.sample(range(1, 400), 20)
        connection.executemany("DELETE FROM keywords WHERE rowid = ?", [(row,) for row in gone])
        write(connection, [(row, *passage(rng, words)) for row in gone[:10]])
        assert_as_fts5(connection, words)


def test_a_merge_that_is_half_done_is_read_as_it_stands():
    rng, connection = random.Random(6), index()
    words = [f"w{n}" for n in range(300)]
    for batch in range(8):
        write(connection, [(batch * 100 + n, *passage(rng, words)) for n in range(1, 100)])
    for _ in range(30):
        connection.execute("INSERT INTO keywords (keywords, rank) VALUES ('merge', -2)")
        assert_as_fts5(connection, rng.sample(words, 40))


@settings(max_examples=settings().max_examples * 3 // 5)
@given(
    st.lists(
        st.tuples(*[st.lists(st.sampled_from(["a", "b", "ab", "é", "日本"]), max_size=6)] * 4), min_size=1, max_size=30
    )
)
def test_any_rows_are_read_as_written(rows):
    connection = index()
    write(connection, [(3 * n + 1, *(" ".join(column) for column in row)) for n, row in enumerate(rows)])
    assert_as_fts5(connection, ["a", "b", "ab", "é", "日本", "c"])


def test_the_table_of_occurrences_is_made_again_after_a_rollback():
    connection = index()
    write(connection, [(1, "word", "", "word", "")])
    for _ in range(2):
        connection.execute("BEGIN")
        assert SQLiteLoader(connection).postings(["word"])[0][1].tolist() == [2.5]
        connection.execute("ROLLBACK")


def test_an_index_in_another_format_is_left_to_fts5(tmp_path):
    backend = SQLiteBackend(str(tmp_path / "one.db"))
    backend.put([entry("d1", "word"), entry("d2", "other")])
    with contextlib.closing(apsw.Connection(str(tmp_path / "one.db"))) as another:  # ours may not write there
        another.execute("UPDATE keywords_config SET v = 5 WHERE k = 'version'")
    with backend._connections.reading() as connection:
        assert backend._memory.postings(SQLiteLoader(connection)) is None
    backend.close()


def test_all_terms_are_read_those_of_deleted_rows_too():
    rng, connection = random.Random(3), index()
    words = ["a", "ab", "abc", "b" * 90, "日本", "é", *(f"w{n}" for n in range(3000))]
    for first in range(1, 1200, 100):
        write(connection, [(row, *passage(rng, words)) for row in range(first, first + 100)])
    write(
        connection, [(5000, "", "", "gone goes going", ""), *((row, *passage(rng, words)) for row in range(2000, 2100))]
    )

    def known():
        return {term.encode() for (term,) in connection.execute("SELECT term FROM vocabulary")}

    terms = list(fts5_terms.terms(connection))
    assert set(terms) == known() >= {b"gone", b"w1"}
    connection.execute("DELETE FROM keywords WHERE rowid = 5000")
    assert b"gone" in set(fts5_terms.terms(connection)) >= known()
    connection.execute("INSERT INTO keywords (keywords) VALUES ('optimize')")
    terms = list(fts5_terms.terms(connection))
    assert (set(terms), len(terms)) == (known(), len(set(terms)))
    assert b"gone" not in terms
