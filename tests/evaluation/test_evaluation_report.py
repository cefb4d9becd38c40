"""The page of an evaluation and the page of a comparison."""

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from hybridstore.errors import InputError
from hybridstore.evaluation.comparison_report import comparison_report
from hybridstore.evaluation.evaluation_report import documents_shown, evaluation_report
from hybridstore.evaluation.evaluation_results import Evaluation, Measured, pairs
from hybridstore.evaluation.judgments import Qrels, Run
from hybridstore.evaluation.metrics import STANDARD, score
from hybridstore.evaluation.significance import compared
from hybridstore.records import Document


def run_of(rankings):
    """A run with these rankings: n documents with the scores n, n - 1, … 1."""
    return Run.from_ranked(
        {query: [(document, float(len(ids) - n)) for n, document in enumerate(ids)] for query, ids in rankings.items()}
    )


NASTY = "<script>alert('x')</script>"
QRELS = Qrels({"q1": {"a": 1}, "q2": {"b": 2, "c": 1}, NASTY: {"d": 1}})
TEXTS = {"q1": "first?", "q2": "second & last?", NASTY: "<img src=x onerror=alert(1)>"}
KEYWORD = run_of({"q1": ["a", "x"], "q2": ["x", "b"], NASTY: [NASTY]})
VECTOR = run_of({"q1": ["x", "y", "a"], "q2": ["c", "b"]})
DOCUMENTS = {
    "a": Document(id="a", title="Title of a", text="words " * 100),
    NASTY: Document(id=NASTY, text="</li></article><h1>no</h1>"),
}


def measured(run, relevance=None):
    return Measured(run, score(run, QRELS), (0.001, 0.002, 0.004), "rrf", relevance or {})


def evaluation(relevance=None, **modes):
    modes = modes or {"hybrid": measured(VECTOR, relevance), "keyword": measured(KEYWORD), "vector": measured(VECTOR)}
    return Evaluation(collection="kitchen", split="test", limit=100, n=3, modes=modes, judged=QRELS, texts=TEXTS)


def report(told, documents=DOCUMENTS):
    compared = pairs(told, told.metrics, resamples=100)
    return evaluation_report(told, compared, about={"embedder": "letters@1", "<x>": "&"}, documents=documents)


def read(markup):
    return ET.fromstring(markup)  # noqa: S314 - it was made here


def titles(page):
    return [title.text for title in read(page).iter("h2")]


def text(page):
    return " ".join(" ".join(read(page).find("body").itertext()).split())


def test_a_report_has_every_section():
    assert titles(report(evaluation(relevance={"q1": {"x": 0.9, "a": 0.1}}))) == [
        "Metrics",
        "Hybrid against each leg",
        "Query by query, nDCG@10",
        "Contribution of each leg",
        "Is the relevance calibrated?",
        "Worst queries of hybrid",
        "Latency",
    ]


def test_a_report_says_what_was_measured_and_what_came_out():
    page = report(replace(evaluation(), left_out=("z",), unknown_documents=("l", "m")))
    said = text(page)
    for part in (
        "kitchen, test",
        "n = 3 queries",
        "embedder letters@1",
        "judged queries left out: no relevant document 1",
        "judged documents not in the corpus 2",
        f"hybrid {evaluation().mean('hybrid'):.4f} ",
        "hybrid − the better leg",
        "hybrid − keyword",
        "All 4 relevant documents of all queries.",
    ):
        assert part in said
    # q1: both have a and keyword first; q2: both have b, vector alone c; the third one nobody has
    assert re.search(r"first 10 2 \(50%\) 0 \(0%\) 1 \(25%\) 1 \(25%\) 3 \(75%\)", said)
    assert "Better on 0, worse on 1, equal on 2." in said  # against the better leg: keyword wins on q1
    assert "Better on 1, worse on 1, equal on 1." in said  # against keyword


