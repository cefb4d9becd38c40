"""Encodings: what is not UTF-8 is read as what it declares or as a guess that is reported, or refused."""

from __future__ import annotations

import json
import random
import unicodedata
import zlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hybridstore
from hybridstore.errors import InputError
from hybridstore.ingest import Unreadable, read, sync
from hybridstore.ingest.readers.encodings import checked_encoding, is_binary

LANGUAGES = json.loads((Path(__file__).parent / "texts_in_encodings.json").read_text(encoding="utf-8"))
TEXTS = {language: entry["text"] for language, entry in LANGUAGES.items()}
UNICODE = "utf-8 utf-8-sig utf-16 utf-16-le utf-16-be utf-32 utf-32-le utf-32-be"
ENCODINGS = {language: f"{entry['encodings']} {UNICODE}".split() for language, entry in LANGUAGES.items()}
SIZES = (60, 200, 1000)


def encoded(language, encoding, size):
    """Return at most `size` bytes of whole characters of a text."""
    text = TEXTS[language]
    if language == "Romanian" and encoding in {"cp1250", "iso8859-2", "cp852"}:
        text = text.translate({ord("ț"): "ţ", ord("ș"): "ş"})
    if encoding == "cp1258":
        text = "".join(map(with_tone_apart, unicodedata.normalize("NFC", text)))
    text = " ".join([text] * (1 + 4 * size // len(text)))
    low, high = 0, min(len(text), size)
    while low < high:
        middle = (low + high + 1) // 2
        fits = len(text[:middle].encode(encoding, "ignore")) <= size
        low, high = (middle, high) if fits else (low, middle - 1)
    return text[:low].encode(encoding, "ignore")


def with_tone_apart(letter):
    tones = "".join(mark for mark in unicodedata.normalize("NFD", letter) if mark in "\u0300\u0301\u0303\u0309\u0323")
    bare = "".join(mark for mark in unicodedata.normalize("NFD", letter) if mark not in tones)
    return unicodedata.normalize("NFC", bare) + tones


def read_bytes(folder, data, name="a.txt", **options):
    path = folder / name
    path.write_bytes(data)
    notices = []
    try:
        (document,) = read(path, notice=notices.append, **options)
    except Unreadable as error:
        return None, error.reason
    return document.text, "; ".join(notices)


def outcome(folder, data, encoding):
    text, notice = read_bytes(folder, data)
    if text is None:
        return "refused"
    right = text == data.decode(encoding)
    return ("right" if right else "wrong") + (", guessed" if notice else "")


def test_no_encoding_is_silently_read_wrongly(tmp_path):
    counts = Counter()
    for language, encodings in ENCODINGS.items():
        for encoding in encodings:
            outcomes = [outcome(tmp_path, encoded(language, encoding, size), encoding) for size in SIZES]
            counts.update(outcomes)
            print(f"{language:20}{encoding:15}{'  '.join(f'{result:15}' for result in outcomes)}")  # noqa: T201
    different, total = len(set().union(*ENCODINGS.values())), sum(counts.values())
    print(f"{different} encodings in {len(TEXTS)} languages, {total} files: {dict(counts)}")  # noqa: T201
    assert different >= 70
    assert counts["wrong"] == 0
    assert counts["wrong, guessed"] <= 0.01 * total
    assert counts["refused"] <= 0.01 * total


@pytest.mark.parametrize("damage", [b"\xff", b"\xe4", b"\x80", b"\xc3", b"\xf0\x9f\x98"])
def test_a_bad_byte_leaves_the_rest_of_utf_8_as_it_is(tmp_path, damage):
    text = "Größe und Maß, naïve café. " * 40
    half = text.encode()[:540]
    assert read_bytes(tmp_path, half + damage + b" " + half) == (
        half.decode() + "\ufffd " + half.decode(),
        "is UTF-8 but for a byte, read as U+FFFD",
    )


def test_a_file_cut_within_a_character_is_utf_8(tmp_path):
    text, notice = read_bytes(tmp_path, "Der Weg führt über die Brücke, drei Kilometer weit, zur Mühle".encode()[:-4])
    assert text.startswith("Der Weg führt über")
    assert notice == "is UTF-8 but for a byte, read as U+FFFD"


@pytest.mark.parametrize(
    ("name", "head", "encoding", "language"),
    [
        ("a.py", "# -*- coding: koi8-r -*-\nprint('{}')\n", "koi8-r", "Russian"),
        ("b.py", "#!/usr/bin/python\n# vim: set fileencoding=cp1251 :\nprint('{}')\n", "cp1251", "Russian"),
        ("c.txt", "{}\n# vim: set fenc=iso-8859-2 ts=4:\n", "iso8859-2", "Polish"),
        ("d.xml", "<?xml version='1.0' encoding='windows-1253'?>\n<a><b>{}</b></a>", "cp1253", "Greek"),
        ("e.html", '<html><head><meta charset="shift_jis"></head><body>{}</body></html>', "shift_jis", "Japanese"),
        (
            "f.html",
            "<meta http-equiv=Content-Type content='text/html; charset=x-sjis'><p>{}</p>",
            "shift_jis",
            "Japanese",
        ),
        ("g.css", '@charset "big5";\n/* {} */', "big5", "Traditional Chinese"),
        ("h.tex", "\\usepackage[latin2]{{inputenc}}\\begin{{document}}{}\\end{{document}}", "iso8859-2", "Czech"),
        ("i.po", 'msgid ""\nmsgstr "Content-Type: text/plain; charset=EUC-KR\\n"\n# {}\n', "euc_kr", "Korean"),
        ("j.rb", "# encoding: gb2312\nputs '{}'\n", "gb18030", "Simplified Chinese"),
    ],
)  # fmt: skip
def test_the_declared_encoding_is_used(tmp_path, name, head, encoding, language):
    words = TEXTS[language][:20].strip()
    text, _ = read_bytes(tmp_path, head.format(words).encode(encoding), name)
    assert words in text


def test_a_declaration_that_does_not_fit_is_ignored(tmp_path):
    text, notice = read_bytes(tmp_path, f"# coding: utf-8\n{TEXTS['Russian']}".encode("cp1251"), "a.py")
    assert TEXTS["Russian"] in text
    assert notice == "read as windows-1251 (guessed)"
    text, notice = read_bytes(tmp_path, f"# coding: latin-1\n{TEXTS['German']}".encode(), "b.py")
    assert TEXTS["German"] in text
    assert not notice
    text, _ = read_bytes(tmp_path, f"<?xml version='1.0'?><a>{TEXTS['Russian']}</a>".encode("cp1251"), "c.xml")
    assert TEXTS["Russian"] in text


@pytest.mark.parametrize("words", ["café", "Größe: 5 µm", "naïve idea", "Price: £20", "El Niño", "It’s “quoted” – so"])
def test_a_few_accents_in_a_short_text_are_western_european(tmp_path, words):
    assert read_bytes(tmp_path, words.encode("cp1252")) == (words, "read as windows-1252 (guessed)")


def test_an_uncertain_encoding_is_refused_with_the_option_that_names_it(tmp_path):
    data = TEXTS["Romanian"].encode("mac-romanian")
    text, reason = read_bytes(tmp_path, data)
    assert text is None
    assert reason.endswith("; name it by `encoding` (--encoding)")
    assert read_bytes(tmp_path, data, encoding="mac-romanian") == (TEXTS["Romanian"], "")


def test_a_named_encoding_leaves_utf_8_alone_and_must_fit(tmp_path):
    assert read_bytes(tmp_path, "Größe".encode(), encoding="shift_jis") == ("Größe", "")
    assert read_bytes(tmp_path, b"\xef\xbb\xbfSize", encoding="shift_jis") == ("Size", "")
    assert read_bytes(tmp_path, "日本".encode("utf-16-be"), encoding="utf-16-be") == ("日本", "")
    assert read_bytes(tmp_path, b"Mot+AOk-", encoding="utf-7") == ("Moté", "")
    assert read_bytes(tmp_path, b"A\x81\x20B\xff", encoding="shift_jis")[1].startswith("is not valid CP932")
    for name in ("no-such", "base64", "punycode", "é", ""):
        with pytest.raises(InputError, match="there is no encoding"):
            read(tmp_path / "a.txt", encoding=name)


def test_names_are_those_of_python_iana_and_the_web():
    names = {"windows-1251": "cp1251", "X-SJIS": "shift_jis", "latin1": "iso8859-1", "iso-8859-8-i": "iso8859-8"}
    assert {name: checked_encoding(name) for name in names} == names


def test_a_folder_is_read_again_in_the_encoding_that_is_named(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.txt").write_bytes(TEXTS["Romanian"].encode("mac-romanian"))
    (folder / "b.txt").write_bytes(TEXTS["Russian"].encode("koi8-r"))
    (folder / "c.txt").write_text(TEXTS["German"], encoding="utf-8")
    with hybridstore.open(":memory:") as store:
        report = sync(store, folder)
        assert [(path[-5:], reason[:13]) for path, reason in report.failed] == [("a.txt", "is not UTF-8 ")]
        assert [(path[-5:], notice) for path, notice in report.notices] == [("b.txt", "read as koi8-r (guessed)")]
        report = sync(store, folder, encoding="mac-romanian")
        assert not report.failed
        assert (report.documents.added, report.documents.replaced, report.documents.unchanged) == (1, 1, 1)
        assert store.search("Muzeul")[0].document_id.endswith("a.txt")


@pytest.mark.parametrize("rows", [3, 40_000])
def test_tables_are_decoded_like_texts(tmp_path, rows):
    table = "город;население\n" + "".join(f"Москва {n};{n}\n" for n in range(rows)) + "Тула;5\n"
    path = tmp_path / "a.csv"
    path.write_bytes(table.encode("cp1251"))
    notices = []
    documents = list(read(path, notice=notices.append))
    assert documents[-1].text == "город: Тула\nнаселение: 5"
    assert notices[0] == "read as windows-1251 (guessed)"
    path.write_bytes(b"name;place\nJos\xe9;K\xc3\xb6ln\nM\xc3\xbcller;Ulm\n")
    assert [document.text.splitlines()[0] for document in read(path)] == ["name: Jos\ufffd", "name: Müller"]


def test_binary_data_is_not_text(tmp_path):
    rng = random.Random(7)
    letters = zlib.compress(bytes(rng.choices(b"abcdefgh ", k=3000)))
    kinds = {
        "random": rng.randbytes(3000),
        "random without NUL": rng.randbytes(3000).replace(b"\0", b"x"),
        "compressed without NUL": letters.replace(b"\0", b""),
        "small numbers": b"".join(n.to_bytes(2, "little") for n in range(1, 2000)),
        "floats": b"".join(n.to_bytes(4, "big") for n in range(10**9, 10**9 + 40_000, 33)),
        "controls": bytes(range(1, 9)) * 40 + b"text",
        "record with NUL": b"NAME\0\0\0\0\x01\x00\x02\x00" * 9,
    }
    for kind, data in kinds.items():
        assert read_bytes(tmp_path, data)[0] is None, kind
        assert kind in {"random without NUL", "compressed without NUL", "floats"} or is_binary(data), kind


SIGNATURES = {
    "zip": b"PK\x03\x04",
    "gzip": b"\x1f\x8b\x08",
    "OLE": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "JPEG": b"\xff\xd8\xff\xe0",
    "ELF": b"\x7fELF\2\1\1\0",
    "SQLite": b"SQLite format 3\0",
    "7z": b"7z\xbc\xaf\x27\x1c",
    "MP4": b"\0\0\0\x18ftypisom\0",
}


@pytest.mark.parametrize("encoding", [None, "cp1251", "utf-16-be"])
@pytest.mark.parametrize("sign", SIGNATURES)
def test_binary_files_are_not_text_whatever_follows_their_first_bytes(tmp_path, sign, encoding):
    for body in (b"\x14\0", b"\0\x14", b"\x14\x15", b"A\0", b"\x04\x30", b"text and words, ", b"\x30\0\0\0"):
        for name in ("a.txt", "a.md", "a.py", "a.html", "a.csv"):
            data = SIGNATURES[sign] + body * 200
            path = tmp_path / name
            path.write_bytes(data)
            with pytest.raises(Unreadable, match="is a binary file"):
                list(read(path, encoding=encoding))
            assert is_binary(data)


def test_numbers_are_not_letters_of_two_or_four_bytes(tmp_path):
    rng = random.Random(5)
    for low in (0x0400, 0x0430, 0x0E01, 0x1200, 0x1400, 0xAC00):
        for count in (1, 2, 30):
            for size, order in ((2, "little"), (2, "big"), (4, "little"), (4, "big")):
                data = b"".join((low + rng.randrange(count)).to_bytes(size, order) for _ in range(300))
                text, reason = read_bytes(tmp_path, data)
                assert text is None, (hex(low), count, size, order, reason)


def test_controls_after_a_mark_are_binary(tmp_path):
    for mark, size in ((b"\xff\xfe", 2), (b"\xef\xbb\xbf", 1), (b"\xff\xfe\0\0", 4)):
        data = mark + b"".join(n.to_bytes(size, "little") for n in (1, 2, 3, 65)) * 100
        assert read_bytes(tmp_path, data) == (None, "is a binary file (it contains control characters)")
        assert is_binary(data)


def test_a_stray_nul_is_a_space(tmp_path):
    data = b"One line of a log.\n" * 30 + b"A\0B\n"
    text, notice = read_bytes(tmp_path, data)
    assert text == data.decode().replace("\0", " ")
    assert notice == "has a NUL character, read as a space"


@given(data=st.binary(min_size=1, max_size=300))
def test_any_bytes_are_text_or_refused(tmp_path_factory, data):
    text, _ = read_bytes(tmp_path_factory.getbasetemp(), data, "any.txt")
    assert text is None or text
