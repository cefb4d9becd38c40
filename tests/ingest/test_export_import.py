"""Export and import: nothing is lost, and invalid lines are reported."""

import base64
import gzip
import io
import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import EmbedderMismatch, FileRefused, InputError
from hybridstore.ingest.export_import import export, load, reading

LONG = "\n\n".join(f"Paragraph {n} of the long text is about onions, leeks and garlic." for n in range(60))
DOCUMENTS = [
    hs.Document(id="long", title="Long", text=LONG, metadata={"year": 2024, "tags": ["a", "é"], "deep": {"x": None}}),
    hs.Document(id="code", text="def soup():\n    return 'onion'\n", format="code", uri="soup.py"),
    hs.Document(id="日本", text="# 玉ねぎ\n\n玉ねぎのスープ", format="markdown"),
    hs.Document(id="blank", title="Only a title", text=""),
]


@pytest.fixture
def store():
    with hs.open(":memory:", embedder=HashingEmbedder(64)) as store:
        store.add(DOCUMENTS)
        yield store


@pytest.fixture
def other():
    with hs.open(":memory:", embedder=HashingEmbedder(64)) as store:
        yield store


class NoModel(HashingEmbedder):
    """An embedder that must not embed documents."""

    def embed_documents(self, texts):
        raise AssertionError(f"a model ran for {len(texts)} texts")

    def embed_query(self, text):
        return HashingEmbedder(self.dim).embed_query(text)


def everything(store):
    return [
        (s.document, s.chunks, s.source, None if s.vectors is None else s.vectors.tobytes())
        for s in store.scan(vectors=True)
    ]


def lines(store, **options):
    stream = io.BytesIO()
    export(store, stream, **options)
    return stream.getvalue().splitlines(keepends=True)


def hits(store, query):
    return [(hit.document_id, hit.start, hit.end, hit.score) for hit in store.search(query)]


def test_with_vectors_everything_is_the_same_and_no_model_runs(store, tmp_path):
    file = tmp_path / "all.jsonl"
    assert export(store, file, vectors=True) == 4
    with hs.open(":memory:", embedder=NoModel(64)) as other:
        report = load(other, file)
        assert (report.added, report.embedded) == (4, 0)
        assert everything(other) == everything(store)
        assert other.stats().embedding.fingerprint == store.stats().embedding.fingerprint
        assert other.state().calibration == store.state().calibration
        for query in ("onion garlic", "スープ", "soup()", '"long text"'):
            assert hits(other, query) == hits(store, query)
        assert other.check() == []


def test_without_vectors_the_chunks_are_embedded_again(store, other, tmp_path):
    file = tmp_path / "all.jsonl.gz"
    export(store, file)
    assert load(other, file).embedded == store.stats().chunks
    assert everything(other) == everything(store)
    assert b"vectors" not in gzip.decompress(file.read_bytes()).split(b"\n", 2)[1]


def test_an_export_of_an_import_is_the_same_bytes(store, other):
    first = lines(store, vectors=True)
    load(other, io.BytesIO(b"".join(first)))
    assert lines(other, vectors=True) == first


def test_importing_again_does_nothing(store, other):
    data = b"".join(lines(store, vectors=True))
    load(other, io.BytesIO(data))
    revision = other.stats().revision
    assert load(other, io.BytesIO(data)).unchanged == 4
    assert other.stats().revision == revision


def test_adding_an_imported_document_as_it_was_added_before_does_nothing(tmp_path):
    vector = np.zeros((1, 8), np.float32)
    vector[0, 3] = 2.0
    documents = [hs.Document(id="whole", text=LONG), hs.Document(id="given", text=LONG)]
    with hs.open(tmp_path / "one.db", embedder="none") as store:
        store.add(documents[0], chunk=False)
        store.add([documents[1]], vectors=vector)
        store.add(DOCUMENTS)
        data = b"".join(lines(store, vectors=True))
    with hs.open(tmp_path / "two.db", embedder="none") as other:
        load(other, io.BytesIO(data))
        assert other.add(documents[0], chunk=False).unchanged == 1
        assert other.add([documents[1]], vectors=vector).unchanged == 1
        assert other.add(DOCUMENTS).unchanged == 4