def test_the_worst_queries_are_told_with_what_was_expected_and_what_came_first():
    cards = re.findall("<article>.*?</article>", report(evaluation()))
    said = [" ".join("".join(read(card).itertext()).split()) for card in cards]
    assert said[0].startswith(TEXTS[NASTY])  # nothing found: the worst
    assert said[0].endswith("Came first in hybridnothing")
    assert "d (rank: hybrid —, keyword —, vector —)" in said[0]
    assert "q1: nDCG@10 hybrid 0.500, keyword 1.000, vector 0.500" in said[1]
    assert "a Title of a words words" in said[1]
    assert "words… (rank: hybrid 3, keyword 1, vector 3)" in said[1]
    assert "x (not judged)" in said[1]
    assert "c (judged 1)" in said[2]


def test_the_documents_shown_are_the_expected_and_the_first_of_the_worst_queries():
    assert documents_shown(evaluation()) == {"a", "b", "c", "d", "x", "y"}
    assert documents_shown(evaluation(keyword=measured(KEYWORD))) == {"a", "b", "c", "d", "x", NASTY}


def test_ids_texts_and_titles_cannot_become_markup():
    for told in (evaluation(), evaluation(keyword=measured(KEYWORD))):
        page = report(told)
        root = read(page)
        assert not [each for each in root.iter() if each.tag in ("script", "img")]
        assert len(root.findall(".//h1")) == 1
        assert NASTY in "".join(root.itertext())


def test_equal_input_gives_equal_bytes():
    assert report(evaluation()) == report(evaluation())
    slower = measured(KEYWORD)
    slower = replace(slower, seconds=(0.5, 0.5, 0.5))
    assert report(evaluation(keyword=slower)) != report(evaluation(keyword=measured(KEYWORD)))


def test_what_was_not_measured_has_no_section():
    assert titles(report(evaluation(keyword=measured(KEYWORD)))) == [
        "Metrics",
        "Worst queries of keyword",
        "Latency",
    ]
    assert "Is the relevance calibrated?" not in titles(report(evaluation()))
    both = evaluation(
        **{"hybrid (rrf)": measured(VECTOR), "hybrid (other)": measured(KEYWORD), "vector": measured(VECTOR)}
    )
    assert "hybrid (other) − vector" in report(both)
    assert "Contribution of each leg" not in titles(report(both))


def test_the_calibration_tells_each_fusions_error():
    told = evaluation(relevance={"q1": {"x": 0.9, "y": 0.9, "a": 0.9}})
    assert f"Expected calibration error {abs(0.9 - 1 / 3):.3f}." in text(report(told))


def test_an_evaluation_without_queries_makes_a_page_and_one_without_modes_none():
    empty = run_of({})
    modes = {name: Measured(empty, score(empty, Qrels({})), ()) for name in ("hybrid", "keyword", "vector")}
    told = Evaluation(collection="c", split="s", limit=10, n=0, modes=modes, judged=Qrels({}), texts={})
    assert titles(report(told)) == ["Metrics", "Worst queries of hybrid", "Latency"]
    with pytest.raises(InputError, match="choose at least one mode"):
        report(replace(told, modes={}))


def comparison(texts=TEXTS):
    results = compared(KEYWORD, VECTOR, QRELS, STANDARD, resamples=100)
    return comparison_report(results, about={"A": "a.run"}, texts=texts)


def test_a_comparison_names_gains_losses_and_the_worst_with_their_texts():
    page = comparison()
    assert titles(page) == [
        "Metrics",
        "Query by query",
        "The greatest gains of B, nDCG@10",
        "The greatest losses of B, nDCG@10",
        "Worst queries of B, nDCG@10",
    ]
    assert "q2 second & last?" in text(page)
    assert TEXTS[NASTY] in text(page)
    assert "<img" not in page
    assert comparison() == page
    assert "second" not in comparison(texts={})


def test_a_comparison_without_gains_says_so_and_one_of_nothing_is_refused():
    results = compared(KEYWORD, KEYWORD, QRELS, ["map"], resamples=10)
    assert text(comparison_report(results, about={}, texts={})).count("None.") == 2
    with pytest.raises(InputError, match="name at least one metric"):
        comparison_report((), about={}, texts={})
