"""Synthetic tasks, run by MTEB itself with the default model, offline. Slow: MTEB imports PyTorch."""

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.evaluation import Collection, evaluate, index
from hybridstore.integrations.mteb import HybridStoreSearch

# The packages that MTEB loads warn of what they will change; none of it is ours to mend.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

TOPICS = {
    "bread": "flour yeast dough oven crust sourdough knead bake loaf rye",
    "ships": "mast sail hull anchor keel harbour sloop rudder deck captain",
    "birds": "osprey feather nest wing heron beak migrate egg plumage owl",
    "trains": "locomotive rail signal carriage station platform timetable sleeper track freight",
}


def made(seed, words=25):
    """Return (corpus, queries, grades) as BEIR names them: documents of one or two topics, some of them twice."""
    draw = random.Random(seed)
    corpus, grades = [], {}
    for n in range(48):
        first, second = draw.sample(sorted(TOPICS), 2)
        share = draw.uniform(0.3, 0.8)  # of the topic that the document is judged by
        text = [draw.choice(TOPICS[first if draw.random() < share else second].split()) for _ in range(words)]
        row = {"_id": f"d{n}", "title": draw.choice(["", first]), "text": " ".join(text)}
        corpus.append(row)
        grades[row["_id"]] = {first: 2, second: 1}
        if n % 6 == 0:
            corpus.append({**row, "_id": f"a{n}"})  # the same again: their scores are nearly or quite the same
            grades[f"a{n}"] = {first: 2}
    queries, qrels = [], {}
    for n in range(12):
        topic, other = draw.sample(sorted(TOPICS), 2)
        searched = [*draw.sample(TOPICS[topic].split(), 2), draw.choice(TOPICS[other].split())]
        queries.append({"_id": f"q{n}", "text": f"about {' '.join(searched)}"})
        qrels[f"q{n}"] = {document: given[topic] for document, given in grades.items() if topic in given}
    return corpus, queries, qrels


def write(folder, corpus, queries, qrels):
    (folder / "qrels").mkdir(parents=True)
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    lines = [f"{query}\t{document}\t{grade}" for query, given in qrels.items() for document, grade in given.items()]
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(lines) + "\n")
    return Collection(folder)


@pytest.fixture(scope="module")
def mteb():
    return pytest.importorskip("mteb", reason="MTEB comes with the extra `mteb`")


@pytest.fixture
def task(mteb):
    """Make a retrieval task of data in memory, which keeps what MTEB measured query by query and what was found."""
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    def make(name, subsets, kind="Retrieval", languages=("eng-Latn",), candidates=None):
        class Made(AbsTaskRetrieval):
            metadata = TaskMetadata(
                name=name,
                description="Made up.",
                reference="https://example.org",
                type=kind,
                category="t2t",
                modalities=["text"],
                eval_splits=["test"],
                eval_langs=languages if isinstance(languages, dict) else list(languages),
                main_score="ndcg_at_10",
                dataset={"path": "none/none", "revision": "none"},
                date=("2024-01-01", "2024-01-02"),
                domains=["Written"],
                task_subtypes=[],
                license="cc0-1.0",
                annotations_creators="derived",
                dialect=[],
                sample_creation="created",
                bibtex_citation="",
            )

            def load_data(self, **_options):
                self.dataset = {
                    subset: {
                        "test": {
                            "corpus": Dataset.from_list([{"id": row["_id"], **row} for row in corpus]),
                            "queries": Dataset.from_list([{"id": row["_id"], **row} for row in queries]),
                            "relevant_docs": qrels,
                            "top_ranked": candidates,
                        }
                    }
                    for subset, (corpus, queries, qrels) in subsets.items()
                }
                self.data_loaded = True

            def task_specific_scores(self, scores, qrels, results, hf_split, hf_subset):
                self.measured[hf_subset], self.found[hf_subset] = scores, results
                return {}

        made_task = Made()
        made_task.measured, made_task.found = {}, {}
        return made_task

    return make


def run(mteb, model, *tasks, cache=None):
    results = mteb.evaluate(model, tasks, cache=cache, co2_tracker=False, show_progress_bar=False)
    return [result.get_score() for result in results.task_results]


