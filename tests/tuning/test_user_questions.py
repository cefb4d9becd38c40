"""Questions that people asked: the log, feedback, and files with judgments."""

import gzip
import json

import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError
from hybridstore.tuning.synthetic_questions import Question
from hybridstore.tuning.user_questions import from_feedback, from_labelled, from_log

TEXTS = {
    "soup": "Onion soup takes an hour.",
    "bread": "Bread is baked at night.",
    "tea": "Tea is brewed for three minutes.",
}


@pytest.fixture
def store(tmp_path):
    with hs.open(tmp_path / "kitchen.db", embedder=HashingEmbedder()) as store:
        store.add([hs.Document(id=name, text=text) for name, text in TEXTS.items()])
        yield store


def chunk(store, name):
    return store.search(TEXTS[name], limit=1)[0].chunk_id


def lines(path, *rows):
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return path


def test_the_log_gives_the_questions_asked_most_first(store):
    store.learning.log_queries(["how long for soup", "when is bread baked", "when is bread baked"])
    assert list(from_log(store)) == [Question("when is bread baked", "log"), Question("how long for soup", "log")]
    assert len(list(from_log(store, most=1))) == 1
    assert not next(from_log(store)).certain


def test_feedback_gives_a_question_for_each_useful_chunk_with_the_useless_ones_as_wrong(store):
    learning, (soup, bread, tea) = store.learning, (chunk(store, name) for name in TEXTS)
    learning.add_feedback("what is cooked", soup, used=True)
    learning.add_feedback("what is cooked", bread, used=True)
    learning.add_feedback("what is cooked", tea, used=False)
    learning.add_feedback("what is cold", tea, used=False)
    common = {"answers": frozenset({"soup", "bread"}), "wrong": frozenset({tea})}
    assert list(from_feedback(store)) == [
        Question("what is cooked", "feedback", positive=soup, **common),
        Question("what is cooked", "feedback", positive=bread, **common),
        Question("what is cold", "feedback", wrong=frozenset({tea})),
    ]


def test_a_labelled_file_gives_a_question_for_each_document_that_answers(store, tmp_path):
    file = lines(
        tmp_path / "judged.jsonl",
        {"query": "what is warm", "document": "soup", "relevant": True},
        {"query": "what is warm", "document": "tea"},
        {"query": "what is warm", "document": "bread", "relevant": False},
        {"query": "what is warm", "document": "unknown", "relevant": True},
    )
    found = list(from_labelled(store, file))
    assert [question.document for question in found] == ["soup", "tea"]
    assert all(question.certain and question.kind == "labelled" for question in found)
    assert found[0].wrong == frozenset({chunk(store, "bread")})
    assert found[0].answers == frozenset({"soup", "tea", "unknown"})


def test_a_document_judged_both_ways_answers(store, tmp_path):
    row = {"query": "what is warm", "document": "soup"}
    file = lines(tmp_path / "judged.jsonl", {**row, "relevant": False}, row, {**row, "relevant": False})
    (found,) = from_labelled(store, file)
    assert (found.document, found.wrong) == ("soup", frozenset())


def test_a_folder_in_beir_layout_is_read_and_its_training_judgments_come_first(store, tmp_path):
    folder = tmp_path / "collection"
    (folder / "qrels").mkdir(parents=True)
    with gzip.open(folder / "queries.jsonl.gz", "wt") as file:
        file.write('{"_id": "1", "text": "what is warm"}\n{"_id": "2", "text": "what is dark"}\n')
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\tsoup\t1\n")
    assert [question.document for question in from_labelled(store, folder)] == ["soup"]
    (folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n2\tbread\t1\n2\ttea\t0\n")
    (found,) = from_labelled(store, folder)
    assert (found.text, found.document, found.wrong) == ("what is dark", "bread", frozenset({chunk(store, "tea")}))
    assert [question.document for question in from_labelled(store, folder, split="test")] == ["soup"]
    (folder / "qrels" / "train.tsv").rename(folder / "qrels" / "dev.tsv")
    with pytest.raises(InputError, match="dev, test"):
        list(from_labelled(store, folder))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: this is not JSON"),
        ('["a", "b"]', 'line 2: .* no "query"'),
        ('{"query": "a"}', 'line 2: .* no "document"'),
        ('{"query": " ", "document": "soup"}', 'line 2: .* no "query"'),
        ('{"query": "a", "document": "soup", "relevant": "yes"}', "line 2: .*true or false"),
    ],
)
def test_a_broken_line_is_reported_with_its_number(store, tmp_path, line, message):
    file = tmp_path / "judged.jsonl"
    file.write_text('{"query": "a", "document": "soup"}\n' + line)
    with pytest.raises(InputError, match=message):
        list(from_labelled(store, file))


def test_a_missing_file_and_one_about_other_documents_are_rejected(store, tmp_path):
    file = lines(tmp_path / "judged.jsonl", {"query": "a", "document": "elsewhere"})
    with pytest.raises(InputError, match=r"none of the 1 documents.*elsewhere"):
        list(from_labelled(store, file))
    with pytest.raises(InputError, match="cannot be read"):
        list(from_labelled(store, tmp_path / "nothing.jsonl"))
