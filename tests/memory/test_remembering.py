"""Remembering: no note is dropped, and no update is mistaken for a duplicate."""

import random
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.memory import remembering


def texts(memory, **options):
    return [note.text for note in memory.notes(**options)]


def test_notes_of_one_word_are_stored(memory):
    for word in ("tea", "Jo", "7"):
        assert memory.remember(word).status == "added"
    assert texts(memory) == ["tea", "Jo", "7"]
    assert [memory.recall(word)[0].text for word in ("tea", "Jo", "7")] == ["tea", "Jo", "7"]


def test_entries_of_the_same_title_are_all_stored(memory):
    for n in range(5):
        assert memory.remember(f"Standup\nItem {n}", metadata={"title": "Standup"}).status == "added"
    assert len(texts(memory, where={"title": "Standup"})) == 5


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("The port is 8443.", "The port is 9443."),
        ("Ada does eat fish.", "Ada does not eat fish."),
        ("Meet on Monday at ten in the large room on the third floor.", "Meet on Monday at ten in the large room."),
        ("tea", "Tea"),
    ],
)
def test_an_update_that_looks_like_a_duplicate_survives(memory, before, after):
    memory.remember(before)
    assert memory.remember(after).status == "added"
    assert texts(memory) == [before, after]
    shown = {item.text for item in memory.recall(after)}
    assert after in shown or after.casefold() == before.casefold()


def test_a_repeated_note_is_unchanged(memory, clock):
    first = memory.remember("Ada likes tea.", metadata={"by": "Ben"})
    clock.wind(days=1)
    again = memory.remember("Ada likes tea.", metadata={"by": "Ben"})
    assert (again.id, again.status, again.added) == (first.id, "unchanged", 0)
    assert memory.get(first.id).recorded_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert memory.store.count() == 1


def test_new_facts_of_a_stored_note_are_added(memory, clock):
    first = memory.remember("Ada likes tea.", metadata={"by": "Ben"})
    again = memory.remember("Ada likes tea.", metadata={"sure": True}, ttl=60)
    assert (again.id, again.status) == (first.id, "updated")
    note = memory.get(first.id)
    assert note.metadata == {"by": "Ben", "sure": True}
    assert note.expires_at == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    assert memory.remember("Ada likes tea.").status == "unchanged"


def test_an_event_that_happened_twice_is_stored_twice(memory):
    memory.remember("Ada called.", occurred_at="2026-01-02")
    assert memory.remember("Ada called.", occurred_at="2026-01-03").status == "added"
    assert memory.remember("Ada called.", occurred_at="2026-01-03").status == "unchanged"
    assert len(texts(memory)) == 2


def test_a_known_id_with_another_text_gets_a_history(memory, clock):
    memory.remember("Ada lives in Paris.", id="home")
    clock.wind(days=10)
    second = memory.remember("Ada lives in Rome.", id="home")
    clock.wind(days=10)
    third = memory.remember("Ada lives in Oslo.", id="home")
    assert (second.status, second.supersedes) == ("superseded", ("home~1",))
    assert (third.status, third.supersedes) == ("superseded", ("home~2",))
    assert texts(memory) == ["Ada lives in Oslo."]
    assert [(note.id, note.text) for note in memory.history("home")] == [
        ("home~1", "Ada lives in Paris."),
        ("home~2", "Ada lives in Rome."),
        ("home", "Ada lives in Oslo."),
    ]
    assert memory.history("home~1") == memory.history("home")


def test_a_superseded_note_is_new_when_repeated(memory, clock):
    paris = memory.remember("Ada lives in Paris.")
    rome = memory.remember("Ada lives in Rome.", supersedes=paris.id)
    clock.wind(days=1)
    back = memory.remember("Ada lives in Paris.", supersedes=rome.id)
    assert back.status == "superseded"
    assert back.id != paris.id
    assert texts(memory) == ["Ada lives in Paris."]
    assert len(memory.history(back.id)) == 3


def test_two_notes_that_supersede_one_fact_form_a_chain(memory):
    memory.remember("The door is red.", id="door")
    memory.remember("The door is blue.", id="blue", supersedes="door")
    late = memory.remember("The door is green.", id="green", supersedes="door")
    assert late.supersedes == ("blue",)
    assert texts(memory) == ["The door is green."]
    assert [note.id for note in memory.history("door")] == ["door", "blue", "green"]


def test_a_known_fact_can_still_supersede_another(memory):
    memory.remember("Ada lives in Paris.", id="paris")
    known = memory.remember("Ada lives in Rome.")
    outcome = memory.remember("Ada lives in Rome.", supersedes="paris")
    assert (outcome.id, outcome.status, outcome.supersedes, outcome.added) == (known.id, "superseded", ("paris",), 0)
    assert texts(memory) == ["Ada lives in Rome."]
    assert memory.remember("Ada lives in Rome.", supersedes="paris").status == "unchanged"


