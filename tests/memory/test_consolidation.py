"""Consolidation: notes that say the same become one note with a history, and no others are changed."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError
from hybridstore.memory import Memory, Note
from hybridstore.memory.consolidation import says_the_same, significant_tokens
from hybridstore.memory.note_space import NoteSpace
from hybridstore.memory.notes import document_of, moment

LONG = "The staging cluster was moved to the new region in March, and all of its nineteen services have run there since"


class Clock:
    """A clock that is a second further at each look."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def memory():
    with Memory(":memory:", embedder=HashingEmbedder(), clock=Clock()) as memory:
        yield memory


@pytest.fixture
def wordy():
    with Memory(":memory:", embedder="none", clock=Clock()) as memory:
        yield memory


def kept(memory, *texts, **options):
    return [memory.remember(text, id=f"n{n}", **options).id for n, text in enumerate(texts)]


def ids(clusters):
    return [(cluster.kept.id, [other.id for other in cluster.others]) for cluster in clusters]


def test_the_newest_of_what_says_the_same_supersedes_the_others(memory):
    kept(memory, "Anna drinks tea", "anna  drinks TEA", "Ben drinks tea", "Anna Drinks Tea")
    outcome = memory.consolidate()
    assert outcome.dry_run
    assert ids(outcome.clusters) == [("n3", ["n1", "n0"])]
    assert [note.id for note in memory.notes()] == ["n0", "n1", "n2", "n3"]  # only told
    done = memory.consolidate(dry_run=False)
    assert not done.dry_run
    assert ids(done.clusters) == ids(outcome.clusters)
    assert done.clusters[0].similarity == pytest.approx(1.0)
    assert [note.id for note in memory.notes()] == ["n2", "n3"]
    assert memory.get("n3").supersedes == ("n1", "n0")
    assert [memory.get(entry).superseded_by for entry in ("n0", "n1")] == ["n3", "n3"]
    assert {item.id for item in memory.recall("Anna drinks tea")} == {"n2", "n3"}
    for entry in ("n0", "n1", "n3"):
        assert [note.id for note in memory.history(entry)] == ["n0", "n1", "n3"]


def test_a_second_run_finds_nothing(memory):
    kept(memory, "Anna drinks tea", "anna drinks tea", LONG, f"{LONG}.", "Anna drinks coffee")
    assert len(memory.consolidate(dry_run=False, similarity=0.9).clusters) == 2
    before = memory.notes()
    assert memory.consolidate(dry_run=False, similarity=0.9).clusters == ()
    assert memory.notes() == before


def test_superseded_notes_are_still_found_as_of_an_earlier_moment(memory):
    kept(memory, "Anna drinks tea")
    then = memory.get("n0").recorded_at
    memory.remember("Anna drinks TEA", id="n1")
    memory.consolidate(dry_run=False)
    assert [note.id for note in memory.notes(as_of=then)] == ["n0"]
    assert [note.id for note in memory.notes()] == ["n1"]


CORRECTIONS = [
    ("the port is 8443", "the port is 9443"),
    ("the port is 8443", "the port is not 8443"),
    ("it was -5 degrees", "it was 5 degrees"),
    ("version 1.5", "version 5.1"),
    ("the code is 10²", "the code is 102"),
    ("Anna owes Ben money", "Ben owes Anna money"),
    ("Anna lives in Paris.", "Anna lives in Paris?"),
    ("we write C++", "we write C#"),
    ("the door opens at 10:30", "the door opens at 30:10"),
    ("it costs $5", "it costs €5"),
    ("take plan A", "take plan"),
    (LONG, LONG.replace("March", "April")),
    (LONG, LONG.replace("was moved", "was not moved")),
    (LONG, LONG.replace("have run", "never ran")),
    (LONG, LONG.replace("the new region", "the old region")),
    (LONG, f"{LONG} not"),
    ("パスワードは変わった", "パスワードは変わらなかった"),
]


@pytest.mark.parametrize(("fact", "correction"), CORRECTIONS)
def test_a_fact_and_its_correction_are_never_merged(memory, wordy, fact, correction):
    for entry in (memory, wordy):
        kept(entry, fact, correction)
        assert entry.consolidate(dry_run=False, similarity=0.01).clusters == ()
        assert [note.text for note in entry.notes()] == [fact, correction]


WORDS = st.sampled_from(
    ["port", "not", "no", "8443", "9443", "Anna", "Ben", "is", "the", "never", "a", "2.5", "-3", "C++"]
)


@given(st.lists(WORDS, min_size=1, max_size=30), st.lists(WORDS, min_size=1, max_size=30))
def test_repetitions_have_the_same_words_except_the(first, second):
    one, other = " ".join(first), " ".join(second)
    if significant_tokens(one) == significant_tokens(other) and says_the_same(one, other):
        message = [[word.casefold() for word in entry if word != "the"] for entry in (first, second)]
        assert message[0] == message[1] or not all(message)


def test_punctuation_and_empty_words_do_not_make_a_difference(memory):
    kept(memory, LONG, LONG.replace("the new region in March,", "new region, in March") + ".")
    results = memory.consolidate(similarity=0.9)
    assert ids(results.clusters) == [("n1", ["n0"])]
    assert 0.9 <= results.clusters[0].similarity < 1.0
    assert memory.consolidate(similarity=0.9999).clusters == ()


def test_without_vectors_words_alone_decide(wordy):
    kept(wordy, LONG, LONG.replace("the new", "new"), "Anna drinks tea", "Anna drinks tea!")
    results = wordy.consolidate()
    assert ids(results.clusters) == [("n1", ["n0"]), ("n3", ["n2"])]
    assert [cluster.similarity for cluster in results.clusters] == pytest.approx([2 * 20 / 41, 1.0])  # one of 21 words


