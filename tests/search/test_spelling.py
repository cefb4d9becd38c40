"""Words in no passage: what is suggested instead, and how terms are shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hybridstore as hs
from hybridstore.search.spelling import errors


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    with hs.open(":memory:" if request.param == "memory" else tmp_path / "s.db", embedder="none") as opened:
        opened.add(
            [
                hs.Document(id="a", text="The passport of the glacier guide is old; valves leak.", metadata={"who": 1}),
                hs.Document(id="b", text="Паспорт und Straßenbahn: receiving configuration.", metadata={"who": 2}),
            ]
        )
        yield opened


def suggested(store, query, **options):
    return [note for note in store.search(query, **options).trace.notes if "did you mean" in note]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("passprot", "passport"),  # swapped
        ("glacer", "glacier"),  # left out
        ("passpport", "passport"),  # doubled
        ("apssport", "passport"),  # swapped at the beginning
        ("asprot", None),  # two errors in a short word
        ("pasport", "passport"),
        ("pssport", "passport"),  # the second letter left out
        ("confguratoin", "configuration"),  # two errors, one of them in the ending
        ("pessport", "passport"),
        ("Паспрт", "паспорт"),
        ("zebra", None),
        ("E4012", None),  # not a word
    ],
)
def test_a_word_in_no_passage_gets_the_one_that_was_probably_meant(store, typed, meant):
    expected = [f'No passage contains "{typed}"; did you mean "{meant}"?'] if meant else []
    assert suggested(store, typed) == expected


def test_the_query_is_not_changed(store):
    assert list(store.search("passprot")) == []
    assert [hit.document_id for hit in store.search("passprot valves")] == ["a"]


def test_only_words_within_the_filter_are_suggested(store):
    assert suggested(store, "passprot", where={"who": 2}) == []


def test_terms_are_shown_as_typed(store):
    shown = str(store.explain("leaking valves zebras"))
    assert "valves (in 1" in shown
    assert "In no passage: zebras." in shown
    assert "valv " not in shown


def distance(a: str, b: str) -> int:
    """Return the optimal string alignment distance, as the recursion defines it."""
    if not a or not b:
        return len(a) + len(b)
    ways = [distance(a[1:], b) + 1, distance(a, b[1:]) + 1, distance(a[1:], b[1:]) + (a[0] != b[0])]
    if len(a) > 1 and len(b) > 1 and a[0] == b[1] and a[1] == b[0]:
        ways.append(distance(a[2:], b[2:]) + 1)
    return min(ways)


@given(st.text("abc", max_size=6), st.lists(st.text("abc", max_size=6), max_size=4))
def test_errors_are_counted_in_the_whole_word_and_in_its_beginning(word, others):
    whole, beginning = errors(word, others)
    assert whole.tolist() == [distance(word, other) for other in others]
    assert beginning.tolist() == [distance(word[: len(other)], other) for other in others]


def test_names_of_files_and_folders_are_found(store, tmp_path):
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "decoder.py").write_text("def scan(): ...")
    (tmp_path / "runbook.md").write_text("# Incidents\n\nCall somebody.")
    store.add_folder([tmp_path / "json", tmp_path / "runbook.md"])
    store.add(hs.Document(id="w", text="A page.", uri="https://example.org/manuals/pump%20room.html?x=1#top"))
    for query, end in [("decoder.py", "decoder.py"), ("json decoder", "decoder.py"), ("runbook", "runbook.md"),
                       ("runbook.md", "runbook.md"), ("title:runbook", "runbook.md"), ("pump room", "w"),
                       ("manuals", "w")]:  # fmt: skip
        assert store.search(query)[0].document_id.endswith(end), query
    assert list(store.search("example.org")) == []  # the machine's name is not the page's
    assert store.check() == []
