"""Analysis: queries match the texts they should, in any language, and no text breaks it."""
# ruff: noqa: E501 - the probes are tables, read group by group

import sys
import unicodedata

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import hybridstore as hs
from hybridstore.errors import InputError
from hybridstore.text.analysis import Analyser
from hybridstore.text.stemming import LANGUAGES

# Pairs of what is typed and what is written.
FOUND = {
    "case": [("MÜNCHEN", "Die U-Bahn in München"), ("münchen", "MÜNCHEN HBF"), ("paris", "PARIS"), ("Paris", "paris")],
    "accents": [
        ("munchen", "München"), ("München", "Munchen"), ("cafe", "das Café"), ("café", "a CAFE"), ("CAFÉ", "cafe\u0301"),
        ("cafe\u0301", "café"), ("Malmo", "Malmö"), ("Łódź", "Lodz"), ("lodz", "Łódź"), ("smorrebrod", "Smørrebrød"),
        ("Đà Nẵng", "da nang"), ("aesop", "Æsop"), ("oeuvre", "œuvre"), ("naïve", "naive"), ("Ångström", "angstrom"),
    ],
    "special case rules": [
        ("STRASSE", "Straße"), ("straße", "STRASSE"), ("istanbul", "İstanbul"), ("İstanbul", "ISTANBUL"),
        ("ΟΔΟΣ", "οδος"), ("οδός", "ΟΔΟΣ"), ("ﬁnance", "finance"), ("ＡＢＣ", "abc"), ("Ⅷ", "viii"), ("ﬀ", "ff"),
    ],
    "cyrillic": [
        ("мир", "МИР"), ("МИР", "мир во всём мире"), ("ёлка", "елка"), ("елка", "Ёлка"), ("книга", "читаю книгу"), ("й", "й"),
        ("Київ", "київ"),
    ],
    "chinese": [
        ("北京", "我明天去北京开会"), ("中文", "全文検索中文分词"), ("開會", "明天開會"), ("京", "我去北京"), ("天", "明天去"), ("会", "开会"),
        ("我明天去北京", "我明天去北京开会"), ("𠮷", "𠮷野家"), ("野家", "𠮷野家"),
    ],
    "japanese": [
        ("東京", "私は東京都に住んでいます"), ("カタカナ", "これはカタカナです"), ("ｶﾀｶﾅ", "カタカナ"), ("すし", "おすしが好き"), ("スーパー", "スーパーマーケット"),
        ("住", "東京に住む"), ("データベース", "新しいデータベースを作る"),
    ],
    "korean": [("한국", "대한민국은 한국이다"), ("서울", "서울에서"), ("서울", "나는 서울특별시에 산다")],
    "arabic": [("كتاب", "كِتَابٌ"), ("كِتَاب", "كتاب"), ("مكتبة", "في مكتبة المدينة"), ("العربية", "اللغة العربية")],
    "hebrew": [("שלום", "שָׁלוֹם"), ("שלום", "שלום עולם")],
    "thai, lao, khmer, burmese": [
        ("ภาษา", "ฉันพูดภาษาไทย"), ("ไทย", "ภาษาไทยง่าย"), ("น้ำ", "ดื่มน้ำมาก"), ("ພາສາ", "ພາສາລາວ"), ("ភាសា", "ភាសាខ្មែរ"),
        ("မြန်မာ", "မြန်မာစာ"),
    ],
    "indic": [("हिन्दी", "मैं हिन्दी बोलता हूँ"), ("தமிழ்", "தமிழ் மொழி"), ("বাংলা", "বাংলা ভাষা"), ("ಕನ್ನಡ", "ಕನ್ನಡ ಭಾಷೆ")],
    "others": [("հայերեն", "Հայերեն"), ("ქართული", "ქართული ენა"), ("አማርኛ", "አማርኛ ቋንቋ")],
    "english": [
        ("running", "they run"), ("cities", "a city"), ("the cat's", "cat"), ("cat", "the cat’s tail"), ("dogs", "the dogs' bowl"),
        ("don't", "don't"), ("O'Brien", "O'Brien said"),
    ],
    "identifiers": [
        ("E4012", "error E4012 occurred"), ("e4012", "E4012"), ("foo_bar", "call foo_bar()"), ("foo", "call foo_bar()"),
        ("bar", "foo_bar"), ("foo-bar", "the foo-bar option"), ("foo bar", "foo-bar"), ("v1.2.3", "since v1.2.3."), ("1.2.3", "1.2.3"),
        ("C++", "in C++ and"), ("C#", "C# code"), ("F#", "f# too"), ("node.js", "uses Node.js here"), ("node", "Node.js"),
        ("192.168.0.1", "at 192.168.0.1:8080"), ("192.168.0.1", "ping 192.168.0.1!"), ("src/main.py", "see src/main.py:10"),
        ("main.py", "in src/main.py"), ("/etc/passwd", "cat /etc/passwd"), (r"C:\Windows\System32", r"C:\Windows\System32"),
        ("camelCase", "my camelCase name"), ("case", "camelCase"), ("HTTPServer", "class HTTPServer:"), ("server", "HTTPServer"),
        ("http", "HTTPServerError"), ("__init__", "def __init__(self)"), ("init", "__init__"), ("a@b.org", "mail a@b.org now"),
        ("b.org", "a@b.org"), ("https://example.org/a/b", "see https://example.org/a/b."), ("example.org", "https://example.org/a"),
        ("#hashtag", "a #hashtag"), ("@handle", "by @handle"), ("x86_64", "on x86_64"), ("utf-8", "UTF-8"), ("R&D", "our R&D team"),
        ("3.14", "pi is 3.14"), ("10%", "10% off"), ("½", "½ cup"), ("numpy.linalg.norm", "numpy.linalg.norm(x)"),
    ],
}  # fmt: skip
PROBES = [(group, typed, written) for group, pairs in FOUND.items() for typed, written in pairs]

