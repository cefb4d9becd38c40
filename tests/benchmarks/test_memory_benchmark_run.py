"""The memory benchmark: running systems, its JSON results and its page."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError

MEMORY = Path(__file__).parents[2] / "benchmarks" / "memory"
TALKS = {
    "boats": ["The kayak leaks at its stern.", "I have sold the dinghy.", "A raft needs rope."],
    "soups": ["Leeks go into the broth.", "I have burnt the onions.", "The dinghy of a spoon is a ladle."],
}


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(MEMORY))


def samples():
    """Return two conversations in LoCoMo's layout, each with two sessions, two answerable questions and one other."""
    asked = {
        "boats": [("Where does the kayak leak?", ["D1:1"]), ("What was done with the dinghy?", ["D1:2", "D2:1"])],
        "soups": [("What goes into the broth?", ["D1:1"]), ("What was burnt?", ["D1:2"])],
    }
    return [
        {
            "sample_id": name,
            "conversation": {
                "session_1": [
                    {"speaker": "Ada", "dia_id": f"D1:{n}", "text": text} for n, text in enumerate(texts[:2], start=1)
                ],
                "session_2": [{"speaker": "Ben", "dia_id": "D2:1", "text": texts[2]}],
            },
            "qa": [
                *({"question": text, "evidence": turns, "category": 4} for text, turns in asked[name]),
                {"question": "Who flew to the moon?", "evidence": [], "category": 5},
            ],
        }
        for name, texts in TALKS.items()
    ]


@pytest.fixture
def dataset(tmp_path):
    import loading

    (tmp_path / "talks.json").write_text(json.dumps(samples()))
    return loading.load(tmp_path / "talks.json")


