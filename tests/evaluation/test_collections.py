"""Collections in BEIR layout."""

import json

import pytest

from hybridstore.errors import InputError
from hybridstore.evaluation.collections import Collection, Query, read_queries
from hybridstore.evaluation.judgments import Qrels
from hybridstore.records import Document


@pytest.mark.parametrize("gzipped", [False, True])
def test_documents_queries_and_judgments_are_read_plain_and_gzipped(tmp_path, write, gzipped):
    collection = Collection(write(tmp_path / "kitchen", gzipped=gzipped))
    assert collection.name == "kitchen"
    assert collection.splits == ("test",)
    documents = list(collection.corpus())
    assert [document.id for document in documents] == ["bread", "wine", "beer", "cheese", "blank"]
    assert documents[1] == Document(
        id="wine", title="Wine", text="Grapes ferment in a barrel for months.", metadata={"g": 1}
    )
    assert collection.queries()["q3"] == Query("q3", "zeppelin", {"g": 1})
    assert collection.qrels().of("q1") == {"beer": 2, "bread": 1}


def test_the_corpus_is_streamed(folder):
    with (folder / "corpus.jsonl").open("a") as file:
        file.write("this is not JSON\n")
    documents = Collection(folder).corpus()
    assert next(documents).id == "bread"
    with pytest.raises(InputError, match="line 6: this is not JSON"):
        list(documents)


def test_title_and_metadata_may_be_missing_or_null_and_ids_may_be_numbers(tmp_path, write):
    rows = [{"_id": 7, "text": "a"}, {"_id": "8", "text": "b", "title": None, "metadata": None, "url": "ignored"}]
    collection = Collection(write(tmp_path / "c", corpus=rows))
    assert list(collection.corpus()) == [Document(id="7", text="a"), Document(id="8", text="b")]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"_id": "bread", "text": "again"}, "line 6: the id 'bread' occurs twice"),
        ({"id": "x", "text": "y"}, 'line 6: .* has no "_id"'),
        ({"_id": None, "text": "y"}, 'line 6: .* has no "_id"'),
        (["x", "y"], "line 6: a line is a JSON object"),
        ({"_id": "x"}, "line 6: 'x' has no \"text\""),
        ({"_id": "x", "text": ["y"]}, 'line 6: "text" must be a string'),
        ({"_id": "x", "text": "y", "title": 3}, 'line 6: "title" must be a string'),
        ({"_id": "x", "text": "y", "metadata": []}, 'line 6: "metadata" must be an object'),
    ],
)
def test_a_broken_line_is_an_error_with_its_number(folder, row, words):
    with (folder / "corpus.jsonl").open("a") as file:
        file.write("\n".join((json.dumps(row), "")))
    with pytest.raises(InputError, match=words):
        list(Collection(folder).corpus())


def test_a_query_id_that_comes_twice_is_an_error(folder):
    with (folder / "queries.jsonl").open("a") as file:
        file.write('{"_id": "q1", "text": "again"}\n')
    with pytest.raises(InputError, match=r"queries\.jsonl, line 6: the id 'q1'"):
        Collection(folder).queries()


def test_a_missing_folder_and_a_missing_file_are_named(tmp_path, folder):
    with pytest.raises(InputError, match="nowhere is not a folder"):
        Collection(tmp_path / "nowhere")
    (folder / "queries.jsonl").unlink()
    with pytest.raises(InputError, match=r"queries\.jsonl nor queries\.jsonl\.gz exists"):
        Collection(folder).queries()


def test_an_unknown_split_is_an_error_that_lists_those_there_are(tmp_path, folder):
    (folder / "qrels" / "dev.tsv.gz").write_bytes(b"")
    (folder / "qrels" / "notes.md").write_text("no split")
    with pytest.raises(InputError, match="no split 'train'; its splits are: dev, test"):
        Collection(folder).qrels("train")
    (tmp_path / "bare").mkdir()
    with pytest.raises(InputError, match=r"none: DIR/qrels/<split>\.tsv is missing"):
        Collection(tmp_path / "bare").qrels()


def test_judged_ids_that_do_not_exist_are_counted(folder):
    coverage = Collection(folder).coverage()
    assert coverage.unknown_queries == ("ghost",)
    assert coverage.unknown_documents == ("lost",)
    assert Collection(folder).coverage(Qrels({"q1": {"bread": 1}})).unknown_documents == ()


def test_documents_are_found_by_id(folder):
    found = Collection(folder).documents({"wine", "nowhere"})
    assert list(found) == ["wine"]
    assert found["wine"].title == "Wine"


def test_queries_are_read_from_a_folder_a_file_and_a_table(tmp_path, folder, write):
    expected = Collection(folder).queries()
    assert read_queries(folder) == expected
    assert read_queries(folder / "queries.jsonl") == expected
    assert read_queries(write(tmp_path / "zipped", gzipped=True) / "queries.jsonl.gz") == expected
    for name in ("topics.tsv", "topics.txt"):
        (tmp_path / name).write_text("1\twhat is\ttabbed \n 2 \tsecond\n")
        assert read_queries(tmp_path / name) == {"1": Query("1", "what is\ttabbed"), "2": Query("2", "second")}


@pytest.mark.parametrize(
    ("line", "words"),
    [("no tab", "line 2: .* an id, a tab and the text"), ("1\tagain", "line 2: the id '1'"), ("\tx", "line 2")],
)
def test_a_broken_line_of_a_table_of_queries_is_an_error_with_its_number(tmp_path, line, words):
    (tmp_path / "topics.tsv").write_text(f"1\tfirst\n{line}\n")
    with pytest.raises(InputError, match=words):
        read_queries(tmp_path / "topics.tsv")