def test_long_notes_are_merged_only_if_all_their_words_are_the_same(memory):
    long = "\n\n".join(f"Paragraph {n}: {LONG}." for n in range(40))
    kept(memory, long, long.upper(), long.replace("Paragraph 7: The", "Paragraph 7:"))
    assert len(memory.store.chunks.of([memory.get("n0").uri])[memory.get("n0").uri]) > 1
    assert ids(memory.consolidate(similarity=0.5).clusters) == [("n1", ["n0"])]


@pytest.mark.parametrize(
    "difference",
    [
        {"metadata": {"project": "x"}},
        {"session": "monday"},
        {"occurred_at": "2023-01-05"},
        {"valid_to": "2040-01-01"},
    ],
    ids=lambda difference: next(iter(difference)),
)
def test_notes_with_different_facts_are_not_merged(memory, difference):
    memory.remember("Anna drinks tea", id="a")
    memory.remember("Anna drinks tea", id="b", **difference)
    memory.remember("Anna drinks TEA", id="c", **difference)
    assert ids(memory.consolidate().clusters) == [("c", ["b"])]


def test_turns_other_namespaces_and_history_are_not_touched(memory):
    memory.remember([{"role": "user", "content": "Yes"}, {"role": "user", "content": "yes"}], session="s")
    memory.remember("Tea it is", id="now")
    memory.remember("tea it is", id="new", supersedes="now")
    Memory(memory.store, "other", clock=memory._space.clock).remember("TEA IT IS")
    assert memory.consolidate(dry_run=False).clusters == ()


def test_differences_do_not_add_up_through_notes_that_join(wordy):
    # Each lacks one "the" more than the one before: neighbours are near, the ends are not.
    full = "the a1 the b2 the c3 the d4 the e5 the f6 word word word word word word"
    texts = [full]
    for _ in range(3):
        texts.append(texts[-1].replace("the ", "", 1))
    kept(wordy, *texts)
    results = wordy.consolidate(dry_run=False, keep="newest")
    for cluster in results.clusters:
        assert all(says_the_same(cluster.kept.text, other.text) for other in cluster.others)
    assert not says_the_same(texts[0], texts[-1])
    assert "n0" not in {other.id for cluster in results.clusters if cluster.kept.id == "n3" for other in cluster.others}
    assert wordy.consolidate().clusters == ()


def test_the_most_used_note_can_be_kept_with_its_feedback(memory):
    kept(memory, "Anna drinks tea", "Anna Drinks tea", "anna drinks tea")
    for query in ("what does Anna drink", "tea or coffee"):
        recall = memory.recall(query)
        memory.feedback(recall, used=[recall[0].id])
    used = {word.document_id for word in memory.store.learning.feedback()}
    (most,) = used
    results = memory.consolidate(dry_run=False, keep="used")
    ((chosen, others),) = ids(results.clusters)
    assert memory.get(chosen).uri == most
    assert len(others) == 2
    words = memory.store.learning.feedback()
    assert [(word.document_id, word.used) for word in words] == [(most, True)] * 2
    for other in results.clusters[0].others:
        assert other.valid_to > other.valid_from


def test_feedback_moves_to_the_kept_note(memory):
    kept(memory, "Anna drinks tea")
    memory.feedback(memory.recall("what does Anna drink"), used=["n0"])
    memory.remember("anna drinks TEA", id="n1")
    memory.consolidate(dry_run=False)
    assert [word.document_id for word in memory.store.learning.feedback()] == [memory.get("n1").uri]


def test_the_kept_note_has_the_latest_expiry_and_all_links(memory):
    memory.remember("Anna drinks coffee", id="other")
    memory.remember("Anna drinks tea", id="a", on_similar="link", similarity=0.3)
    memory.remember("anna drinks TEA", id="b", ttl=60)
    memory.consolidate(dry_run=False)
    assert memory.get("b").expires_at is None
    assert memory.get("b").links == ("other",)


def test_notes_that_change_meanwhile_are_not_superseded(memory, monkeypatch):
    kept(memory, "Anna drinks tea", "Anna Drinks tea", "anna drinks tea")
    change = NoteSpace.change

    def late(self, decide):
        monkeypatch.setattr(NoteSpace, "change", change)
        memory.remember("Anna drinks water now", id="n0")
        return change(self, decide)

    monkeypatch.setattr(NoteSpace, "change", late)
    done = memory.consolidate(dry_run=False)
    assert ids(done.clusters) == [("n2", ["n1"])]
    assert {note.text for note in memory.notes()} == {"anna drinks tea", "Anna drinks water now"}


@pytest.mark.parametrize("wrong", [{"keep": "oldest"}, {"similarity": 0}, {"similarity": 1.5}, {"similarity": "high"}])
def test_invalid_arguments_are_rejected(memory, wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        memory.consolidate(**wrong)


@pytest.mark.thorough
def test_ten_thousand_notes_are_consolidated_in_seconds():
    with Memory(":memory:", embedder=HashingEmbedder(32)) as memory:
        texts = [f"note w{n // 2:05d} says {'that' if n % 4 < 2 else 'this'} word" for n in range(10_000)]
        memory.store.add(
            document_of(
                Note(id=f"n{n:05d}", text=text, namespace=memory.namespace, recorded_at=moment(n), valid_from=moment(n))
            )
            for n, text in enumerate(texts)
        )
        begun = time.monotonic()
        results = memory.consolidate()
        assert time.monotonic() - begun < 20  # two seconds where nothing else runs
        assert len(results.clusters) == 5_000
        assert ids(results.clusters[:1]) == [("n00001", ["n00000"])]
