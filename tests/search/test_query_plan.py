"""Query plans: the simple syntax, the text for the embedder, and stop words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridstore.errors import InputError
from hybridstore.search.query_plan import MAX_LENGTH, has_words, plan
from hybridstore.text.analysis import Analyser
from hybridstore.text.expressions import AllOf, NotOf, WordSequence

ENGLISH = Analyser()


def parsed(query: str):
    planned = plan(query, ENGLISH)
    return planned.text, planned.phrases, planned.excluded


@pytest.mark.parametrize(
    ("query", "text", "phrases", "excluded"),
    [
        ("red planet", "red planet", (), ()),
        ('"red planet"', "red planet", ("red planet",), ()),
        ('the "red planet" Mars', "the red planet Mars", ("red planet",), ()),
        ('"one" "two words"', "one two words", ("one", "two words"), ()),
        ("“red planet”", "red planet", ("red planet",), ()),
        ("„roter Planet“", "roter Planet", ("roter Planet",), ()),
        ("«красная планета»", "красная планета", ("красная планета",), ()),
        ("planet -red", "planet -red", (), ()),
        ('planet -"red"', "planet", (), ("red",)),
        ('planet -"red giant"', "planet", (), ("red giant",)),
        ('planet -"red" -“giant”', "planet", (), ("red", "giant")),
        ("what does grep -r do", "what does grep -r do", (), ()),
        ("tar -xzf and find . -print0", "tar -xzf and find . -print0", (), ()),
        ('"grep -r" -v', "grep -r -v", ("grep -r",), ()),
        ("well-known planet", "well-known planet", (), ()),
        ("planet - red", "planet - red", (), ()),
        ("-5 degrees", "-5 degrees", (), ()),
        ("below -40", "below -40", (), ()),
        ("--verbose", "--verbose", (), ()),
        ("-red", "-red", (), ()),
        ('-"red" -"blue"', '-"red" -"blue"', (), ()),
        ('-"red giant"', '-"red giant"', (), ()),
        ('"red planet', '"red planet', (), ()),
        ('red" planet', 'red" planet', (), ()),
        ('a 5" disk and a 3" disk', 'a 5" disk and a 3" disk', (), ()),
        ("the dog's bone", "the dog's bone", (), ()),
        ("'red planet'", "'red planet'", (), ()),
        ("rock 'n' roll", "rock 'n' roll", (), ()),
        ('""', '""', (), ()),
        ('" "', "", (), ()),
        ('"..."', "...", (), ()),
        ("", "", (), ()),
        ("  ", "  ", (), ()),
    ],
)
def test_a_simple_query_means(query, text, phrases, excluded):
    planned = parsed(query)
    assert planned[1:] == (phrases, excluded)
    assert planned[0].strip() == text.strip()


def test_the_words_of_a_phrase_are_not_searched_for_alone():
    keyword = plan('the "red planets" Mars', ENGLISH).keyword
    assert keyword.terms == ("mar",)
    assert keyword.phrases == (("red", "planet"),)
    assert keyword.excluded == ()


def test_a_query_of_exclusions_only_is_its_words():
    keyword = plan('-"red" -title:blue', ENGLISH).keyword
    assert keyword == plan("red blue", ENGLISH).keyword
    assert (keyword.terms[:2], keyword.excluded) == (("red", "blue"), ())


def test_quotation_marks_in_a_long_question_have_no_meaning():
    short = 'what does it mean that a "red planet" was seen here'  # nine other words
    long = 'what does it mean that a "red planet" was seen over here today by them'
    assert plan(short, ENGLISH).phrases == ("red planet",)
    planned = plan(long, ENGLISH)
    assert planned.phrases == ()
    assert {"red", "planet"} <= set(planned.keyword.terms)
    assert plan(long + ' -"blue"', ENGLISH).excluded == ("blue",)


def test_lone_surrogates_are_replaced():
    planned = plan("red \ud800 planet", ENGLISH)
    planned.text.encode()
    assert planned.keyword.terms == ("red", "planet")


@pytest.mark.parametrize(
    ("query", "read"),
    [
        ("x" * MAX_LENGTH, MAX_LENGTH),
        ("x" * 2 * MAX_LENGTH, MAX_LENGTH),
        ("ab " * MAX_LENGTH, (MAX_LENGTH - 1) // 3 * 3 + 2),
        ("ab " + "x" * 2 * MAX_LENGTH, MAX_LENGTH),
    ],
    ids=["just", "one word", "words", "a word, then one"],
)
def test_a_query_is_cut_to_its_longest_length_at_a_space_if_there_is_one(query, read):
    planned = plan(query, ENGLISH)
    assert abs(len(planned.text) - read) <= 3
    assert len(planned.text) <= MAX_LENGTH
    assert any("were searched for" in note for note in planned.notes) is (len(query) > MAX_LENGTH)


def test_conditions_beyond_the_most_are_words_and_told_once():
    planned = plan(" ".join(f'"quoted words{n}"' for n in range(70)), ENGLISH)
    assert [note[:25] for note in planned.notes] == ["Only the first 64 phrases"]
    assert "words69" in planned.text


@pytest.mark.parametrize(
    "question",
    [
        "grep -r",
        "what does grep -r do",
        "how do I use tar -xzf",
        "python -m http.server",
        "find . -name x -print0 | xargs -0 rm -rf",
        "ls -l --color=auto -a",
        "why does my colleague, who should know, keep telling everybody here to run git commit -am on main",
        "java -Xmx2g -jar app.jar",
        "New-Item -Force -ItemType Directory",
        "–r -é -ä",
    ],
)
def test_a_flag_is_a_word_at_any_length_of_the_question(question):
    planned = plan(question, ENGLISH)
    assert (planned.excluded, planned.keyword.excluded, planned.keyword.matching) == ((), (), ())
    assert planned.text == question
    flags = [word for word in question.split() if word[0] == "-" and word[1].isalpha()]
    assert len(planned.notes) == bool(flags)
    assert all(flag in planned.notes[0] for flag in flags)


def test_a_note_says_how_to_exclude_what_a_minus_did_not():
    (note,) = plan("planet -red -giant", ENGLISH).notes
    assert note == (
        '-red, -giant were searched for like other words; to leave out passages with a word, quote it: -"red".'
    )
    assert plan(note.rpartition(" ")[2].rstrip("."), ENGLISH).notes == ()


@pytest.mark.parametrize("syntax", ["simple", "advanced"])
def test_excluded_words_are_those_of_the_query_and_of_the_argument(syntax):
    planned = plan("planet", ENGLISH, syntax, ("giants", '"red dwarf"', "title:moon", "-r", "C++"))
    assert planned.excluded == ("giants", "red dwarf", "-r", "C++")
    assert planned.keyword.excluded == (("giant",), ("red", "dwarf"), ("r",), ("c++",))
    assert planned.keyword.matching[-1] == NotOf(WordSequence(("moon",), "title"))
    assert planned.text == "planet"
    with pytest.raises(InputError, match="exclude has '--', in which there is no word"):
        plan("planet", ENGLISH, syntax, ("--",))


@pytest.mark.parametrize(
    ("query", "searchable"),
    [("", False), (" \t\n", False), ("?!…", False), ('-"" - ---', False), ("=+$<>|", False), ("\u200b\ufeff", False)]
    + [(query, True) for query in ("a", "5", "東", "🙂", "é", "-r", "©", "the")],
)
def test_a_query_has_words_or_symbols(query, searchable):
    assert has_words(query) is searchable


@pytest.mark.parametrize(
    ("query", "text", "matching"),
    [
        ("title:red planet", "red planet", (WordSequence(("red",), "title"),)),
        ('planet title:"red giant"', "planet red giant", (WordSequence(("red", "giant"), "title"),)),
        ("planet heading:red", "planet red", (WordSequence(("red",), "heading"),)),
        ("Title:red", "red", (WordSequence(("red",), "title"),)),
        ("planet -title:red", "planet", (NotOf(WordSequence(("red",), "title")),)),
        ('planet -heading:"red giant"', "planet", (NotOf(WordSequence(("red", "giant"), "heading")),)),
        ("title:.env", ".env", (AllOf((WordSequence(("env",), "title"), WordSequence((".env",)))),)),
        ("title:a-b", "a-b", (WordSequence(("a", "b"), "title"),)),
        ("title:title:x", "title:x", (WordSequence(("titl", "x"), "title"),)),
        ("-title:red", "red", ()),  # nothing but exclusions
        ("title: red", "title: red", ()),
        ("red title:", "red title:", ()),
        ("http://x note:abc", "http://x note:abc", ()),
        ("subtitle:red", "subtitle:red", ()),
        ("title:://x", "title:://x", ()),
        ('title:"red', 'title:"red', ()),
        ('title:"..."', "...", ()),
        ("red AND (blue OR NOT green*)", "red AND (blue OR NOT green*)", ()),
    ],
)
def test_a_field_applies_to_the_word_or_phrase_directly_after_it(query, text, matching):
    planned = plan(query, ENGLISH)
    assert (planned.text, planned.keyword.matching) == (text, matching)
    assert (planned.phrases, planned.keyword.phrases) == ((), ())


def test_words_required_in_a_field_are_also_searched_for():
    keyword = plan('title:planets "blue giant" heading:"red spots" -title:moon', ENGLISH).keyword
    assert keyword.terms == ("planet", "red", "spot")
    assert keyword.phrases == (("blue", "giant"),)
    assert keyword.excluded == ()


@given(st.lists(st.sampled_from(['"', "“", "”", "-", " ", "red ", "giant", "title:", "\ud800"]) | st.text(max_size=3)))
def test_a_plan_is_never_larger_than_its_query(pieces):
    query = "".join(pieces)
    planned = plan(query, ENGLISH)
    assert len(planned.text) <= len(query)
    assert len(planned.phrases) == len(planned.keyword.phrases)
    assert len(planned.excluded) == len(planned.keyword.excluded)
    assert all(planned.keyword.phrases + planned.keyword.excluded)
    assert not any(set(' "') & set(token) for token in planned.keyword.terms)


@pytest.mark.parametrize(
    ("query", "terms", "ignored"),
    [
        ("how do I change the inlet valve?", ("chang", "inlet", "valv"), ("how", "do", "I", "the")),
        ("the the valve", ("valv",), ("the",)),
        ("what is this", ("what", "is", "this"), ()),
        ("what does WHO say", ("who", "say"), ("what", "does")),
        ('valve -"the"', ("valv",), ()),
        ("who {", ("who",), ()),  # a sign is nothing to search for instead
        ("who + is", ("who", "is"), ()),
        ('who "!?"', ("who",), ()),
    ],
)
def test_stop_words_are_not_searched_for(query, terms, ignored):
    planned = plan(query, ENGLISH)
    assert (planned.keyword.terms, planned.ignored) == (terms, ignored)


def test_the_embedder_gets_the_stop_words_too():
    assert plan("how do I change the valve", ENGLISH).text == "how do I change the valve"


def test_phrases_fields_and_exclusions_keep_stop_words():
    planned = plan('what did "the valve of the pump" cost title:of -"to be"', ENGLISH)
    assert planned.keyword.phrases == (("the", "valv", "of", "the", "pump"),)
    assert planned.keyword.excluded == (("to", "be"),)
    assert planned.keyword.matching == (WordSequence(("of",), "title"),)
    assert planned.keyword.terms == ("cost",)
    assert planned.ignored == ("what", "did", "of")
    quoted = plan('"to be or not to be"', ENGLISH)
    assert (quoted.keyword.phrases, quoted.ignored) == ((("to", "be", "or", "not", "to", "be"),), ())


def test_the_advanced_syntax_searches_for_stop_words():
    planned = plan("how AND the AND valve", ENGLISH, "advanced")
    assert planned.keyword.terms == ("how", "the", "valv")
    assert planned.ignored == ()


def test_a_language_without_a_list_keeps_all_words():
    planned = plan("how do I change the valve", Analyser("none"))
    assert planned.keyword.terms == ("how", "do", "i", "change", "the", "valve")
    assert planned.ignored == ()


@pytest.mark.parametrize(
    ("query", "text", "excluded"),
    [
        ('"solar power" AND ("heat storage" OR tank) -lithium', "solar power heat storage tank", ("lithium",)),
        ('site:example.org "solar power" NOT "lithium battery"', "solar power", ("lithium battery",)),
        ("intitle:solar filetype:pdf http://x.org/a -", "solar http://x.org/a -", ()),
        ("-lithium", "lithium", ()),
        ("NOT | (", "NOT | (", ()),
        ('grep "-r', "grep -r", ()),
    ],
)
def test_a_web_query_binds_no_phrases_and_leaves_out_what_is_negated(query, text, excluded):
    planned = plan(query, Analyser(), "web")
    assert planned.text == text
    assert planned.excluded == excluded
    assert planned.keyword.phrases == ()
    assert ("site:example.org: not for this store" in " ".join(planned.notes)) == ("site:" in query)
