"""Spellings: a word is found however it is written, in every script, and other words are not."""
# ruff: noqa: E501 - the tables are read group by group, and their signs are the point

import pytest

import hybridstore as hs
from hybridstore.text.analysis import Analyser
from hybridstore.text.normalisation import visible_places
from hybridstore.text.word_forms import OTHER_SPELLING

# (text, query), either way round.
SAME = {
    "invisible characters": [
        ("exam\u00adple", "example"), ("exam\u200bple", "example"), ("exam\u200cple", "example"), ("exam\u2060ple", "example"),
        ("\ufeffexample", "example"), ("\u200eexample\u200f", "example"), ("\u202aexample\u202c", "example"), ("東\u200b京", "東京"),
        ("葛\U000e0100城市", "葛城市"), ("ภาษา\u200bไทย", "ภาษาไทย"), ("foo_\u200bbar", "foo_bar"), ("\u2066שלום\u2069", "שלום"),
        ("क्\u200dषेत्र", "क्षेत्र"),
    ],
    "compatibility forms": [
        ("ｶﾞｷﾞ", "ガギ"), ("ﾃﾞｰﾀﾍﾞｰｽ", "データベース"), ("ＡＢＣ－１２３４", "ABC-1234"), ("ﬂoor", "floor"), ("m²", "m2"), ("CO₂", "CO2"),
        ("Ⅻ", "xii"), ("２０２４", "2024"), ("ℌello", "hello"), ("ﻻ", "لا"), ("カ\u3099", "ガ"),
    ],
    "camel case": [
        ("sha256Hash", "sha256"), ("sha256Hash", "hash"), ("k8sCluster", "cluster"), ("k8sCluster", "k8s"), ("OAuth2Token", "oauth2"),
        ("OAuth2Token", "oauth"), ("OAuth2Token", "token"), ("HTTPServer2", "HTTPServer"), ("HTTPServer2", "httpserver"),
        ("HTTPServer2", "server"), ("getURLForID", "url"), ("getURLForID", "id"), ("fooBar", "foo_bar"), ("foo-bar", "fooBar"),
        ("iPhone12Pro", "iphone"),
    ],
    "chinese": [("臺灣", "台湾"), ("軟體開發", "软体开发"), ("圖書館", "图书馆"), ("漢語", "汉语"), ("開會", "开会")],
    "arabic": [
        ("أحمد", "احمد"), ("إسلام", "اسلام"), ("آدم", "ادم"), ("مدرسة", "مدرسه"), ("موسى", "موسي"), ("كتـــاب", "كتاب"), ("مُحَمَّد", "محمد"),
        ("ٱلله", "الله"), ("٢٠٢٤", "2024"),
    ],
    "persian, urdu, kurdish": [
        ("کتاب", "كتاب"), ("ایران", "ايران"), ("می‌خواهم", "میخواهم"), ("کتاب‌ها", "کتاب"), ("خانۀ", "خانه"), ("ہم", "هم"), ("۱۲۳۴", "1234"),
    ],
    "hindi, bengali, malayalam": [
        ("हिन्दी", "हिंदी"), ("ज़रूरत", "जरूरत"), ("चाँद", "चांद"), ("हिन्दी", "हिन्दि"), ("सम्बन्ध", "संबंध"), ("२०२४", "2024"), ("চাঁদ", "চাদ"), ("ন\u09bc", "ন"),
        ("ൻ", "ന്\u200d"), ("বাড়ী", "বাড়ি"),
    ],
    "hebrew": [("שָׁלוֹם", "שלום"), ('צה"ל', "צהל"), ("צה״ל", "צהל"), ("ג׳ירפה", "גירפה")],
    "cyrillic": [("ёжик", "ежик"), ("п'ять", "пять"), ("п’ять", "пʼять"), ("ещё", "ЕЩЕ")],
    "greek": [("Οδυσσεύς", "οδυσσευσ"), ("Αθήνα", "ΑΘΗΝΑ"), ("τῷ", "τω"), ("ἄνθρωπος", "άνθρωπος")],
    "latin": [
        ("Müller", "Mueller"), ("Müller", "Muller"), ("Straße", "Strasse"), ("Århus", "Aarhus"), ("København", "Koebenhavn"), ("Göteborg", "Goeteborg"),
        ("Diyarbakır", "diyarbakir"), ("İzmir", "izmir"), ("Łódź", "lodz"), ("Ħamrun", "hamrun"), ("Nguyễn", "nguyen"), ("Hawaiʻi", "hawaii"),
        ("Hawai'i", "hawaii"), ("Dvořák", "Dvorak"),
    ],
    "thai, korean": [("เเมว", "แมว"), ("๒๕๖๗", "2567"), ("서울에서", "서울"), ("한글", "\u1112\u1161\u11ab\u1100\u1173\u11af")],
    "hyphens and apostrophes": [
        ("e-mail", "email"), ("e-mails", "email"), ("Wi-Fi", "wifi"), ("Wi‑Fi", "wifi"), ("Wi–Fi", "wi-fi"), ("don't", "dont"), ("don’t", "dont"),
        ("can‘t", "cant"), ("O'Brien", "OBrien"), ("O’Brien", "O'Brien"), ("rock'n'roll", "rocknroll"), ("web-site", "website"), ("Qur'an", "Quran"),
    ],
    "abbreviations and names": [
        ("U.S.A.", "USA"), ("U.S.S.R.", "USSR"), ("Ph.D.", "PhD"), ("C++", "c++"), ("C#", "c#"), ("F#", "f#"), (".NET", ".net"), ("(.env)", ".env"),
        ("node.js", "Node.js"), ("node.js", "nodejs"), ("ASP.NET", "aspnet"), ("UTF-8", "utf8"), ("COVID-19", "covid19"), ("x86_64", "x86_64"),
    ],
    "numbers and quantities": [
        ("10kg", "10 kg"), ("3.5 GHz", "3.5GHz"), ("20 °C", "20°C"), ("5 µm", "5µm"), ("1,000,000", "1000000"), ("1.000.000", "1000000"),
        ("1 000 000", "1000000"), ("1\u00a0000\u202f000", "1000000"), ("1'000'000", "1000000"), ("1’000’000", "1000000"), ("1_000_000", "1000000"),
        ("10,000", "10000"), ("10 000", "10000"), ("$1,234.50", "1234.50"),
    ],
    "ids": [
        ("ABC-1234", "ABC1234"), ("ABC_1234", "abc-1234"), ("ABC 1234", "ABC1234"), ("978-3-16-148410-0", "9783161484100"), ("978 3 16 148410 0", "9783161484100"),
        ("0-306-40615-X", "030640615X"), ("DE89 3704 0044 0532 0130 00", "DE89370400440532013000"), ("2024-01-15", "20240115"),
        ("+49 30 123456", "4930123456"), ("(030) 123 4567", "0301234567"), ("555-123-4567", "5551234567"), ("555.123.4567", "5551234567"),
        ("ISO 9001", "ISO9001"), ("4111 1111 1111 1111", "4111111111111111"),
    ],
    "emoji": [
        ("great 🎉 news", "🎉"), ("👍🏽", "👍"), ("👍", "👍🏿"), ("👩\u200d💻", "👩\u200d💻"), ("👩\u200d💻", "💻"), ("❤\ufe0f", "❤"), ("🇩🇪", "🇩🇪"), ("ok👍", "👍"),
        ("1\ufe0f\u20e3", "1"),
    ],
}  # fmt: skip
PAIRS = [(group, text, query) for group, pairs in SAME.items() for text, query in pairs]