def test_chunks_without_vectors_stay_without(tmp_path):
    with hs.open(tmp_path / "one.db", embedder=HashingEmbedder(64)) as store:
        store.add(DOCUMENTS[0])
    with hs.open(tmp_path / "one.db", embedder="none") as store:
        store.add(DOCUMENTS[1])
        data = b"".join(lines(store, vectors=True))
    with hs.open(tmp_path / "two.db", embedder=NoModel(64)) as other:
        load(other, io.BytesIO(data))
        assert other.embeddings.pending_count() == 1


def test_sources_are_exported(store, other):
    with store.writer() as writer:
        writer.add(hs.Document(id="row", text="a row"), source="/data/rows.csv")
    load(other, io.BytesIO(b"".join(lines(store))))
    assert everything(other)[-1][2] == "/data/rows.csv"


def test_only_matching_documents_are_exported_and_counted(store):
    first, *rest = map(json.loads, lines(store, where={"year": 2024}))
    assert first["documents"] == 1
    assert [line["id"] for line in rest] == ["long"]


def test_the_header_describes_the_store(store):
    header = json.loads(lines(store)[0])
    embedding = store.stats().embedding
    assert header == {
        "hybridstore": 1,
        "language": "english",
        "embedding": {"fingerprint": embedding.fingerprint, "reference": embedding.reference, "dim": 64},
        "documents": 4,
        "vectors": False,
        "background": None,
    }
    measured = json.loads(lines(store, vectors=True)[0])["background"]
    assert measured == asdict(store.state().calibration)


def test_vectors_of_another_embedder_are_rejected_before_anything_is_written(store, tmp_path):
    data = b"".join(lines(store, vectors=True))
    for fill in (False, True):
        with hs.open(tmp_path / f"other-{fill}.db", embedder=HashingEmbedder(32)) as other:
            if fill:
                other.add("Something else")
            revision = other.stats().revision
            with pytest.raises(EmbedderMismatch, match="hashing-64@"):
                load(other, io.BytesIO(data))
            assert other.stats().revision == revision
            assert load(other, io.BytesIO(data), vectors=False).added == 4
            assert other.stats().vectors == other.stats().chunks


def broken(line, **changes):
    return json.dumps(json.loads(line) | changes).encode() + b"\n"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda line: line[: len(line) // 2], "line 3"),
        (lambda _: b"[]\n", "not a document with an id"),
        (lambda _: b"[" * 100_000 + b"\n", "line 3"),
        (lambda _: b"\xff\xfe{}\n", "line 3"),
        (lambda line: broken(line, id=7), "not a document with an id"),
        (lambda line: broken(line, text=None), "text of document 'code' must be a string"),
        (lambda line: broken(line, text="\ud800"), "half of a character"),
        (lambda line: broken(line, format="pdf"), "must be one of"),
        (lambda line: broken(line, metadata=[]), "must be a mapping"),
        (lambda line: broken(line, source=3), "not valid text"),
        (lambda line: broken(line, chunks=[]), "has no chunks"),
        (lambda line: broken(line, chunks=[[0, 999, ""]]), "within the text"),
        (lambda line: broken(line, chunks=[[-1, 2, ""]]), "within the text"),
        (lambda line: broken(line, chunks=[[0, 2, "\ud800"]]), "within the text"),
        (lambda line: broken(line, vectors="###"), "not valid base64"),
        (lambda line: broken(line, vectors="AAAA"), "3 bytes"),
        (
            lambda line: broken(line, vectors=base64.b64encode(np.full(64, 9, "<f4").tobytes()).decode()),
            "unit norm",
        ),
        (
            lambda line: broken(line, vectors=base64.b64encode(np.full(64, np.nan, "<f4").tobytes()).decode()),
            "unit",
        ),
    ],
)
def test_an_invalid_line_is_reported_and_a_repaired_file_continues_from_there(store, other, damage, reason):
    good = lines(store, vectors=True)
    bad = [*good[:2], damage(good[2]), *good[3:]]
    with pytest.raises(InputError, match="line 3") as raised:
        load(other, io.BytesIO(b"".join(bad)))
    assert reason in str(raised.value)
    assert [document.id for document in other.documents()] == ["long"]
    report = load(other, io.BytesIO(b"".join(good)))
    assert (report.unchanged, report.added) == (1, 3)
    assert everything(other) == everything(store)