# Pairs that must not match.
APART = [("й", "и"), ("cat", "dog"), ("北海", "京北"), ("v1.2.3", "w4.5.6"), ("कल", "काल"), ("foo_bar", "fubar")]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with hs.open(tmp_path_factory.mktemp("probes") / "probes.db", embedder="none") as store:
        store.add([hs.Document(id=f"{n}", text=written) for n, (_, _, written) in enumerate(PROBES)])
        yield store


@pytest.mark.parametrize("number", range(len(PROBES)), ids=lambda n: " ".join(PROBES[n][:2]))
def test_a_query_matches_other_forms_of_its_words(store, number):
    group, typed, written = PROBES[number]
    assert store.search(typed, mode="keyword", where={"@id": str(number)}), (group, typed, written)
    assert Analyser().spans(written, Analyser().terms(typed)), "a match must be highlighted"


@pytest.mark.parametrize(("typed", "written"), APART)
def test_different_words_do_not_match(typed, written, tmp_path):
    with hs.open(tmp_path / "apart.db", embedder="none") as store:
        store.add(written)
        assert not store.search(typed, mode="keyword")


@pytest.mark.parametrize(
    ("phrase", "written", "matches"),
    [
        ("high grass", "in the high grass", True),
        ("grass high", "in the high grass", False),
        ("HIGH Grasses", "in the high grass", True),
        ("foo_bar baz", "call foo_bar baz", True),
        ("bar baz", "foo_bar baz", True),
        ("明天去北京", "我明天去北京开会", True),
        ("去明天", "我明天去北京开会", False),
        ("北", "我明天去北京开会", True),
        ("C++", "C++ and C#", True),
        ("C++", "C and C#", False),
        ("version 1.2", "version 1.2.3", True),
        ("the cat's tail", "The cat’s tail", True),
        ("Python 中文", "Python 中文文档", True),
        ("文档 Python", "中文文档 Python", True),
    ],
)
def test_a_phrase_matches_texts_that_contain_it(phrase, written, matches, tmp_path):
    with hs.open(tmp_path / "phrases.db", embedder="none") as store:
        store.add([written, "something else"])
        results = store.search(f'"{phrase}"', mode="keyword")
        bound = not results.trace.notes
        assert bound is matches
        if matches:
            assert [hit.text for hit in results] == [written]


@pytest.mark.parametrize(
    ("language", "typed", "written"),
    [
        ("german", "Haus", "die Häuser"),
        ("french", "cheval", "cheval"),
        ("spanish", "canciones", "canción"),
        ("russian", "книги", "книгу"),
        ("russian", "running", "they run"),
        ("none", "running", "running"),
    ],
)
def test_each_language_has_its_stemmer(language, typed, written):
    analyser = Analyser(language)
    words, compounds = analyser.index(written)
    assert set(analyser.terms(typed)) & set(f"{words} {compounds}".split())


def test_language_none_does_not_stem():
    assert Analyser("none").terms("running cities") == ("running", "cities")


def test_an_unknown_language_is_rejected_with_the_known_ones():
    with pytest.raises(InputError, match="english"):
        Analyser("klingon")
    assert {"none", "english", "german"} <= set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_analyses_every_script(language):
    analyser = Analyser(language)
    for _, typed, _ in PROBES:
        assert analyser.terms(typed) or not any(sign.isalnum() for sign in typed)


