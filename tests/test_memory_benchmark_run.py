"""The benchmark of memory fills systems, asks them, and tells what it found as JSON and on a page."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError

MEMORY = Path(__file__).parent.parent / "benchmarks" / "memory"
TALKS = {
    "boats": ["The kayak leaks at its stern.", "I have sold the dinghy.", "A raft needs rope."],
    "soups": ["Leeks go into the broth.", "I have burnt the onions.", "The dinghy of a spoon is a ladle."],
}


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(MEMORY))


def samples():
    """Give two conversations in LoCoMo's layout, each with two sessions, two answerable questions and one other."""
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
    from systems import named
    from systems.base import tokens_of

    system = named(name)(tmp_path, embedder=HashingEmbedder())
    for conversation in dataset.conversations:
        system.fill(conversation)
    question = next(each for each in dataset.questions if "dinghy" in each.text)
    recalled = system.ask(question, 10)
    system.close()
    assert recalled.turns[0] == "boats/D1:2"
    assert {turn.partition("/")[0] for turn in recalled.turns} == {"boats"}
    assert recalled.tokens[0] == tokens_of("Ada: I have sold the dinghy.") == 8
    assert recalled.confidence is None or recalled.confidence > 0


def test_a_store_that_was_kept_is_filled_again_without_a_new_vector(dataset, tmp_path):
    from systems.searches import Adaptive, Vector

    for kind in (Adaptive, Vector):
        system = kind(tmp_path, embedder=HashingEmbedder())
        system.fill(dataset.conversations[0])
        assert system.store.count() == 3
        assert system.store.stats().revision == 1
        system.close()


def test_a_memory_is_told_sessions_of_messages_and_recalls_turns_of_the_conversation_asked_about(dataset, tmp_path):
    from systems import named

    for _ in range(2):  # what was kept is not told again
        system = named("memory")(tmp_path, embedder=HashingEmbedder())
        for conversation in dataset.conversations:
            system.fill(conversation)
        told = {turn.id for conversation in dataset.conversations for turn in conversation.turns()}
        assert system.store.count() == len(told)
        for question in dataset.questions:
            recalled = system.ask(question, 2)
            own = next(each for each in dataset.conversations if each.group == question.group)
            assert set(recalled.turns) <= {turn.id for turn in own.turns()}
            assert len(recalled.turns) <= 2
            assert all(tokens > 0 for tokens in recalled.tokens)
        system.close()


def test_a_system_that_is_not_known_is_an_error_that_lists_those_there_are():
    from systems import named

    with pytest.raises(InputError, match="no system 'fast'; there are memory, adaptive, rrf, keyword, vector, bm25s"):
        named("fast")
    with pytest.raises(InputError, match="the system 'nowhere:Fast' cannot be had"):
        named("nowhere:Fast")


def test_what_is_recalled_must_have_its_tokens_counted():
    from systems.base import Recalled

    with pytest.raises(ValueError, match="2 turns were recalled, but tokens counted for 1"):
        Recalled(("a", "b"), (3,))


# Asking and summing up


def scripted(answers):
    """Give a system that recalls what it is told to: question's text → (turns, confidence)."""
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


def test_a_systems_figures_are_those_of_its_answers(dataset):
    from asking import ask_all
    from summing import summed_up

    system = scripted(answers())
    asked = ask_all(system, dataset, [1, 2], quiet)
    assert system.filled == ["boats", "soups"]
    told = summed_up(dataset, {"adaptive": asked}, seed=0)["systems"]["adaptive"]
    turn, session = (told["levels"][level] for level in ("turn", "session"))
    assert turn["n"] == session["n"] == 4
    # The first turn is evidence of the first question and, in part, of the second; the third's stands second.
    assert turn["metrics"]["recall_any@1"]["mean"] == 2 / 4
    assert turn["metrics"]["recall_all@1"]["mean"] == 1 / 4
    assert turn["metrics"]["recall@1"]["mean"] == (1 + 1 / 2 + 0 + 0) / 4
    assert turn["metrics"]["recall_any@2"]["mean"] == 3 / 4
    # By session the second question's two are the first two, and the broth's is there from the first turn.
    assert session["metrics"]["recall_any@1"]["mean"] == 3 / 4
    assert session["metrics"]["recall_all@2"]["mean"] == 3 / 4
    assert told["tokens"]["1"]["mean"] == (10 + 10 + 10 + 0) / 4
    assert told["tokens"]["2"]["mean"] == (10 + 21 + 21 + 0) / 4
    # Eight pairs: .1 loses to .5, and .5 ties with it.
    assert told["abstention"]["auroc"] == (8 - 1 - 0.5) / 8
    assert list(told["categories"]) == ["single-hop"]
    assert told["categories"]["single-hop"]["turn"]["metrics"]["recall_any@1"]["mean"] == 2 / 4