@pytest.mark.parametrize(
    ("mode", "chunk"), [("hybrid", False), ("keyword", False), ("vector", False), ("hybrid", True)]
)
def test_mteb_measures_what_hybridstore_measures(mteb, task, tmp_path, mode, chunk):
    data = made(7, words=300 if chunk else 25)
    collection = write(tmp_path / "made", *data)
    with hs.open(":memory:", threads=1) as store:
        index(store, collection, chunk=chunk)
        assert store.stats().chunks > store.count() if chunk else store.stats().chunks == store.count()
        own = evaluate(store, collection, modes=(mode,), limit=1000)
    kitchen = task("Made", {"default": data})
    with HybridStoreSearch(mode=mode, chunk=chunk, threads=1) as model:
        assert isinstance(model, mteb.SearchProtocol)
        (score,) = run(mteb, model, kitchen)
    theirs = {query: values["ndcg_cut_10"] for query, values in kitchen.measured["default"].items()}
    assert theirs == pytest.approx(dict(own.values(mode)), abs=1e-6)
    assert score == pytest.approx(own.mean(mode), abs=1e-5)  # MTEB rounds its means
    assert 0.3 < score < 1.0  # else any order would do
    for query, scores in kitchen.found["default"].items():
        single = np.array(list(scores.values()), np.float32)
        assert np.isfinite(single).all()
        assert (np.diff(single) < 0).all()
        assert tuple(scores) == own.run(mode).documents(query)


def test_consecutive_tasks_and_subsets_do_not_mix(mteb, task, tmp_path):
    alone = []
    for seed in (1, 2, 3):
        collection = write(tmp_path / str(seed), *made(seed))
        with hs.open(tmp_path / f"{seed}.db", threads=1) as store:
            index(store, collection)
            alone.append(evaluate(store, collection, modes=("hybrid",), limit=1000).mean("hybrid"))
    assert len(set(alone)) == 3
    first = task("First", {"default": made(1)})
    both = {"english": ["eng-Latn"], "simple": ["eng-Latn"]}
    second = task("Second", {"english": made(2), "simple": made(3)}, languages=both)
    with HybridStoreSearch(tmp_path / "stores", threads=1) as model:
        scores = run(mteb, model, first, second)
        again = run(mteb, model, first, second)
    assert scores == again == pytest.approx([alone[0], (alone[1] + alone[2]) / 2], abs=1e-5)
    files = {file.name for file in (tmp_path / "stores").glob("*.db")}
    assert files == {"First@default@test.db", "Second@english@test.db", "Second@simple@test.db"}


def test_a_reranking_task_ranks_all_of_its_candidates_and_nothing_else(mteb, task):
    corpus, queries, qrels = made(5)
    draw = random.Random(5)
    candidates = {row["_id"]: draw.sample([item["_id"] for item in corpus], 15) for row in queries}
    reranking = task("Again", {"default": (corpus, queries, qrels)}, kind="Reranking", candidates=candidates)
    with HybridStoreSearch(threads=1) as model:
        (score,) = run(mteb, model, reranking)
    assert {query: set(found) for query, found in reranking.found["default"].items()} == {
        query: set(documents) for query, documents in candidates.items()
    }
    assert 0.0 < score < 1.0


def test_results_of_different_settings_are_separate(mteb, task, tmp_path):
    cache = mteb.ResultCache(tmp_path)
    data = {"default": made(7)}
    settings = [{}, {"mode": "keyword"}, {"mode": "vector"}, {"chunk": True}, {"language": "none"}]
    stored = []
    for options in settings:
        for expected in (True, False):
            kitchen = task("Made", data)
            with HybridStoreSearch(threads=1, **options) as model:
                score = run(mteb, model, kitchen, cache=cache)
            assert bool(kitchen.measured) is expected, f"{options} {'was not' if expected else 'was'} measured"
            stored.append(score)
    assert stored[::2] == stored[1::2]
    assert len({score for (score,) in stored}) > 2


def test_a_model_describes_itself(mteb):
    card = HybridStoreSearch(threads=1).mteb_model_meta
    assert re.fullmatch(rf"{re.escape(hs.__version__)}-\w+", card.revision)
    assert (card.name, card.model_type, card.experiment_kwargs) == (
        "hybridstore/hybrid-all-MiniLM-L6-v2",
        ["hybrid"],
        None,
    )
    assert (card.embed_dim, card.max_tokens, card.use_instructions) == (384, 256, False)
    card = HybridStoreSearch(mode="keyword", instructions=True).mteb_model_meta
    assert (card.name, card.model_type, card.revision) == ("hybridstore/keyword", ["sparse"], hs.__version__)
    assert card.use_instructions
    assert card.experiment_kwargs == {"instructions": True}


def test_the_guides_block_runs(mteb, task, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mteb, "get_tasks", lambda tasks: [task(name, {"default": made(7)}) for name in tasks])
    guide = Path(__file__).parents[2] / "docs" / "guide.md"
    (block,) = re.findall(r"^```py\n(.*?)^```", guide.read_text(), re.MULTILINE | re.DOTALL)
    exec(compile(block, str(guide), "exec"), {})  # noqa: S102 - our own documentation
    assert re.fullmatch(r"SciFact (0\.\d+)\nNFCorpus \1\n", capsys.readouterr().out)
    assert {file.name for file in Path("mteb-stores").glob("*.db")} == {
        "SciFact@default@test.db",
        "NFCorpus@default@test.db",
    }