def test_a_missing_end_is_reported(store, other):
    good = lines(store)
    with pytest.raises(InputError, match="ends after 2 of 4 documents"):
        load(other, io.BytesIO(b"".join(good[:3])))
    assert other.count() == 2


def test_a_truncated_gzip_file_is_reported_with_its_line(store, other, tmp_path):
    file = tmp_path / "cut.jsonl.gz"
    export(store, file, vectors=True)
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"line \d: the compressed file is truncated"):
        load(other, file)


def test_a_background_that_nothing_could_be_divided_by_is_refused(store, other):
    header, *rest = lines(store, vectors=True)
    background = json.loads(header)["background"] | {"spread": 0}
    with pytest.raises(InputError, match="is not an export of a store"):
        load(other, io.BytesIO(b"".join([broken(header, background=background), *rest])))


INFINITE = [
    '{"hybridstore": Infinity}\n',
    '{"hybridstore": 1, "language": "english", "embedding": null, "documents": 1e999}\n',
    '{"hybridstore": 1, "embedding": {"fingerprint": "x", "reference": "x", "dim": -1e999}}\n',
]


@pytest.mark.parametrize("content", ["", "no json\n", '{"id": "x"}\n', "[1]\n", '{"hybridstore": "x"}\n', *INFINITE])
def test_another_file_is_not_an_export(other, tmp_path, content):
    file = tmp_path / "x.jsonl"
    file.write_text(content)
    with pytest.raises(InputError, match="is not an export of a store"):
        load(other, file)


def test_an_export_of_a_newer_version_is_rejected(other):
    with pytest.raises(InputError, match="written by a newer hybridstore"):
        load(other, io.BytesIO(b'{"hybridstore": 2, "something": "new"}\n'))


def test_missing_files_and_folders_are_rejected(other, tmp_path):
    for path in (tmp_path / "nowhere.jsonl", tmp_path):
        with pytest.raises(FileRefused, match="cannot be read"):
            load(other, path)
    with pytest.raises(FileRefused, match="cannot be written"):
        export(other, tmp_path / "nowhere" / "x.jsonl")
    with pytest.raises(FileRefused, match="is a folder"):
        export(other, tmp_path)


def test_an_export_is_renamed_only_when_complete(store, tmp_path):
    file = tmp_path / "all.jsonl"
    export(store, file)
    before = file.read_bytes()

    def stop(done, of):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(store, file, vectors=True, progress=stop)
    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.glob("*.jsonl*")) == ["all.jsonl"]


def test_only_an_existing_export_is_replaced(store, tmp_path):
    file = tmp_path / "all.jsonl"
    export(store, file)
    export(store, file, where={"year": 2024})
    with reading(file) as incoming:
        assert incoming.header.documents == 1
    file.write_text("my own notes\n")
    with pytest.raises(FileRefused, match="not an export of a store"):
        export(store, file)
    assert file.read_text() == "my own notes\n"


def test_progress_ends_with_everything_done(store, other, tmp_path):
    calls = []
    file = tmp_path / "all.jsonl"
    export(store, file, progress=lambda *state: calls.append(state))
    load(other, file, progress=lambda *state: calls.append(state))
    assert calls[0] == calls[-1] == (4, 4)


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=200)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
documents = st.builds(
    hs.Document,
    id=texts.filter(bool),
    text=texts,
    title=texts,
    uri=texts,
    metadata=st.dictionaries(texts, st.none() | st.booleans() | numbers | texts, max_size=3),
    format=st.sampled_from(["plain", "markdown", "code"]),
)


@settings(max_examples=settings().max_examples // 4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(documents, max_size=4, unique_by=lambda document: document.id))
def test_any_documents_come_back_as_they_were(tmp_path_factory, many):
    folder = tmp_path_factory.mktemp("exchange")
    with (
        hs.open(folder / "one.db", embedder=HashingEmbedder(8)) as store,
        hs.open(folder / "two.db", embedder=NoModel(8)) as other,
    ):
        store.add(many)
        load(other, io.BytesIO(b"".join(lines(store, vectors=True))))
        assert everything(other) == everything(store)
