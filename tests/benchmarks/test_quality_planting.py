"""Planted passages: what is written to be near questions is near them, and is counted where it is found."""

from pathlib import Path

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder

QUALITY = Path(__file__).parents[2] / "benchmarks" / "quality"
QUESTIONS = [f"which {fruit} soup is best in {season}" for fruit in ("onion", "plum", "leek") for season in "abcdefgh"]


@pytest.fixture
def planting(monkeypatch):
    monkeypatch.syspath_prepend(str(QUALITY))
    import planting

    return planting


@pytest.fixture
def sample(planting, tmp_path):
    from sample_stores import SampleStore

    embedder = HashingEmbedder()
    with hs.open(tmp_path / "some.db", embedder=embedder) as store:
        texts = [f"A castle of number {n} by river {n % 7}, with tower {n % 5}." for n in range(60)]
        store.add([hs.Document(id=f"d{n}", text=text) for n, text in enumerate(texts)], chunk=False)
    asked = tuple((text, ("d0",)) for text in QUESTIONS)
    return SampleStore("some", tmp_path / "some.db", tmp_path, asked, {"embedder": embedder})


def test_a_search_for_words_only_brings_a_text_nearer(planting):
    embedder = HashingEmbedder()
    target = np.array([embedder.embed_query(text) for text in QUESTIONS])
    before = "a castle by the river"
    after = planting.searched(before, target, embedder, ["onion", "soup", "best", "gate"], steps=20, seed=1)
    near = embedder.embed_documents([before, after]) @ target.mean(axis=0)
    assert near[1] > near[0]
    assert len(after.split()) == len(before.split())


def test_clusters_part_the_questions(planting):
    vectors = np.array([HashingEmbedder().embed_query(text) for text in QUESTIONS])
    parts = planting.clusters(vectors, 3, seed=0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(QUESTIONS)))


def test_planted_passages_are_found_by_questions_that_were_not_known(planting, sample):
    rows = planting.measured(sample, passages=2, steps=3)
    assert (rows["known"], rows["asked"]) == (12, 12)
    assert rows["stuffed"]["vector"] == rows["stuffed"]["keyword"] == 1.0  # nothing else in the store is about soup
    with hs.open(sample.file, create=False, **sample.options) as store:
        assert planting.found(store, QUESTIONS[:3], {"d999"}) == dict.fromkeys(
            [name for leg in planting.LEGS for name in (leg, f"{leg}, first")], 0.0
        )


def test_the_page_has_a_line_for_each_way(planting, sample):
    rows = planting.measured(sample, passages=1, steps=1)
    lines = planting.page({"collections": {"some": rows}})
    assert len(lines) == 2 + len(planting.WAYS)
    assert lines[2].startswith("| some | stuffed | 100%")