APART = [
    ("1.2.3", "123"), ("10-20", "1020"), ("192.168.0.1", "19216801"), ("3.142", "3142"), ("कल", "काल"), ("й", "и"), ("re-sign", "design"),
    ("🎉", "👍"), ("🇩🇪", "🇫🇷"), ("she'll", "shell"), ("we're", "were"), ("C++", "C#"), ("台北", "北台"), ("ガギ", "カキ"),
    ("12, 34, 567", "1234567"), ("Poet", "pot"), ("blue", "blu"),
]  # fmt: skip


# Numbers in several pieces: (text, word), and whether they are the same number.
ONE_NUMBER = [
    ("1 000 000", "1000000"), ("1,000,000", "1000000"), ("1.000.000", "1000000"), ("1_000_000", "1000000"), ("1 000 000.", "1000000"),
    ("in 12 000 cases", "12000"), ("10 000", "10000"), ("12 345 678", "12345678"), ("1 234 567,50", "1234567.50"), ("1\u00a0000\u00a0000", "1000000"),
    ("2 345 678 kg", "2345678kg"), ("10 kg", "10kg"), ("3,5 kg", "3.5kg"), ("of 10 kg or", "10kg"), ("१ ००० ०००", "1000000"), ("1\u2009000\u2009000", "1000000"),
    ("+49 30 123456", "4930123456"), ("+1 555 123 4567", "15551234567"), ("(030) 123 4567", "0301234567"), ("(555) 123 4567", "5551234567"), ("555 123 4567", "5551234567"),
    ("01 23 45 67 89", "0123456789"), ("0171 2345678", "01712345678"), ("1 800 555 1234", "18005551234"), ("+33 1 23 45 67 89", "33123456789"),
    ("4111 1111 1111 1111", "4111111111111111"), ("3782 822463 10005", "378282246310005"), ("978 3 16 148410 0", "9783161484100"), ("0 306 40615 2", "0306406152"),
    ("123 45 6789", "123456789"), ("2024 01 15", "20240115"), ("DE89 3704 0044 0532 0130 00", "DE89370400440532013000"), ("GB29 NWBK 6016 1331 9268 19", "GB29NWBK60161331926819"),
    ("ABC 1234", "ABC1234"), ("ISO 9001:2015", "ISO9001"), ("see DIN 5008.", "DIN5008"), ("ABC 123 456", "ABC123456"), ("555-123-4567", "5551234567"),
]  # fmt: skip
MANY_NUMBERS = [
    ("1, 2 345 678", "12345678"), ("0.05 (20.7%). 42%", "00520742"), ("0.05 20.7 42", "00520742"), ("12345 0.05", "12345005"), ("3 100, 4 200", "31004200"),
    ("12 345 678 90", "1234567890"), ("12 345 678 90", "12345678"), ("2019 2020", "20192020"), ("1914 1918 1939", "191419181939"), ("2017 2018 2019 2020", "2017201820192020"),
    ("10 20 30 40 50", "1020304050"), ("1 2 3 4 5 6 7 8", "12345678"), ("12345 678901", "12345678901"), ("100\t200\t300", "100200300"), ("100  200  300", "100200300"),
    ("1\n000\n000", "1000000"), ("10-20 30-40", "10203040"), ("1999; 2000 001", "1999001"), ("3.14159 2.71828", "314159271828"), ("10 000-20 000", "1000020000"),
    ("0 05 20 7 1234", "0052071234"), ("9 999 99", "999999"), ("4 10 2024 12", "410202412"), ("IN 2019 2020", "IN20192020"),
]  # fmt: skip


