"""Times: an outdated fact no longer outranks its successor, and is found by asking what was valid then."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

import hybridstore as hs
from hybridstore.memory import Recency
from hybridstore.memory.notes import short_iso


def shown(recall):
    return [item.text for item in recall]


def test_a_stale_fact_no_longer_outranks_its_successor_and_as_of_brings_it_back(memory, clock):
    # The stale one says it in the very words of the question, the successor in others.
    memory.remember("Where does Ada live? Ada does live in Paris.", id="then")
    clock.wind(days=30)
    memory.remember("Moved to Rome with both cats.", id="now", supersedes="then")
    clock.wind(days=1)
    assert shown(memory.recall("where does Ada live")) == ["Moved to Rome with both cats."]
    assert shown(memory.recall("where does Ada live", as_of="2026-01-15")) == [
        "Where does Ada live? Ada does live in Paris."
    ]
    assert shown(memory.recall("where does Ada live", as_of="2025-12-31")) == []
    assert shown(memory.recall("where does Ada live", as_of=datetime(2026, 1, 31, tzinfo=UTC))) == [
        "Moved to Rome with both cats."
    ]


def test_expired_notes_are_invisible_at_once_and_swept_later(memory, clock):
    memory.remember("The pin is 0000.", id="pin", ttl=60)
    memory.remember("The pin is on the board.", id="board")
    clock.wind(seconds=59.9)
    assert "The pin is 0000." in shown(memory.recall("pin"))
    clock.wind(seconds=0.1)
    assert shown(memory.recall("pin")) == ["The pin is on the board."]
    assert shown(memory.recall("pin", as_of="2026-01-01T00:00:30")) == ["The pin is on the board."]
    assert [note.id for note in memory.notes()] == ["board"]
    with pytest.raises(hs.NotFound):
        memory.get("pin")
    assert memory.store.count() == 2
    memory.remember("another")  # more than a minute after the first look
    clock.wind(seconds=1)
    assert memory.store.count() == 3
    clock.wind(seconds=61)
    memory.remember("yet another")
    assert memory.store.count() == 3
    assert memory.sweep() == 0


def test_expired_notes_are_in_no_history(memory, clock):
    memory.remember("The pin is 0000.", id="pin", ttl=60)
    memory.remember("The pin is 1111.", id="new", supersedes="pin")
    clock.wind(seconds=61)
    assert [note.id for note in memory.history("new")] == ["new"]
    with pytest.raises(hs.NotFound):
        memory.history("pin")


def test_an_expired_id_can_be_used_again(memory, clock):
    memory.remember("old", id="a", ttl=1)
    clock.wind(seconds=2)
    assert memory.remember("new", id="a").status == "added"
    assert [note.text for note in memory.history("a")] == ["new"]


def test_a_note_with_a_validity_period_is_found_only_then(memory, clock):
    memory.remember("Ada is on leave.", valid_from="2026-03-01", valid_to="2026-03-15")
    assert shown(memory.recall("who is on leave")) == []
    assert shown(memory.recall("who is on leave", as_of="2026-03-10")) == ["Ada is on leave."]
    clock.wind(days=70)
    assert shown(memory.recall("who is on leave")) == ["Ada is on leave."]
    clock.wind(days=10)
    assert shown(memory.recall("who is on leave")) == []


def test_a_future_event_is_found_already(memory):
    memory.remember("The ferry leaves.", occurred_at="2026-06-01")
    assert shown(memory.recall("when does the ferry leave")) == ["The ferry leaves."]


def test_a_past_event_is_valid_since_then(memory):
    memory.remember("Ada was hired.", occurred_at="2019-05-01")
    assert shown(memory.recall("Ada hired", as_of="2020-01-01")) == ["Ada was hired."]
    assert shown(memory.recall("Ada hired", as_of="2018-01-01")) == []


def test_recency_is_off_by_default_and_leaves_a_floor(memory, clock):
    memory.remember("The build is green today, says the bot.", id="old")
    clock.wind(days=100)
    memory.remember("The build is red today, says the robot.", id="new")
    query = "the build is green today says the bot"
    plain = memory.recall(query)
    assert [item.id for item in plain] == ["old", "new"]
    weighed = memory.recall(query, recency=Recency(timedelta(days=10), floor=0.1))
    assert [item.id for item in weighed] == ["new", "old"]
    scores = {item.id: item.score for item in plain}
    for item in weighed:
        age = 100 if item.id == "old" else 0
        assert item.score == pytest.approx(scores[item.id] * (0.1 + 0.9 * 2 ** (-age / 10)))
    half = memory.recall(query, recency=timedelta(days=10))
    assert {item.id: item.score for item in half}["old"] == pytest.approx(scores["old"] * (0.5 + 0.5 * 2**-10))
    gentle = memory.recall(query, recency=Recency(timedelta(days=10), floor=1.0))
    assert [item.id for item in gentle] == ["old", "new"]


@pytest.mark.parametrize(("half_life", "floor"), [(0, 0.5), (-1, 0.5), ("long", 0.5), (1, 2.0), (1, -0.1)])
def test_an_invalid_recency_is_rejected(half_life, floor):
    with pytest.raises(hs.InputError, match="recency's"):
        Recency(half_life, floor)


def test_history_skips_a_forgotten_version(memory, clock):
    for city in ("Paris", "Rome", "Oslo"):
        memory.remember(f"Ada lives in {city}.", id="home")
        clock.wind(days=1)
    assert memory.forget("home~1").ids == ("home~1",)
    assert [note.text for note in memory.history("home")] == ["Ada lives in Rome.", "Ada lives in Oslo."]
    with pytest.raises(hs.NotFound):
        memory.history("home~1")


def test_a_note_that_had_ended_before_it_was_superseded_keeps_its_end(memory):
    memory.remember("Skis cost half.", id="offer", valid_from="2025-01-01", valid_to="2025-02-01")
    memory.remember("Boots cost half.", id="offer", valid_from="2025-03-01")
    assert memory.get("offer~1").valid_to == datetime(2025, 2, 1, tzinfo=UTC)
    assert memory.notes(as_of="2025-02-15") == []


def test_a_note_superseded_by_an_older_one_was_valid_until_then(memory, clock):
    memory.remember("Anna lives in Paris", id="paris")
    clock.wind(days=10)
    memory.remember("Anna lives in Rome", id="rome")
    clock.wind(days=10)
    memory.remember("Anna lives in Paris", id="paris", supersedes="rome")
    assert memory.get("rome").valid_to == datetime(2026, 1, 21, tzinfo=UTC)
    assert "rome" in {note.id for note in memory.notes(as_of="2026-01-15")}
    assert [note.id for note in memory.notes()] == ["paris"]


@pytest.mark.parametrize("swept", [False, True])
def test_an_expired_notes_older_versions_belong_to_its_successor(memory, clock, swept):
    memory.remember("Paris", id="home")
    clock.wind(days=1)
    memory.remember("Rome, for a week", id="home", ttl=timedelta(days=7))
    clock.wind(days=8)
    if swept:
        assert memory.sweep() == 1
    assert memory.remember("Oslo", id="home").status == "added"
    assert [note.text for note in memory.history("home")] == ["Paris", "Oslo"]


def test_expired_notes_are_not_counted(memory, clock):
    memory.remember("tea", ttl=10)
    memory.remember("milk")
    assert (memory.stats()["notes"], memory.stats()["history"]) == (2, 0)
    clock.wind(seconds=10)
    assert (memory.stats()["notes"], memory.stats()["history"]) == (1, 0)


@pytest.mark.parametrize(
    ("when", "as_told"),
    [
        (datetime(33, 4, 3, tzinfo=UTC), "0033-04-03"),
        (datetime(2026, 3, 1, 14, 30, 9, tzinfo=UTC), "2026-03-01T14:30Z"),
        (datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=1))), "2026-03-01"),
    ],
)
def test_times_are_shown_in_iso_8601(when, as_told):
    assert short_iso(when) == as_told
