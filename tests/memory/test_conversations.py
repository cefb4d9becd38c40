"""Conversations: turns are stored in order with their speakers, and found in the context of their neighbours."""

from dataclasses import replace

import pytest

import hybridstore as hs
from hybridstore.memory import note_ids
from hybridstore.memory.notes import document_of, note_of

TALK = [
    {"role": "user", "content": "Which port does the gateway use?"},
    {"role": "assistant", "content": "It listens on 8443."},
    {"role": "user", "content": "ok"},
    {"role": "user", "content": "ok"},
    {"role": "assistant", "content": "Anything else?"},
]


def stored(memory, session):
    return [(note.turn, note.role, note.text) for note in memory.notes(session=session)]


def as_told(messages):
    return [(n, entry["role"], entry["content"]) for n, entry in enumerate(messages, start=1)]


def test_every_turn_is_stored_with_its_number(memory):
    outcome = memory.remember(TALK, session="s1")
    assert (outcome.status, outcome.added, outcome.id) == ("added", 5, "s1/000005")
    assert outcome.ids == tuple(f"s1/{n:06}" for n in range(1, 6))
    assert stored(memory, "s1") == as_told(TALK)


def test_a_growing_conversation_can_be_passed_repeatedly(memory):
    for length in range(1, 6):
        outcome = memory.remember(TALK[:length], session="s1")
        assert outcome.ids == tuple(f"s1/{n:06}" for n in range(1, length + 1))
    assert stored(memory, "s1") == as_told(TALK)
    assert memory.remember(TALK, session="s1").status == "unchanged"
    assert memory.remember(TALK[1:3], session="s1").ids == ("s1/000002", "s1/000003")


@pytest.mark.parametrize("window", [2, 3])
def test_a_window_of_the_last_turns_is_aligned_with_stored_ones(memory, window):
    talk = [{"role": "user", "content": f"turn {n}"} for n in range(12)]
    for end in range(window, 13):
        memory.remember(talk[end - window : end], session="s1")
    assert stored(memory, "s1") == as_told(talk)


def test_single_turns_are_appended(memory):
    for message in (TALK[0], TALK[1], TALK[4]):
        memory.remember([message], session="s1")
    assert stored(memory, "s1") == as_told([TALK[0], TALK[1], TALK[4]])


def test_messages_are_identified_by_ids_or_times(memory):
    memory.remember([{"role": "user", "content": "yes", "id": "m1"}], session="a")
    assert memory.remember([{"role": "user", "content": "yes", "id": "m2"}], session="a").status == "added"
    assert memory.remember([{"role": "user", "content": "yes", "id": "m2"}], session="a").status == "unchanged"
    memory.remember([{"role": "user", "content": "yes", "time": "2026-01-01T08:00:00"}], session="b")
    later = [{"role": "user", "content": "yes", "time": "2026-01-01T09:00:00"}]
    assert memory.remember(later, session="b").status == "added"
    assert memory.remember(later, session="b").status == "unchanged"


def test_a_session_without_a_name_is_named_after_its_content(memory):
    outcome = memory.remember(TALK)
    assert memory.remember(TALK).ids == outcome.ids
    assert memory.remember(TALK[:2]).ids[0] != outcome.ids[0]


def test_a_speaker_is_found_by_name_and_shown_with_the_text(memory):
    memory.remember(
        [
            {"role": "user", "name": "Gina", "content": "I lost my job."},
            {"role": "user", "name": "Jon", "content": "I lost my hat."},
        ],
        session="s1",
    )
    first = memory.recall("what did Jon lose")[0]
    assert (first.text, first.speaker, first.id) == ("I lost my hat.", "Jon", "s1/000002")
    assert 'by="Jon"' in str(memory.recall("what did Jon lose"))


def test_a_turn_is_found_by_the_context_of_the_previous_one(path):
    # With the real model: nothing in the answer is about what the question asks for.
    with hs.Memory(path) as memory:
        for n in range(12):
            memory.remember(
                [
                    {"role": "user", "name": "Ben", "content": f"Did you see match number {n} on television?"},
                    {"role": "user", "name": "Ada", "content": f"No, I was out for a walk with dog {n}."},
                ],
                session=f"small talk {n}",
            )
        memory.remember(
            [
                {"role": "user", "name": "Ben", "content": "Where did you spend your honeymoon?"},
                {"role": "user", "name": "Ada", "content": "In Lisbon, for two weeks!"},
                {"role": "user", "name": "Ben", "content": "Lovely."},
            ],
            session="wedding",
        )
        alone = memory.store.search("Where was the honeymoon of Ada spent?", limit=20)
        alone_rank = next(hit.rank for hit in alone if "Lisbon" in hit.text)
        recall = memory.recall("Where was the honeymoon of Ada spent?")
        rank = next(n for n, item in enumerate(recall, start=1) if "Lisbon" in item.text)
        assert rank <= 2
        assert rank <= alone_rank
        assert recall.sessions[0] == "wedding"


def test_neighbours_are_shown_in_the_order_of_the_conversation(memory):
    memory.remember(TALK, session="s1")
    memory.remember([{"role": "user", "content": "Something about boats."}], session="s2")
    recall = memory.recall("which port does the gateway use", neighbours=1, max_tokens=10_000)
    assert [item.id for item in recall][:2] == ["s1/000001", "s1/000002"]
    assert recall[1].beside == "s1/000001"
    assert [item.id for item in recall if item.session == "s2"] == ["s2/000001"]
    assert len({item.chunk_id for item in recall}) == len(recall)