def matches(text: str, query: str, language: str = "english") -> bool:
    """Return whether the text has all of the query's tokens, or the one form that both share."""
    analyser = Analyser(language)
    there = set(" ".join(analyser.index(text)).split())
    wanted = analyser.terms(query)
    plain = {term for term in wanted if not term.endswith("*")}
    starts = {term[:-1] for term in wanted if term.endswith("*")}
    whole = {*analyser.index(query)[1].split(), *(term for term in wanted if term.endswith(OTHER_SPELLING))}
    if plain <= there and all(any(token.startswith(start) for token in there) for start in starts):
        return bool(wanted)
    return bool(whole & there)


@pytest.mark.parametrize(("group", "text", "query"), PAIRS, ids=range(len(PAIRS)))
def test_a_spelling_matches_another_both_ways(group, text, query):
    assert matches(text, query), (group, text, query, Analyser().index(text), Analyser().terms(query))
    analyser = Analyser()
    spans = analyser.spans(f"so: {text} etc", analyser.terms(query))
    assert spans, "what matches is highlighted"
    assert all(3 < start < end <= 4 + len(text) for start, end in spans)


@pytest.mark.parametrize(("text", "query"), APART, ids=range(len(APART)))
def test_other_words_do_not_match(text, query):
    assert not matches(text, query)


