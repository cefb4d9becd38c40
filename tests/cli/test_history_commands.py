"""`history` and `consolidate`."""

import inspect
import json
from types import SimpleNamespace

import pytest

import hybridstore as hs
from hybridstore.cli import shared_options
from hybridstore.cli.recall_commands import consolidate
from hybridstore.memory import Memory


@pytest.fixture
def remembered(db):
    with hs.open(db, embedder="none") as store:
        memory = Memory(store)
        memory.remember("Anna lives in Paris", id="paris", occurred_at="2026-01-01")
        memory.remember("Anna lives in Rome", id="rome", occurred_at="2026-03-01", supersedes="paris")
        memory.remember("Leeks are cheap", id="leeks", valid_from="2020-01-01", valid_to="2021-01-01")
    return db


@pytest.mark.parametrize("asked", ["paris", "rome"])
def test_a_history_is_a_table_oldest_first_with_a_star_at_the_current_note(run, remembered, asked):
    head, old, new = run("history", asked).stdout.splitlines()
    assert head.split() == ["id", "holds", "from", "until", "recorded", "text"]
    assert old.split()[:3] == ["paris", "2026-01-01", "2026-03-01"]
    assert new.split()[:3] == ["*", "rome", "2026-03-01"]
    assert "Anna lives in Rome" in new


def test_where_nothing_holds_any_more_that_is_said(run, remembered):
    result = run("history", "leeks")
    assert "*" not in result.stdout
    assert "2021-01-01" in result.stdout
    assert "None of these holds now." in result.stderr


def test_a_history_as_json_says_which_holds(run, remembered):
    result = json.loads(run("history", "paris", "--json").stdout)
    assert [(note["id"], note["holds"]) for note in result] == [("paris", False), ("rome", True)]


@pytest.mark.parametrize(("id_", "said"), [("nope", "no note with the id 'nope'"), ("", "non-empty text")])
def test_an_id_that_names_nothing_is_a_sentence(run, remembered, id_, said):
    assert said in run("history", id_, code=1).stderr
    assert "no note with the id" in run("history", "paris", "--namespace", "other", code=1).stderr


@pytest.fixture
def asked(monkeypatch):
    """Let `Memory.consolidate` give one cluster of what there is; give what it was asked."""
    calls = []

    def consolidate(memory, **how):
        calls.append(how)
        kept, other = memory.get("rome"), memory.get("paris")
        clusters = [] if how["similarity"] == 1 else [SimpleNamespace(kept=kept, others=(other,), similarity=0.98)]
        return SimpleNamespace(clusters=clusters, dry_run=how["dry_run"])

    monkeypatch.setattr(Memory, "consolidate", consolidate, raising=False)
    return calls


def test_consolidating_shows_each_group_and_changes_nothing_without_apply(run, remembered, asked):
    result = run("consolidate")
    assert [line.split()[:2] for line in result.stdout.splitlines() if line.strip()] == [
        ["id", "time"],
        ["*", "rome"],
        ["paris", "2026-01-01"],
    ]
    assert "0.98" in result.stdout
    assert "1 note would become the history of 1; use --apply to merge them." in result.stderr
    assert "1 note became the history of 1." in run("consolidate", "--apply", "--keep", "used").stderr
    assert "No two notes say the same" in run("consolidate", "--similarity", "1").stderr
    assert asked == [
        {"dry_run": True, "keep": "newest", "similarity": 0.97},
        {"dry_run": False, "keep": "used", "similarity": 0.97},
        {"dry_run": True, "keep": "newest", "similarity": 1.0},
    ]


def test_a_consolidation_as_json_names_who_stays(run, remembered, asked):
    result = json.loads(run("consolidate", "--json").stdout)
    assert result["dry_run"] is True
    cluster = result["clusters"][0]
    assert (cluster["kept"]["id"], [note["id"] for note in cluster["others"]]) == ("rome", ["paris"])


def test_consolidating_with_apply_turns_repetitions_into_history(run, db):
    if not hasattr(Memory, "consolidate"):
        pytest.skip("Memory has no consolidate yet")
    from hybridstore.memory.consolidation import KEEP

    assert shared_options.KEEPS == KEEP
    usual = {name: each.default for name, each in inspect.signature(Memory.consolidate).parameters.items()}
    offered = {option.name: option.default for option in consolidate.params}
    assert usual["dry_run"] is not offered["apply"]
    assert (usual["keep"], usual["similarity"]) == (offered["keep"], offered["similarity"])
    run("remember", "The desk is in room 4", "--id", "first")
    run("remember", "The desk is in  room 4.", "--id", "second")
    assert [len(each["others"]) for each in json.loads(run("consolidate", "--json").stdout)["clusters"]] == [1]
    assert "1 note became the history of 1." in run("consolidate", "--apply").stderr
    assert "No two notes say the same" in run("consolidate", "--apply").stderr
    assert [note["holds"] for note in json.loads(run("history", "first", "--json").stdout)].count(True) == 1
