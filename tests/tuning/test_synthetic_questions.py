"""Questions made out of a store's own text: what is asked, what is not, and that they are always the same."""

import random
import unicodedata
from collections import Counter

import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError
from hybridstore.tuning import fragments
from hybridstore.tuning.synthetic_questions import KINDS, from_corpus

PARTS = ("valve", "gasket", "flange", "bearing", "piston", "rotor", "stator", "bushing", "sprocket", "spindle")


def prose(part, sentences=6):
    """Return sentences about one part of a machine, no two of them the same."""
    said = (
        f"The {part} is inspected once a year by the crew of the northern workshop.",
        f"A worn {part} hums at low speed and shudders when the load is raised.",
        f"Spare copies of the {part} are kept in the shed behind the old pumping station.",
        f"Nobody should touch the {part} while the engine is still warm from running.",
        f"Its maker recommends that the {part} be greased with lithium soap in autumn.",
        f"The drawing of the {part} hangs framed above the desk of the foreman.",
    )
    return " ".join(said[:sentences])


@pytest.fixture
def store(tmp_path):
    with hs.open(tmp_path / "parts.db", embedder=HashingEmbedder()) as store:
        store.add([hs.Document(id=part, title=f"Care of the {part}", text=prose(part)) for part in PARTS])
        yield store


def texts(store, most=100, **options):
    return [question.text for question in from_corpus(store, most=most, **options)]


# Where questions come from


def test_every_question_names_the_chunk_that_its_words_came_from(store):
    for question in from_corpus(store, most=60, kinds=("opening", "sentence", "crop")):
        (passage,) = store.chunks.passages([question.positive])
        assert question.origin == question.positive
        assert question.text.split()[1] in passage.text


def test_the_kinds_take_turns_and_only_requested_ones_come(store):
    kinds = Counter(question.kind for question in from_corpus(store, most=60))
    assert set(kinds) == set(KINDS) - {"heading"}  # plain text has none
    assert max(kinds.values()) <= 2 * min(kinds.values())
    assert {question.kind for question in from_corpus(store, most=20, kinds=("crop",))} == {"crop"}


def test_every_document_gives_a_question_before_any_gives_two(store):
    questions = list(from_corpus(store, most=20))
    for some in (questions[:10], questions[10:]):
        asked = [store.chunks.passages([question.positive])[0].document_id for question in some]
        assert sorted(asked) == sorted(PARTS)


def test_questions_depend_on_the_seed(store):
    assert texts(store, 30, seed=7) == texts(store, 30, seed=7)
    assert texts(store, 30, seed=7) != texts(store, 30, seed=8)


def test_no_question_comes_twice_and_the_supply_ends(store):
    asked = texts(store, 10_000)
    assert len(asked) == len({text.casefold() for text in asked})
    assert len(asked) <= len(PARTS) * (len(KINDS) - 1)


def test_with_fewer_questions_than_documents_no_document_gives_two(store):
    questions = list(from_corpus(store, most=4))
    assert len({question.positive for question in questions}) == 4


def test_an_empty_store_has_no_questions(tmp_path):
    with hs.open(tmp_path / "empty.db", embedder="none") as store:
        assert list(from_corpus(store, most=5)) == []


@pytest.mark.parametrize("options", [{"most": 0}, {"most": 5, "kinds": ("riddle",)}])
def test_invalid_options_are_an_input_error(store, options):
    with pytest.raises(InputError):
        list(from_corpus(store, **options))


# What is not asked


def test_shared_or_short_titles_and_file_names_are_no_questions(tmp_path):
    titles = ("Monthly report", "Monthly report", "Invoices", "notes of may.txt", "docs/setup guide", "How to weld tin")
    with hs.open(tmp_path / "titles.db", embedder="none") as store:
        store.add([hs.Document(id=str(n), title=title, text=prose(PARTS[n])) for n, title in enumerate(titles)])
        assert texts(store, kinds=("title",)) == ["How to weld tin"]