def test_others_are_compared_with_the_default_question_by_question(dataset):
    from asking import ask_all
    from summing import summed_up

    better = answers()
    better["soups", "What was burnt?"] = (["soups/D1:2"], 0.7)
    asked = {
        name: ask_all(scripted(each), dataset, [1], quiet)
        for name, each in (("keyword", better), ("adaptive", answers()))
    }
    told = summed_up(dataset, asked, seed=0)
    assert told["default"] == "adaptive"
    assert list(told["against"]) == ["keyword"]
    assert told["against"]["keyword"]["turn"]["recall_any@1"]["by question"]["difference"] == -1 / 4


def test_a_confidence_left_unsaid_leaves_the_area_out(dataset):
    from asking import ask_all
    from summing import summed_up

    silent = {key: (turns, None) for key, (turns, _) in answers().items()}
    told = summed_up(dataset, {"x": ask_all(scripted(silent), dataset, [1], quiet)}, seed=0)
    assert told["systems"]["x"]["abstention"] is None


def test_a_turn_of_another_conversation_is_an_error(dataset):
    from asking import ask_all

    wrong = answers()
    wrong["soups", "What was burnt?"] = (["boats/D1:1"], 0.7)
    with pytest.raises(InputError, match="asked about soups, scripted recalled the turn 'boats/D1:1'"):
        ask_all(scripted(wrong), dataset, [1], quiet)


# The commands


def test_a_run_tells_every_system_and_the_page_follows_it(tmp_path):
    pytest.importorskip("onnxruntime", reason="the run uses the default model: pip install 'hybridstore[cpu]'")
    (tmp_path / "talks.json").write_text(json.dumps(samples()))
    results, keep = tmp_path / "results", tmp_path / "keep"
    arguments = [tmp_path / "talks.json", "--json", results / "talks.json", "--keep", keep, "--k", 2, 1]
    found = run("run.py", *arguments, "--systems", "keyword", "adaptive")
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("keyword: turn recall_any@1 ")
    told = json.loads((results / "talks.json").read_text())
    assert list(told["systems"]) == ["keyword", "adaptive"]
    assert told["ks"] == [1, 2]
    assert told["data"]["turns"] == 6
    assert (told["data"]["answerable"], told["data"]["unanswerable"]) == (4, 2)
    assert told["systems"]["adaptive"]["levels"]["turn"]["metrics"]["recall_any@2"]["mean"] == 1
    assert told["systems"]["keyword"]["embedder"].startswith("all-MiniLM-L6-v2@")
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


def test_a_mistake_is_told_in_a_sentence(tmp_path):
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


def test_figures_of_others_stand_in_a_table_of_their_own_with_their_protocol(tmp_path):
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


def test_what_is_better_than_the_default_is_bold_on_the_page(monkeypatch):
    monkeypatch.syspath_prepend(str(MEMORY.parent / "quality"))
    import told

    default = {"mean": 0.5, "low": 0.4, "high": 0.6}
    assert told._cell({"mean": 0.6, "low": 0.5, "high": 0.7}, default) == "**0.600** (0.500–0.700)"
    assert told._cell(default, default) == "0.500 (0.400–0.600)"