def test_superseded_notes_must_exist(memory):
    with pytest.raises(hs.NotFound, match="no note with the id 'nowhere'"):
        memory.remember("The door is blue.", supersedes="nowhere")
    assert texts(memory) == []


class TestSimilarity:
    """Of notes with the real model, where similar means something."""

    @pytest.fixture
    def real(self, path):
        with hs.Memory(path) as memory:
            memory.remember("Anna lives in Paris", id="home")
            memory.remember("The user likes hiking", id="hobby")
            yield memory

    def test_similar_notes_are_both_kept_unless_asked_otherwise(self, real):
        assert real.remember("Anna lives in Rome").similar == ()
        assert len(real.notes()) == 3

    def test_linked(self, real):
        linked = real.remember("Anna lives in Rome", id="rome", on_similar="link")
        assert [id_ for id_, _ in linked.similar] == ["home"]
        assert linked.similar[0][1] == pytest.approx(0.81, abs=0.02)
        assert real.get("rome").links == ("home",)
        assert real.get("home").links == ("rome",)
        assert len(real.notes()) == 3

    def test_linked_but_for_what_it_supersedes(self, real):
        real.remember("Anna lives in Lyon", id="lyon", supersedes="home")
        outcome = real.remember("Anna lives in Rome", supersedes="home", on_similar="link")
        assert outcome.supersedes == ("lyon",)
        assert real.get(outcome.id).links == ()

    def test_superseded(self, real):
        assert real.remember("Anna lives in Rome", on_similar="supersede").supersedes == ("home",)
        assert [note.text for note in real.notes()] == ["The user likes hiking", "Anna lives in Rome"]

    def test_error(self, real):
        with pytest.raises(hs.InputError, match=r"there are similar notes: 'home' \(0\.8.\)"):
            real.remember("Anna lives in Rome", on_similar="error")
        assert real.remember("The user likes swimming", on_similar="error").status == "added"


def test_without_an_embedder_similar_notes_share_their_words(path):
    with hs.Memory(path, embedder="none") as memory:
        memory.remember("Anna lives in Paris now", id="home")
        results = memory.remember("Anna lives in Rome now", on_similar="link")
        assert results.similar == (("home", 0.8),)
        assert memory.recall("where does Anna live")[0].id in {"home", results.id}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"what": " \n"}, "the text is empty"),
        ({"what": []}, "a text or a list of messages"),
        ({"what": "x", "id": ""}, "a non-empty text"),
        ({"what": "x", "id": "a/000001"}, "has the form of a turn"),
        ({"what": "x", "id": "a~1"}, "or an older version"),
        ({"what": "x", "ttl": 0}, "ttl must be a number of seconds above 0"),
        ({"what": "x", "ttl": "soon"}, "ttl must be a number of seconds above 0"),
        ({"what": "x", "ttl": 1e12}, "ends after the year 9999"),
        ({"what": "x", "occurred_at": "yesterday"}, "not a time in ISO 8601"),
        ({"what": "x", "occurred_at": 7}, "a time in ISO 8601 or a datetime"),
        ({"what": "x", "valid_from": "2026-02-01", "valid_to": "2026-01-01"}, "is not after"),
        ({"what": "x", "metadata": {"memory": 1}}, "metadata has the field 'memory'"),
        ({"what": "x", "metadata": [1]}, "metadata must be a mapping"),
        ({"what": "x", "metadata": {(1,): 2}}, "keys of JSON are texts"),
        ({"what": "x", "metadata": {"a": {b"1"}}}, "'a[^ ]*' in metadata is bytes"),
        ({"what": "x", "session": ""}, "the name of a session must be a non-empty text"),
        ({"what": "x", "supersedes": 5}, "supersedes must be a note's id, or several"),
        ({"what": "x", "similarity": "high"}, "similarity must be a cosine"),
        ({"what": "x", "occurred_at": "0001-01-01T00:00+14:00"}, "out of range"),
        ({"what": "x", "occurred_at": "9999-12-31T23:00-14:00"}, "out of range"),
        ({"what": "x", "on_similar": "ask"}, "on_similar must be one of keep, link, supersede, error"),
        ({"what": [{"role": "user", "content": "x"}], "id": "a"}, "turns of a conversation take no id"),
    ],
)
def test_invalid_notes_are_rejected_and_nothing_is_written(memory, arguments, message):
    with pytest.raises(hs.InputError, match=message):
        memory.remember(arguments.pop("what"), **arguments)
    assert memory.store.count() == 0