def test_terms_repeat_for_different_words_of_one_stem():
    assert Analyser().terms("cluster clustering cluster") == ("cluster", "cluster")


def test_a_very_long_word_is_truncated_alike_in_index_and_query():
    analyser = Analyser()
    words, _ = analyser.index("x" * 5000)
    assert analyser.terms("x" * 5000) == (words,)
    assert len(words) <= 128


def tokens_of(analyser: Analyser, text: str) -> list[str]:
    words, compounds = analyser.index(text)
    return [*words.split(" "), *compounds.split(" "), *analyser.terms(text), *analyser.phrase(text)]


ANY = st.text(st.characters() | st.sampled_from("aAéß _-./+#'’\"*漢字かなカナ한글ไทยمكتबढ़\0\u0301\u200d🙂ﷺ㈀½"))


@settings(max_examples=settings().max_examples * 3)
@given(ANY)
@example("ﷺ a")
@example("㈀㈁")
@example("⑴x")
@example("x\u0301" * 200)
def test_any_text_can_be_analysed(text):
    analyser = Analyser()
    for token in tokens_of(analyser, text):
        assert not set(token.removesuffix("*")) & set(' "*\t\n\r'), repr(token)
    for start, end in analyser.spans(text, analyser.terms(text)):
        assert 0 <= start < end <= len(text)


@pytest.mark.parametrize("stride", [67, pytest.param(1, marks=pytest.mark.thorough)])
def test_tokens_of_every_character_survive_the_index(stride):
    """FTS5 splits at ASCII signs that no token may hold; what is not ASCII it keeps."""
    analyser, fine = Analyser(), set("-_./\\:@+#&")
    wrong = []
    for code in range(0, sys.maxunicode + 1, stride):
        sign = chr(code)
        category = unicodedata.category(sign)
        if category in ("Cn", "Co", "Cs") or "CJK UNIFIED" in unicodedata.name(sign, "") or 0xAC00 <= code <= 0xD7A3:
            continue
        for text in (sign, f"a{sign}b", f"漢{sign}字"):
            for token in tokens_of(analyser, text):
                bare = token.removesuffix("*")
                if any((c.isascii() and not c.isalnum() and c not in fine) or c.isspace() for c in bare):
                    wrong.append((hex(code), text, token))
    assert wrong == []


@settings(max_examples=settings().max_examples * 3 // 2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("aé漢字한 -_."), min_size=1, max_size=30)
)
@example(text="I {")
@example(text="ा")  # a vowel sign of Hindi
@example(text="\U0003d000")  # a letter since Unicode 18
def test_every_word_of_a_text_finds_it(store, text):
    store.add(hs.Document(id="any", text=text), chunk=False)
    for word in {text, *text.split()}:
        terms = store._analyser.terms(word)
        if terms:
            hits = store.search(" ".join(word.split()).lstrip("-"), mode="keyword", where={"@id": "any"})
            assert hits or not store._analyser.terms(word.lstrip("-")), (word, terms)
    assert not [problem for problem in store.check() if "keyword" in problem.what]


def test_the_cache_does_not_change_the_tokens(monkeypatch):
    text = "Running foo_bar v1.2.3 (runs) C++ getHTTPResponse 14th it's 東京 " * 2
    expected = Analyser().index(text)
    monkeypatch.setattr("hybridstore.text.piece_cache._GENERATION", 2)
    forgetful = Analyser()
    for n in range(3):
        assert forgetful.index(text) == expected
        forgetful.index(f"others{n} between{n} them{n}")


@given(
    st.lists(st.sampled_from(["Word", "words,", "a_b", "c++", "--", "x.y/z", "東京", "(1991)", "camelCase", "it's"]))
)
def test_a_text_has_the_tokens_of_its_pieces_in_order(pieces):
    analyser = Analyser()
    alone = [Analyser().index(piece) for piece in pieces]
    words, compounds = (" ".join(filter(None, column)) for column in zip(*alone, strict=True)) if alone else ("", "")
    assert analyser.index(" ".join(pieces)) == (words, compounds)


def test_a_token_has_the_word_of_the_query_that_gives_it():
    typed = Analyser().typed_words('"Valves," leaking decoder.py leaks naïve Straße end-user 東京')
    expected = {
        "valv": "Valves",
        "leak": "leaking",
        "decod": "decoder",
        "py": "py",
        "naiv": "naïve",
        "strass": "Straße",
    }
    assert typed == expected | {"end": "end", "user": "user", "东京": "東京"}


def test_the_first_word_of_a_token_is_found_in_a_text():
    analyser = Analyser()
    assert analyser.word_of("valv", "No Valve-like thing, valves; a valve") == "Valve-like"
    assert analyser.word_of("leak", "valves") is None
