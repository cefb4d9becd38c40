"""Export and import of a memory: nothing is lost, overwritten or half read."""

import gzip
import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import FileRefused, InputError
from hybridstore.ingest import export_import
from hybridstore.memory import ImportReport, Memory, Note


class Clock:
    """A clock that is a second further at each look."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def store():
    with hs.open(":memory:", embedder=HashingEmbedder(16)) as store:
        yield store


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ann(store, clock):
    return Memory(store, ("user", "ann"), clock=clock)


@pytest.fixture
def ben(store, clock):
    return Memory(store, "ben", clock=clock)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "notes.jsonl"


def lived_in(memory):
    """Add notes and turns of every kind to a memory."""
    memory.remember("Ann likes tea.", id="drink", metadata={"tags": ["a", 1, 2.5, None, True], "ü": {"x": []}})
    memory.remember("Ann likes coffee.", id="drink", occurred_at="2024-02-03T04:05:06.789+02:00")
    memory.remember("Ann lives in Graz.", id="home", valid_to="2031-01-01", session="a talk")
    memory.remember("Ann lives in Linz.", supersedes="home")
    memory.remember("Ann lives in Wien.", on_similar="link", similarity=0.1)
    memory.remember("gone in a year", ttl=86400 * 365)
    memory.remember(
        [
            {"role": "user", "content": "Hello, über all", "name": "Ann", "id": "m1", "time": "2024-01-01T10:00:00Z"},
            {"role": "assistant", "content": "line one\nline two\u2028three"},
        ],
        session="a/b c",
        metadata={"channel": "web"},
    )
    return memory


def lines(file):
    header, *rest = file.read_bytes().splitlines(keepends=True)
    return json.loads(header), rest


def test_an_export_imported_into_another_namespace_exports_the_same(ann, ben, file, tmp_path):
    count = lived_in(ann).export(file)
    assert count == len(list(ann._space.notes())) == 8
    assert ben.import_(file) == ImportReport(added=count)
    again = tmp_path / "again.jsonl"
    assert ben.export(again) == count
    (header, notes), (header_again, notes_again) = lines(file), lines(again)
    assert notes == notes_again
    assert header == {"hybridstore-memory": 1, "namespace": ["user", "ann"], "notes": count}
    assert header_again == {**header, "namespace": ["ben"]}
    assert [note.text for note in ben.history("drink")] == ["Ann likes tea.", "Ann likes coffee."]
    assert {item.text for item in ben.recall("where does Ann live")} >= {"Ann lives in Linz."}


def test_the_same_namespace_of_another_file_gets_the_same_notes_and_continues(ann, clock, file):
    lived_in(ann).export(file)
    with Memory(":memory:", ("user", "ann"), embedder=HashingEmbedder(16), clock=clock) as other:
        other.import_(file)
        assert list(other._space.notes()) == list(ann._space.notes())
        assert other.remember("Ann likes coffee.", id="drink").status == "unchanged"
        more = other.remember([{"role": "user", "content": "next"}], session="a/b c")
        assert more.id == "a%2Fb%20c/000003"


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(lambda text: text.strip())
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    scalars | texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
metadata = st.dictionaries(texts.filter(lambda key: key != "memory"), values, max_size=3)
times = st.none() | st.datetimes().map(lambda when: when.isoformat())
notes = st.lists(st.tuples(texts, metadata, times, st.none() | texts, st.booleans()), min_size=1, max_size=6)


@given(notes)
@settings(max_examples=settings().max_examples * 2 // 5, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_notes_survive_export_and_import_unchanged(tmp_path, message):
    first, second = io.BytesIO(), io.BytesIO()
    with hs.open(":memory:", embedder="none") as store:
        mine, theirs = Memory(store, "mine"), Memory(store, ("their/own", "ü"))
        for text, facts, when, session, as_turn in message:
            try:
                mine.remember(
                    [{"role": "user", "content": text, "name": "N"}] if as_turn else text,
                    metadata=facts,
                    occurred_at=when,
                    session=session,
                )
            except InputError:  # a year that cannot be kept, or a metadata field that the store refuses
                continue
        mine.export(first)
        first.seek(0)
        theirs.import_(first)
        theirs.export(second)
    assert first.getvalue().split(b"\n")[1:] == second.getvalue().split(b"\n")[1:]


def test_names_in_gz_are_compressed_and_the_bytes_are_the_same_each_time(ann, ben, tmp_path):
    lived_in(ann)
    packed, plain = tmp_path / "a.jsonl.gz", tmp_path / "a.jsonl"
    ann.export(packed)
    ann.export(plain)
    once = packed.read_bytes()
    ann.export(packed)  # an export that is there is replaced
    assert packed.read_bytes() == once
    assert gzip.decompress(once) == plain.read_bytes()
    assert ben.import_(packed).added == 8


def test_stored_notes_stay_and_other_content_is_a_conflict(ann, ben, file):
    lived_in(ann).export(file)
    ben.remember("Ben never said where he lives.", id="home")
    assert ben.import_(file) == ImportReport(added=7, conflicts=("home",))
    assert ben.get("home").text == "Ben never said where he lives."
    assert ben.import_(file) == ImportReport(unchanged=7, conflicts=("home",))


def test_expired_notes_are_not_exported(ann, clock, file):
    ann.remember("short-lived", ttl=5)
    ann.remember("lasting")
    clock.now += 10
    assert ann.export(file) == 1
    assert b"short-lived" not in file.read_bytes()


def test_a_damaged_line_is_named_and_the_lines_before_it_are_imported(ann, ben, file):
    lived_in(ann).export(file)
    rows = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*rows[:4], rows[4][:20] + b"\n", *rows[5:]]))
    with pytest.raises(
        InputError, match=r"notes.jsonl, line 5: .*the 3 notes before it are imported \(3 new"
    ) as outcome:
        ben.import_(file)
    assert "import again" in str(outcome.value)
    assert len(list(ben._space.notes())) == 3
    file.write_bytes(b"".join(rows))
    assert ben.import_(file) == ImportReport(added=5, unchanged=3)


def test_a_truncated_file_is_reported_with_the_number_of_notes_read(ann, ben, file, tmp_path):
    lived_in(ann).export(file)
    rows = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(rows[:-2]))
    with pytest.raises(InputError, match="ends after 6 of 8 notes, which are imported"):
        ben.import_(file)
    packed = tmp_path / "cut.gz"
    packed.write_bytes(gzip.compress(b"".join(rows))[:-30])
    with pytest.raises(InputError, match="truncated or damaged"):
        ben.import_(packed)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"text": None}, "the text of a note must be a text"),
        ({"id": "s/000001"}, "is not a possible id of a note"),
        ({"kind": "turn", "session": "s", "turn": 2}, "is not a possible id of a turn"),
        ({"kind": "dream"}, "is not a possible id of a dream"),
        ({"mood": "good"}, "unknown fields mood"),
        ({"valid_from": "soon"}, "valid_from is 'soon'"),
        ({"turn": True}, "the turn of a note must be a whole number"),
        ({"metadata": {"memory": 1}}, "'memory'"),
        ({"metadata": []}, "metadata must be a mapping"),
        ({"links": "x"}, "the links of a note must be a list of texts"),
        ({"text": "half \ud800"}, "lone surrogate"),
        ({"format": "pdf"}, "format"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_invalid_note_is_reported_with_its_line(ben, file, changed, reason):
    note = {"id": "a", "text": "fine", **changed}
    file.write_text(f'{{"hybridstore-memory":1,"notes":1}}\n{json.dumps(note)}\n')
    with pytest.raises(InputError, match=f"line 2: .*{reason}"):
        ben.import_(file)
    assert ben.notes() == []


def test_the_same_id_twice_in_a_file_is_a_conflict_unless_it_says_the_same(ben, file):
    rows = [{"id": "a", "text": "one"}, {"id": "a", "text": "one"}, {"id": "a", "text": "two"}]
    file.write_text("\n".join(['{"hybridstore-memory":1,"notes":3}', *map(json.dumps, rows)]))
    assert ben.import_(file) == ImportReport(added=1, unchanged=1, conflicts=("a",))


def test_files_other_than_exports_of_a_memory_are_rejected(store, ben, file, tmp_path):
    for content in (b"", b"not json\n", b"[]\n", b'{"other": 1}\n'):
        file.write_bytes(content)
        with pytest.raises(InputError, match=r"is not an export of a memory.*Memory\.export"):
            ben.import_(file)
    file.write_bytes(b'{"hybridstore-memory":2,"notes":0}\n')
    with pytest.raises(InputError, match=r"version 2 of the format.*upgrade"):
        ben.import_(file)
    export_import.export(store, tmp_path / "store.jsonl")
    with pytest.raises(InputError, match="whole store; `hybridstore import"):
        ben.import_(tmp_path / "store.jsonl")
    with pytest.raises(FileRefused, match="cannot be read"):
        ben.import_(tmp_path / "nothing.jsonl")


def test_an_export_never_replaces_another_kind_of_file(ann, file, tmp_path):
    file.write_text("my diary")
    with pytest.raises(FileRefused, match="not an export of a memory"):
        ann.export(file)
    assert file.read_text() == "my diary"
    with pytest.raises(FileRefused, match="is a folder"):
        ann.export(tmp_path)


def test_a_note_survives_conversion_to_a_dictionary(ann):
    for note in lived_in(ann)._space.notes():
        assert Note.from_dict(note.to_dict()) == note
        assert Note.from_dict(note.to_dict(), namespace=("x",)).namespace == ("x",)
    markdown = Note(id="a", text="# A", namespace=("x",), format="markdown")
    assert Note.from_dict(markdown.to_dict()) == markdown
    with pytest.raises(InputError, match="must be a mapping"):
        Note.from_dict("text")


def test_many_notes_are_written_in_batches(ann, ben, file):
    ann.store.add("a document that is no note is not exported")
    for n in range(205):
        ann.remember(f"fact {n}", id=f"n{n}")
    assert ann.export(file) == 205
    assert ben.import_(file).added == 205
    assert [note.id for note in ben.notes()] == [f"n{n}" for n in range(205)]


def test_an_expired_note_does_not_block_an_import(ann, clock, tmp_path):
    ann.remember("tea", id="drink")
    ann.export(tmp_path / "tea.jsonl")
    ben = Memory(ann.store, ("user", "ben"), clock=clock)
    ben.remember("coffee", id="drink", ttl=5)
    clock.now += 5
    assert ben.import_(tmp_path / "tea.jsonl").added == 1
    assert ben.get("drink").text == "tea"