def test_namespaces_never_see_each_other(path):
    with hs.open(path, embedder=HashingEmbedder(64)) as store:
        ada, ben = hs.Memory(store, ("user", "ada")), hs.Memory(store, ("user", "ben"))
        odd = hs.Memory(store, ("user/ada",))
        ada.remember("The code is 4711.", id="code")
        ben.remember("The code is 1234.", id="code")
        odd.remember("The code is 9999.", id="code")
        for memory, code in ((ada, "4711"), (ben, "1234"), (odd, "9999")):
            assert texts(memory) == [f"The code is {code}."]
            assert [item.text for item in memory.recall("what is the code")] == [f"The code is {code}."]
            assert memory.get("code").text == f"The code is {code}."
        assert ada.forget("code").ids == ("code",)
        assert [texts(memory) for memory in (ada, ben, odd)] == [[], ["The code is 1234."], ["The code is 9999."]]
        with pytest.raises(hs.NotFound):
            ada.get("code")


def test_a_store_that_was_opened_elsewhere_stays_open(path):
    with hs.open(path, embedder=HashingEmbedder(64)) as store:
        with hs.Memory(store) as memory:
            memory.remember("tea")
        assert store.count() == 1
        with pytest.raises(hs.InputError, match="an open store has its embedder"):
            hs.Memory(store, embedder="none")


@pytest.mark.parametrize("namespace", ["", (), ("a", " "), (1,), 1, None, b"a"])
def test_a_namespace_must_not_be_empty(path, namespace):
    with pytest.raises(hs.InputError, match="a namespace must be"):
        hs.Memory(path, namespace)
    assert not path.exists()