@pytest.mark.parametrize(("text", "word"), ONE_NUMBER, ids=range(len(ONE_NUMBER)))
def test_a_number_in_several_pieces_is_found_as_one_word_and_the_other_way_round(text, word):
    assert matches(text, word), Analyser().index(text)
    assert matches(word, text), Analyser().index(text)


@pytest.mark.parametrize(("text", "word"), MANY_NUMBERS, ids=range(len(MANY_NUMBERS)))
def test_numbers_that_only_stand_side_by_side_are_not_joined(text, word):
    analyser = Analyser()
    joined = word.lower()
    assert joined not in analyser.index(text)[1].split()
    assert joined not in analyser.terms(text)
    assert not matches(text, word)


def test_a_store_finds_every_spelling(tmp_path):
    with hs.open(tmp_path / "spellings.db", embedder="none") as store:
        store.add([hs.Document(id=str(n), text=text) for n, (_, text, _) in enumerate(PAIRS)])
        missed = [
            (text, query)
            for n, (_, text, query) in enumerate(PAIRS)
            if not store.search(query, mode="keyword", where={"@id": str(n)})
        ]
        assert not missed
        assert not store.check()


@pytest.mark.parametrize(
    "spellings",
    [
        ("Müller", "Mueller"),
        ("Århus", "Aarhus"),
        ("größte", "groesste"),
        ("Öl", "oel"),
        ("مدرسة", "مدرسه"),
        ("موسى", "موسي"),
    ],
)
@pytest.mark.parametrize("written", [0, 1])
@pytest.mark.parametrize("typed", [0, 1])
def test_a_word_that_has_two_spellings_counts_once(spellings, written, typed):
    tokens = " ".join(Analyser().index(spellings[written])).split()
    assert len([term for term in Analyser().terms(spellings[typed]) if term in tokens]) == 1


def test_particles_have_no_other_spelling():
    assert Analyser().index("على إلى متى به")[1] == ""


def test_terms_for_spellings_in_no_passage_are_not_shown():
    with hs.open(":memory:", embedder="none") as store:
        store.add(["Mueller came", "Müller came", "the true poet"])
        assert [term.text for term in store.search("poet").trace.terms] == ["poet"]
        terms = store.search("mueller").trace.terms
        assert [(term.text, term.word, term.document_frequency) for term in terms] == [
            ("mueller", "mueller", 1), ("mueller¨", "mueller", 1),
        ]  # fmt: skip


def test_german_stores_write_umlauts_as_people_do_without():
    for text, query in [("Häuser", "Haeuser"), ("Müllers", "Mueller"), ("Öl", "Oel"), ("Quelle", "Quelle")]:
        assert matches(text, query, "german")


def test_elided_articles_stay_apart_where_the_language_elides():
    assert Analyser("french").index("l'homme")[1] == ""


def test_phrases_go_across_emoji_and_invisible_characters():
    analyser = Analyser()
    assert analyser.phrase("great 🎉 ne\u00adws") == analyser.phrase("great news")
    assert analyser.phrase("🎉") == ("🎉",)
    assert analyser.phrase(".NET") == (".net",)


def test_visible_places_lead_back_to_the_text():
    text = "a\u00adb\u200bc"
    seen, places = visible_places(text)
    assert (seen, places) == ("abc", [0, 2, 4])
    analyser = Analyser()
    assert analyser.spans(f"x {text} y", analyser.terms("abc")) == [(2, 7)]


def test_a_number_in_several_pieces_is_one_span():
    analyser = Analyser()
    assert analyser.spans("have 1 000 000, or so", analyser.terms("1000000")) == [(5, 14)]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("0.05, (20.7%). of 42%", ("0 05 20 7 of 42", "0.05 20.7")),
        ("1.000, or 3.000%", ("1 000 or 3 000", "1000 3000")),
        ("kg) 12", ("kg 12", "")),
        ("cell–cell CD33’s 38–83 38-83", ("cell cell cd33 38 83 38 83", "cellcel 38-83 38-83")),
        ("or 2 345 678 kg", ("or 2 345 678 kg", "2345678 2345678kg")),
        ("3DFC 5kg eGFR", ("3dfc 5kg egfr", "5 kg gfr egfr")),
    ],
)
def test_the_short_ways_of_common_pieces_give_what_the_long_way_does(text, tokens):
    assert Analyser().index(text) == tokens