def test_a_shared_heading_is_combined_with_the_one_above_it(tmp_path):
    with hs.open(tmp_path / "headings.db", embedder="none") as store:
        store.add(
            [
                hs.Document(id=part, text=f"# The {part}\n\n## Daily care\n\n{prose(part)}", format="markdown")
                for part in PARTS[:3]
            ]
        )
        asked = {text for text in texts(store, kinds=("heading",)) if "Daily" in text}
    assert asked == {f"The {part} Daily care" for part in PARTS[:3]}


def test_a_short_text_gives_no_fragment(tmp_path):
    with hs.open(tmp_path / "short.db", embedder="none") as store:
        store.add([hs.Document(id="a", text="A worn valve hums."), hs.Document(id="b", text="One. Two. Three.")])
        assert texts(store) == []


def test_a_store_of_one_line_texts_gives_questions_about_nearly_all(tmp_path):
    with hs.open(tmp_path / "lines.db", embedder="none") as store:
        store.add([hs.Document(id=str(n), text=prose(f"valve {n}", 1)) for n in range(30)])
        asked = list(from_corpus(store, most=100))
    assert len({question.positive for question in asked}) >= 25
    assert all(2 <= len(question.text.split()) <= 12 for question in asked)


def test_templates_are_for_english_text_only(tmp_path):
    german = "Das Ventil wird jedes Jahr in der nördlichen Werkstatt geprüft und danach sorgfältig eingefettet, " * 3
    for language, text, some in (
        ("english", prose("valve"), True),
        ("english", german, False),
        ("german", german, False),
    ):
        path = tmp_path / f"{language}-{some}.db"
        with hs.open(path, embedder="none", language=language) as store:
            store.add([hs.Document(id="a", text=text), hs.Document(id="b", text=f"{text} Und: and.")])
            assert bool(texts(store, kinds=("template",))) == some


def test_words_of_a_single_chunk_are_no_keywords(store):
    asked = " ".join(texts(store, kinds=("keywords", "template")))
    assert "foreman" in asked
    assert not any(part in asked.split() for part in PARTS)


# Pieces of text


def test_a_crop_is_five_to_twelve_words_and_never_more_than_half():
    rng = random.Random(1)
    for _ in range(50):
        words = fragments.crop(prose("valve", 2), rng).split()
        assert 4 <= len(words) <= 12
    assert fragments.crop(" ".join(["word"] * 9), rng) is None


def test_text_without_spaces_is_cut_by_characters():
    text = "機械の手入れは毎年秋に行う。北の作業場の職人が弁を調べて油をさす。" * 4
    rng = random.Random(1)
    cropped = [fragments.crop(text, rng) for _ in range(20)]
    assert all(15 - 2 <= len(piece) <= 36 for piece in cropped)
    assert fragments.opening(text) == "機械の手入れは毎年秋に行う。"
    assert not fragments.spaced(text)
    assert fragments.length("機械の手入れ") == 2
    assert fragments.keywords(text, 2, {}, "none", rng) is None


def test_a_crop_of_thai_never_begins_with_a_mark():
    text = "น้ำมันหล่อลื่นที่ใช้กับเครื่องจักรนี้ต้องเปลี่ยนทุกปีก่อนฤดูหนาวเริ่มต้นขึ้น" * 3
    pieces = [fragments.crop(text, random.Random(seed)) for seed in range(100)]
    assert all(unicodedata.category(piece[0]).startswith("L") for piece in pieces)


def test_keywords_are_rare_words_in_their_order_without_grammar():
    idf = {"valve": 0.1, "lithium": 5.0, "foreman": 5.0, "autumn": 4.0}
    found = fragments.keywords(prose("valve"), 4, idf, "english", random.Random(0))
    assert {"the", "is", "while"}.isdisjoint(found)
    order = [prose("valve").lower().index(word) for word in found]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ('the "old" valve', "the old valve"),
        ("a -worn valve", "a worn valve"),
        ("title:valve of brass", "valve of brass"),
        ("## Daily\n care ", "Daily care"),
        ("at -5 degrees", "at -5 degrees"),
        ("set *max_speed* and __init__ of `it`", "set max_speed and init of it"),
    ],
)
def test_query_syntax_is_removed(text, clean):
    assert fragments.cleaned(text) == clean