def test_times_may_be_datetimes_with_or_without_a_zone(memory):
    memory.remember("a", id="a", occurred_at=datetime(2025, 5, 1, 12))  # noqa: DTZ001 - a time without zone is meant
    memory.remember("b", id="b", occurred_at="2025-05-01T14:00:00+02:00")
    assert memory.get("a").occurred_at == memory.get("b").occurred_at == datetime(2025, 5, 1, 12, tzinfo=UTC)
    memory.remember("c", id="c", ttl=timedelta(hours=1))
    assert memory.get("c").expires_at == datetime(2026, 1, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("on_similar", ["link", "supersede", "error"])
def test_a_repeated_text_is_unchanged_and_not_similar(memory, on_similar):
    first = memory.remember("Anna lives in Paris", metadata={"a": 1})
    again = memory.remember("Anna lives in Paris", on_similar=on_similar)
    assert (again.id, again.status, again.similar) == (first.id, "unchanged", ())
    assert memory.get(first.id).links == ()


def test_a_similar_note_may_be_forgotten_meanwhile(memory, monkeypatch):
    memory.remember("Anna lives in Paris", id="home")
    find = remembering.find_similar

    def found_and_forgotten(*given):
        results = find(*given)
        memory.forget("home")
        return results

    monkeypatch.setattr(remembering, "find_similar", found_and_forgotten)
    outcome = memory.remember("Anna lives in Paris, France", on_similar="supersede", similarity=0.3)
    assert (outcome.status, outcome.supersedes, texts(memory)) == ("added", (), ["Anna lives in Paris, France"])


def test_new_times_of_a_note_must_be_in_order(memory):
    memory.remember("The promotion is on.", id="p", valid_from="2025-02-01", valid_to="2027-01-01")
    before = memory.get("p")
    with pytest.raises(hs.InputError, match="is not after 2025-02-01"):
        memory.remember("The promotion is on.", id="p", valid_to="2025-01-01")
    with pytest.raises(hs.InputError, match="is not after 2028-01-01"):
        memory.remember("The promotion is on.", id="p", valid_from="2028-01-01")
    assert memory.get("p") == before


def test_a_note_whose_time_becomes_known_is_valid_since_then(memory):
    memory.remember("Anna moved to Rome", id="move")
    memory.remember("Anna moved to Rome", id="move", occurred_at="2025-10-01")
    assert texts(memory, as_of="2025-11-01") == ["Anna moved to Rome"]
    memory.remember("Ben moved to Bonn", id="other", valid_from="2025-12-01")
    memory.remember("Ben moved to Bonn", id="other", occurred_at="2025-10-01")
    assert texts(memory, as_of="2025-11-01") == ["Anna moved to Rome"]


def test_version_numbers_grow_even_if_versions_were_forgotten(memory, clock):
    for number in range(4):
        memory.remember(f"version {number}", id="v")
        clock.wind(days=1)
    memory.forget("v~2")
    memory.remember("version 4", id="v")
    assert memory.remember("noted", id="v~x").id == "v~x"
    assert [note.id for note in memory.notes(as_of="2026-01-04")] == ["v~4"]
    assert [note.text for note in memory.history("v")] == ["version 2", "version 3", "version 4"]


@pytest.mark.parametrize("first", ["move", "home"])
def test_a_new_text_for_a_superseded_id_forms_one_chain_in_any_order(memory, clock, first):
    memory.remember("Anna lives in Paris", id="home")
    clock.wind(days=1)
    changes = [{"id": "move", "supersedes": "home", "what": "Anna moved to Rome"}, {"id": "home", "what": "Oslo it is"}]
    for change in changes if first == "move" else changes[::-1]:
        memory.remember(change.pop("what"), **change)
        clock.wind(days=1)
    last = "Oslo it is" if first == "move" else "Anna moved to Rome"
    assert texts(memory) == [last]
    for id_ in ("home", "move"):
        outcome = [note.text for note in memory.history(id_)]
        assert outcome[0] == "Anna lives in Paris"
        assert outcome[-1] == last
        assert len(outcome) == 3
    assert len(memory.forget("home" if first == "move" else "move").ids) == 3


def test_a_note_that_was_consolidated_can_still_be_corrected_by_its_id(memory, clock):
    memory.remember("Anna drinks tea", id="a")
    clock.wind(days=1)
    memory.remember("anna drinks TEA", id="b")
    memory.consolidate(dry_run=False)
    memory.remember("Anna drinks coffee", id="a")
    assert texts(memory) == ["Anna drinks coffee"]


def test_a_future_successor_still_supersedes_a_note_that_is_corrected_before(memory, clock):
    memory.remember("Anna lives in Paris", id="home")
    memory.remember("Anna lives in Rome", id="move", supersedes="home", valid_from="2026-05-01")
    clock.wind(days=10)
    memory.remember("Anna lives in Paris, in the Rue Cler", id="home")
    assert texts(memory) == ["Anna lives in Paris, in the Rue Cler"]
    assert texts(memory, as_of="2026-05-02") == ["Anna lives in Rome"]
    assert [note.id for note in memory.history("home")] == ["home~1", "home", "move"]


@pytest.mark.parametrize("id_", [None, "x"])
@pytest.mark.parametrize(
    "times", [{"valid_from": "2027-01-01"}, {"valid_from": "2020-01-01", "valid_to": "2021-01-01"}]
)
def test_past_and_future_notes_are_not_stored_twice(memory, id_, times):
    times = {name: f"{year}-01-01" for name, year in times.items()}
    outcome = memory.remember("The shop is closed.", id=id_, **times)
    assert memory.remember("The shop is closed.", id=id_, **times) == replace(outcome, status="unchanged", added=0)
    assert memory.store.count() == 1
    assert memory.remember("The shop is closed.", id=id_).added == 1  # now
    assert texts(memory) == ["The shop is closed."]


def test_metadata_with_tuples_are_unchanged_when_repeated(memory):
    for status in ("added", "unchanged", "unchanged"):
        assert memory.remember("tea", metadata={"tags": ("a", "b"), "n": 1}).status == status


def test_a_note_with_a_future_successor_is_unchanged_when_repeated(memory):
    memory.remember("Anna lives in Paris", id="old")
    memory.remember("Anna lives in Rome", id="home", supersedes="old")
    memory.remember("Anna lives in Bonn", id="plan", supersedes="home", valid_from="2026-05-01")
    for before in ("old", "home"):
        assert memory.remember("Anna lives in Rome", id="home", supersedes=before).status == "unchanged"
    with pytest.raises(hs.NotFound):
        memory.remember("Anna lives in Oslo", id="other", supersedes="other")
    assert texts(memory, as_of="2026-05-02") == ["Anna lives in Bonn"]


@pytest.mark.parametrize("seed", range(8))
def test_after_any_sequence_a_new_note_is_visible_and_repeating_it_changes_nothing(memory, clock, seed):
    chance = random.Random(seed)
    for _ in range(40):
        clock.wind(seconds=chance.choice([0, 0, 1, 5]))
        sentence = {"what": f"note {chance.randrange(12)}"}
        for name, values, share in (("id", "abcd", 0.6), ("supersedes", "abcd", 0.3), ("ttl", (3, 30), 0.1)):
            if chance.random() < share:
                sentence[name] = chance.choice(values)
        if chance.random() < 0.2:
            sentence["valid_from"] = datetime.fromtimestamp(clock.now + chance.choice([-50, -5, 5, 50]), UTC)
        match chance.randrange(12):
            case 0:
                memory.consolidate(dry_run=False)
            case 1:
                memory.sweep()
            case 2:
                with suppress(hs.NotFound):
                    memory.forget(chance.choice("abcd"))
        with suppress(hs.NotFound):
            outcome = memory.remember(**sentence)
            now = datetime.fromtimestamp(clock.now, UTC)
            shown = {note.id: note.text for note in memory.notes()}
            assert shown.get(outcome.id) == sentence["what"] or sentence.get("valid_from", now) > now
            assert memory.get(outcome.id).text == sentence["what"]
            assert memory.remember(**sentence).status == "unchanged" or "ttl" in sentence
            assert memory.history(outcome.id)
