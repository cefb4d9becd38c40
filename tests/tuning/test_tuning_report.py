"""The page of a tuning and its outcome in a sentence."""

import re
from xml.etree import ElementTree as ET

import pytest

from hybridstore.evaluation.significance import RunComparison
from hybridstore.tuning.adapter_tuning import ChangedRanking, TuneReport
from hybridstore.tuning.gate import TASKS, Verdict
from hybridstore.tuning.tuning_report import comparisons, disagreement, documents_shown, outcome, tune_report
from hybridstore.tuning.user_questions import HarvestSummary

GAIN = RunComparison(mean_a=0.5, mean_b=0.6, difference=0.1, low=0.05, high=0.15, n=40, wins=20, losses=5, ties=15)
LOSS = RunComparison(mean_a=0.5, mean_b=0.4, difference=-0.1, low=-0.15, high=-0.05, n=12, wins=1, losses=9, ties=2)
NASTY = "</title><script>alert('x')</script> & \x07 \"q\""
EXAMPLES = (
    ChangedRanking(kind="labelled", query="bexu mill", answer="b", before=("a", "b"), after=("b", "a")),
    ChangedRanking(kind="title", query=NASTY, answer="c", before=(), after=("a",)),
)


def report(*, accepted=True, promoted=True, compared=True, examples=EXAMPLES):
    verdict = Verdict(
        accepted=accepted,
        reason="+0.1000 nDCG@10 on 40 held-out documents",
        overall=GAIN if compared else None,
        kinds={"title": LOSS} if compared else {},
        tasks={"find": GAIN} if compared else {},
        questions=80,
    )
    return TuneReport(
        number=3,
        promoted=promoted,
        verdict=verdict,
        questions={"crop": 1200, "labelled": 34},
        settings={"rank": 64, "anchor": 3.0},
        seconds={"embedding": 12.34, "training": 2.0},
        examples=examples,
    )


def built(made, **options):
    page = tune_report(made, about={"store": "notes.db"}, titles={"a": "The first", "b": NASTY}, **options)
    return page, ET.fromstring(page)  # noqa: S314 - it was made here


def rows(root, heading):
    sections = {each.findtext("h2"): each for each in root.iter("section")}
    return [["".join(cell.itertext()) for cell in row] for row in sections[heading].iter("tr")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "Accepted: {}. Version 3 answers now; `hybridstore model rollback` undoes it."),
        ({"promoted": False}, "Accepted: {}. Version 3 waits; `hybridstore model promote 3` puts it to use."),
        ({"accepted": False, "promoted": False}, "Rejected: {}. Nothing was changed; version 3 stays in the history."),
    ],
)
def test_the_outcome_says_what_happened_and_what_can_be_done(options, said):
    made = report(**options)
    assert outcome(made) == said.format("+0.1000 nDCG@10 on 40 held-out documents")
    assert outcome(made) in "".join(built(made)[1].itertext())


def test_the_gates_comparisons_stand_with_their_intervals():
    assert list(comparisons(report().verdict)) == ["overall", "questions: title", TASKS["find"]]
    _, root = built(report())
    assert rows(root, "The gate")[1:3] == [
        ["overall", "40", "0.5000", "0.6000", "+0.1000 (+0.0500 to +0.1500)", "20 / 5 / 15"],
        ["questions: title", "12", "0.5000", "0.4000", "-0.1000 (-0.1500 to -0.0500)", "1 / 9 / 2"],
    ]
    assert len([each for each in root.iter() if each.tag.endswith("circle")]) == 3


def test_examples_show_documents_before_and_after_with_the_answer_marked():
    _, root = built(report())
    first, second = root.iter("article")
    assert first.findtext("h3") == "bexu mill"
    before, after = ([" ".join("".join(item.itertext()).split()) for item in each] for each in first.iter("ol"))
    assert before[0] == "a The first"
    assert before[1].startswith("b ")
    assert before[1].endswith("✓")
    assert after[0].endswith("✓")
    assert not after[1].endswith("✓")
    assert "nothing" in [each.text for each in second.iter("p")]
    assert documents_shown(report()) == {"a", "b", "c"}


def test_questions_time_and_settings_are_shown():
    _, root = built(report())
    assert rows(root, "Questions trained on")[1:] == [["crop", "1,200"], ["labelled", "34"], ["all", "1,234"]]
    assert rows(root, "Time")[1:] == [["embedding", "12.3"], ["training", "2.0"]]
    assert rows(root, "Settings") == [["rank", "64"], ["anchor", "3.0"]]


def test_a_page_without_comparisons_and_examples_says_so():
    _, root = built(report(compared=False, accepted=False, promoted=False, examples=()))
    assert "The gate" not in [each.text for each in root.iter("h2")]
    assert "No question of the gate" in "".join(root.itertext())


def test_the_harvest_is_summarised():
    harvested = HarvestSummary(questions={"log": 12, "crop": 800}, triples=640, kept=700, disagreement=0.374)
    assert disagreement(harvested) == "words and meaning disagree about 37% of 812 questions; 640 triples"
    assert disagreement(harvested) in "".join(built(report(), harvested=harvested)[1].itertext())
    nothing = HarvestSummary(questions={}, triples=0, kept=0, disagreement=None)
    assert disagreement(nothing) == "0 questions; 0 triples"


def test_the_page_is_self_contained_and_deterministic():
    page, root = built(report())
    assert not re.search(r"https?:(?!//www\.w3\.org/2000/svg)|url\(|@import|<script|<link|src=", page)
    assert root.find(".//script") is None
    assert built(report())[0] == page