def run(script, *arguments):
    command = [sys.executable, str(MEMORY / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def quiet(*_):
    return


# The systems


@pytest.mark.parametrize("name", ["adaptive", "rrf", "keyword", "vector", "bm25s"])
def test_every_system_recalls_turns_of_the_questions_own_conversation(name, dataset, tmp_path):
    if name == "bm25s":
        pytest.importorskip("bm25s", reason="a rival: pip install --requirement benchmarks/requirements.txt")
    from systems import by_name
    from systems.base import tokens_of

    system = by_name(name)(tmp_path, embedder=HashingEmbedder())
    for conversation in dataset.conversations:
        system.fill(conversation)
    question = next(each for each in dataset.questions if "dinghy" in each.text)
    recalled = system.ask(question, 10)
    system.close()
    assert recalled.turns[0] == "boats/D1:2"
    assert {turn.partition("/")[0] for turn in recalled.turns} == {"boats"}
    assert recalled.tokens[0] == tokens_of("Ada: I have sold the dinghy.") == 8
    assert recalled.confidence is None or recalled.confidence > 0


def test_an_existing_store_is_filled_again_without_embedding(dataset, tmp_path):
    from systems.searches import Adaptive, Vector

    for kind in (Adaptive, Vector):
        system = kind(tmp_path, embedder=HashingEmbedder())
        system.fill(dataset.conversations[0])
        assert system.store.count() == 3
        assert system.store.stats().revision == 1
        system.close()


def test_a_memory_recalls_turns_of_the_questions_conversation(dataset, tmp_path):
    from systems import by_name

    for _ in range(2):  # existing notes are not added again
        system = by_name("memory")(tmp_path, embedder=HashingEmbedder())
        for conversation in dataset.conversations:
            system.fill(conversation)
        result = {turn.id for conversation in dataset.conversations for turn in conversation.turns()}
        assert system.store.count() == len(result)
        for question in dataset.questions:
            recalled = system.ask(question, 2)
            own = next(each for each in dataset.conversations if each.group == question.group)
            assert set(recalled.turns) <= {turn.id for turn in own.turns()}
            assert len(recalled.turns) <= 2
            assert all(tokens > 0 for tokens in recalled.tokens)
        system.close()


def test_an_unknown_system_is_an_error_that_lists_the_known_ones():
    from systems import by_name

    with pytest.raises(InputError, match="no system 'fast'; there are memory, adaptive, rrf, keyword, vector, bm25s"):
        by_name("fast")
    with pytest.raises(InputError, match="the system 'nowhere:Fast' cannot be had"):
        by_name("nowhere:Fast")


def test_recalled_turns_need_a_token_count():
    from systems.base import Recalled

    with pytest.raises(ValueError, match="2 turns were recalled, but tokens counted for 1"):
        Recalled(("a", "b"), (3,))


# Asking and summing up


def scripted(answers):
    """Return a system with fixed answers: question's text → (turns, confidence)."""
    from systems.base import Recalled, System

    class Scripted(System):
        title = "scripted"

        def __init__(self):
            self.filled = []

        def fill(self, conversation):
            self.filled.append(conversation.group)

        def ask(self, question, k):
            turns, confidence = answers[question.group, question.text]
            return Recalled(tuple(turns[:k]), tuple(range(10, 10 + len(turns))), confidence)

    return Scripted()


def answers(**changes):
    moon = "Who flew to the moon?"
    return {
        ("boats", "Where does the kayak leak?"): (["boats/D1:1"], 0.9),
        ("boats", "What was done with the dinghy?"): (["boats/D1:2", "boats/D1:1", "boats/D2:1"], 0.5),
        ("boats", moon): (["boats/D1:1"], 0.5),
        ("soups", "What goes into the broth?"): (["soups/D1:2", "soups/D1:1"], 0.8),
        ("soups", "What was burnt?"): ([], 0.1),
        ("soups", moon): ([], 0.0),
    } | changes


def test_a_systems_scores_follow_from_its_answers(dataset):
    from querying import ask_all
    from summaries import summed_up

    system = scripted(answers())
    asked = ask_all(system, dataset, [1, 2], quiet)
    assert system.filled == ["boats", "soups"]
    result = summed_up(dataset, {"adaptive": asked}, seed=0)["systems"]["adaptive"]
    turn, session = (result["levels"][level] for level in ("turn", "session"))
    assert turn["n"] == session["n"] == 4
    # The first turn is evidence of the first question and, in part, of the second; the third's stands second.
    assert turn["metrics"]["recall_any@1"]["mean"] == 2 / 4
    assert turn["metrics"]["recall_all@1"]["mean"] == 1 / 4
    assert turn["metrics"]["recall@1"]["mean"] == (1 + 1 / 2 + 0 + 0) / 4
    assert turn["metrics"]["recall_any@2"]["mean"] == 3 / 4
    # By session the second question's two are the first two, and the broth's is there from the first turn.
    assert session["metrics"]["recall_any@1"]["mean"] == 3 / 4
    assert session["metrics"]["recall_all@2"]["mean"] == 3 / 4
    assert result["tokens"]["1"]["mean"] == (10 + 10 + 10 + 0) / 4
    assert result["tokens"]["2"]["mean"] == (10 + 21 + 21 + 0) / 4
    # Eight pairs: .1 loses to .5, and .5 ties with it.
    assert result["abstention"]["auroc"] == (8 - 1 - 0.5) / 8
    assert list(result["categories"]) == ["single-hop"]
    assert result["categories"]["single-hop"]["turn"]["metrics"]["recall_any@1"]["mean"] == 2 / 4


def test_systems_are_compared_with_the_default_by_question(dataset):
    from querying import ask_all
    from summaries import summed_up

    better = answers()
    better["soups", "What was burnt?"] = (["soups/D1:2"], 0.7)
    asked = {
        name: ask_all(scripted(each), dataset, [1], quiet)
        for name, each in (("keyword", better), ("adaptive", answers()))
    }
    result = summed_up(dataset, asked, seed=0)
    assert result["default"] == "adaptive"
    assert list(result["against"]) == ["keyword"]
    assert result["against"]["keyword"]["turn"]["recall_any@1"]["by question"]["difference"] == -1 / 4


def test_without_confidences_there_is_no_auroc(dataset):
    from querying import ask_all
    from summaries import summed_up

    silent = {key: (turns, None) for key, (turns, _) in answers().items()}
    result = summed_up(dataset, {"x": ask_all(scripted(silent), dataset, [1], quiet)}, seed=0)
    assert result["systems"]["x"]["abstention"] is None


def test_a_turn_of_another_conversation_is_an_error(dataset):
    from querying import ask_all

    wrong = answers()
    wrong["soups", "What was burnt?"] = (["boats/D1:1"], 0.7)
    with pytest.raises(InputError, match="asked about soups, scripted recalled the turn 'boats/D1:1'"):
        ask_all(scripted(wrong), dataset, [1], quiet)


# The commands


def test_a_run_reports_every_system_and_the_page_shows_it(tmp_path):
    pytest.importorskip("onnxruntime", reason="the run uses the default model: pip install 'hybridstore[cpu]'")
    (tmp_path / "talks.json").write_text(json.dumps(samples()))
    results, keep = tmp_path / "results", tmp_path / "keep"
    arguments = [tmp_path / "talks.json", "--json", results / "talks.json", "--keep", keep, "--k", 2, 1]
    found = run("run.py", *arguments, "--systems", "keyword", "adaptive")
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("keyword: turn recall_any@1 ")
    result = json.loads((results / "talks.json").read_text())
    assert list(result["systems"]) == ["keyword", "adaptive"]
    assert result["ks"] == [1, 2]
    assert result["data"]["turns"] == 6
    assert (result["data"]["answerable"], result["data"]["unanswerable"]) == (4, 2)
    assert result["systems"]["adaptive"]["levels"]["turn"]["metrics"]["recall_any@2"]["mean"] == 1
    assert result["systems"]["keyword"]["embedder"].startswith("all-MiniLM-L6-v2@")
    assert (keep / "talks-all" / "turns.db").exists()

    page = tmp_path / "README.md"
    assert run("page.py", "--results", results, "--page", page).returncode == 0
    text = page.read_text()
    for said in (
        "## talks",
        "LoCoMo layout: 2 conversations, 4 sessions, 6 turns; 4 answerable questions, 2 to abstain from.",
        "| **hybridstore, adaptive** | 4 | ",
        "AUROC of what a system says of its own confidence (4 answerable, 2 not)",
        "| single-hop | 4 |",
    ):
        assert said in text
    assert run("page.py", "--check", "--results", results, "--page", page).returncode == 0
    page.write_text(text + "\n")
    stale = run("page.py", "--check", "--results", results, "--page", page)
    assert stale.returncode == 1
    assert "stale: README.md" in stale.stderr


def test_a_mistake_is_reported_in_one_sentence(tmp_path):
    (tmp_path / "talks.json").write_text(json.dumps(samples()))
    out = tmp_path / "out.json"
    for arguments, message in (
        ([tmp_path / "gone.json"], "gone.json is not there; give a folder in BEIR layout"),
        ([tmp_path / "talks.json", "--systems", "fast"], "there is no system 'fast'"),
        ([tmp_path / "talks.json", "--user-only"], "a protocol of LongMemEval alone"),
        ([tmp_path / "talks.json", "--k", "0"], "--k and --limit are whole numbers from 1"),
    ):
        found = run("run.py", *arguments, "--json", out)
        assert found.returncode in (1, 2)
        assert message in found.stderr
        assert "Traceback" not in found.stderr
    assert not out.exists()


def test_published_figures_have_their_own_table_with_the_protocol(tmp_path):
    from published import FIGURES

    assert run("page.py", "--results", tmp_path, "--page", tmp_path / "README.md").returncode == 0
    text = (tmp_path / "README.md").read_text()
    assert "Nothing has been measured yet." in text
    rows = [line for line in text.splitlines() if "](https://" in line]
    assert len(rows) == len(FIGURES)
    for row, figure in zip(rows, FIGURES, strict=True):
        assert "published by others, not measured here: " in row
        assert row.split(" | ")[3] == figure.value
        assert figure.protocol in row


def test_results_better_than_the_default_are_bold(monkeypatch):
    monkeypatch.syspath_prepend(str(MEMORY.parent / "quality"))
    import report

    default = {"mean": 0.5, "low": 0.4, "high": 0.6}
    assert report._cell({"mean": 0.6, "low": 0.5, "high": 0.7}, default) == "**0.600** (0.500–0.700)"
    assert report._cell(default, default) == "0.500 (0.400–0.600)"