def test_a_recall_can_be_restricted_to_one_session(memory):
    memory.remember(TALK, session="s1")
    memory.remember(TALK[:2], session="s2")
    assert {item.session for item in memory.recall("which port", session="s2")} == {"s2"}
    assert memory.recall("which port", session="s3").items == ()


def test_parts_of_content_are_read_and_other_types_are_named(memory):
    content = [{"type": "text", "text": "Look at this:"}, {"type": "image", "source": "…"}, "and that."]
    memory.remember([{"role": "user", "content": content}, {"role": "assistant", "content": None}], session="s1")
    assert stored(memory, "s1") == [(1, "user", "Look at this:\n[image]\nand that.")]


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([{"role": "user"}], "message 1 must be a mapping"),
        (["hello"], "message 1 must be a mapping"),
        ([{"role": 1, "content": "x"}], "the role of message 1 must be a non-empty text"),
        ([{"content": 7}], "the content of message 1 must be a text or a list of parts"),
        ([{"content": [7]}], "a part of message 1's content"),
        ([{"content": "x", "time": "noon"}], "the time of message 1 is 'noon'"),
        ([{"content": ""}], "no message has any content"),
    ],
)
def test_unreadable_messages_are_named_and_nothing_is_stored(memory, messages, message):
    with pytest.raises(hs.InputError, match=message):
        memory.remember(messages, session="s1")
    assert memory.store.count() == 0


def test_two_agents_appending_to_one_session_lose_nothing(path):
    import threading

    from hybridstore.embedders.hashing import HashingEmbedder

    with hs.open(path, embedder=HashingEmbedder(64)) as store:

        def talk(who):
            memory = hs.Memory(store, "team")
            for n in range(20):
                memory.remember([{"role": "user", "name": who, "content": f"{who} says {n}"}], session="room")

        threads = [threading.Thread(target=talk, args=(who,)) for who in ("Ada", "Ben", "Cy")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        notes = hs.Memory(store, "team").notes(session="room")
    assert [note.turn for note in notes] == list(range(1, 61))
    for who in ("Ada", "Ben", "Cy"):
        assert [note.text for note in notes if note.name == who] == [f"{who} says {n}" for n in range(20)]


def test_a_forgotten_turn_stays_forgotten_when_the_conversation_grows(memory):
    memory.remember(TALK[:3], session="s1")
    memory.forget("s1/000002")
    assert memory.remember(TALK[:4], session="s1").ids == ("s1/000001", "s1/000003", "s1/000004")
    assert memory.remember(TALK[1:], session="s1").ids == ("s1/000003", "s1/000004", "s1/000005")
    assert [note.turn for note in memory.notes(session="s1")] == [1, 3, 4, 5]


def test_a_new_turn_after_a_forgotten_one_is_stored(memory):
    memory.remember(TALK[:3], session="s1")
    memory.forget(["s1/000001", "s1/000002"])
    new = [{"role": "user", "content": "something new"}, TALK[2]]
    assert memory.remember(new, session="s1").added == 2


def test_an_expired_turn_is_new_when_repeated(memory, clock):
    memory.remember(TALK[:1], session="s1", ttl=10)
    clock.wind(seconds=10)
    assert memory.remember(TALK[:1], session="s1").status == "added"
    assert [note.text for note in memory.notes(session="s1")] == [TALK[0]["content"]]


@pytest.mark.parametrize("swept", [False, True])
def test_a_conversation_keeps_growing_while_its_first_turns_expire(memory, clock, swept):
    memory.remember(TALK[:2], session="s1", ttl=10)
    memory.remember(TALK[:4], session="s1", ttl=60)
    clock.wind(seconds=10)
    if swept:
        assert memory.sweep() == 2
    assert memory.remember(TALK, session="s1").ids == tuple(f"s1/{n:06}" for n in (3, 4, 5))


def test_a_notes_id_may_begin_like_a_session(memory):
    for name in ("s1/plan", "s1/2026/000001", "s1/12"):
        memory.remember(f"kept as {name}", id=name)
    assert memory.remember(TALK[:2], session="s1").ids == ("s1/000001", "s1/000002")


def test_turn_numbers_may_exceed_six_digits(memory):
    memory.remember("not one of them", id="s1/0")
    for place in (999_999, 1_000_000):
        note = replace(memory.get("s1/0"), id=note_ids.turn_id("s1", place), session="s1", turn=place, kind="turn")
        memory.store.add([document_of(note)])
    assert memory.remember(TALK[:1], session="s1").id == "s1/1000001"


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("Which bicycle did Ben buy?", "Ben"),
        ("Which bicycle did Anna buy?", "Anna"),
        ("Which bicycle did bennett buy?", None),  # Ben is no word of it
        ("Which bicycles did Anna and Ben and 安娜 buy?", None),
        ("安娜买了什么 bicycle?", "安娜"),
    ],
)
def test_what_a_named_person_said_comes_a_little_higher(memory, query, first):
    words = "the bicycle that was bought is red"
    memory.remember([{"role": "user", "name": name, "content": words} for name in ("Anna", "Ben", "安娜")], session="s")
    recalled = {item.note.name: item.score for item in memory.recall(query)}
    hits = memory.store.search(query, limit=50, around=note_ids.neighbours)
    scores = {note_of(hit.document_id, hit.text, hit.metadata).name: hit.score for hit in hits}
    assert recalled.keys() == scores.keys()
    for name, score in recalled.items():
        assert score == pytest.approx(min(scores[name] + (0.05 if name == first else 0.0), 1.0))
    assert list(recalled.values()) == sorted(recalled.values(), reverse=True)
