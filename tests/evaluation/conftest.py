"""A small collection in BEIR layout, written anew for each test."""

import gzip
import json

import pytest

CORPUS = [
    {
        "_id": "bread",
        "title": "Bread",
        "text": "Flour, water, salt and yeast; knead and bake.",
        "metadata": {"g": 1},
    },
    {"_id": "wine", "title": "Wine", "text": "Grapes ferment in a barrel for months.", "metadata": {"g": 1}},
    {"_id": "beer", "title": "Beer", "text": "Barley, hops and yeast ferment in a tank.", "metadata": {"g": 2}},
    {"_id": "cheese", "title": "", "text": "Milk curdles with rennet and ripens."},
    {"_id": "blank", "title": "", "text": ""},
]
QUERIES = [
    {"_id": "q1", "text": "what does yeast ferment", "metadata": {"g": 2}},
    {"_id": "q2", "text": "milk and rennet", "metadata": {"g": 1}},
    {"_id": "q3", "text": "zeppelin", "metadata": {"g": 1}},
    {"_id": "q4", "text": "hops", "metadata": {"g": 2}},
    {"_id": "unjudged", "text": "grapes"},
]
QRELS = [
    ("q1", "beer", 2),
    ("q1", "bread", 1),
    ("q2", "cheese", 1),
    ("q3", "wine", 1),
    ("q4", "beer", 0),
    ("ghost", "beer", 1),
    ("q2", "lost", 1),
]


def write_collection(folder, corpus=CORPUS, queries=QUERIES, qrels=QRELS, gzipped=False):
    """Write a collection and give its folder."""
    (folder / "qrels").mkdir(parents=True)
    judged = "query-id\tcorpus-id\tscore\n" + "".join(f"{q}\t{d}\t{grade}\n" for q, d, grade in qrels)
    files = {"corpus.jsonl": _lines(corpus), "queries.jsonl": _lines(queries), "qrels/test.tsv": judged}
    for name, text in files.items():
        if gzipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
        else:
            (folder / name).write_text(text, encoding="utf-8")
    return folder


def _lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def write():
    return write_collection


@pytest.fixture
def folder(tmp_path):
    return write_collection(tmp_path / "kitchen")
