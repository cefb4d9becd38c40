"""Normal forms of words: what is written in several ways and read as one becomes the same, script by script.

The rules are those of Lucene's normalisers for Arabic, Persian, Sorani, Hindi, Bengali and German, of Unicode
(compatibility forms, case folding, decimal digits), and OpenCC's table of traditional and simplified characters.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Literal

# Text with combining marks, unspaced scripts or emoji. For other text (Latin, Greek, Cyrillic) `re` does, which is
# twice as fast as `regex`.
MARKED = re.compile("[\u0300-\u036f\u0483-\u0489\u0590-\u1dff\u20d0-\u20ff\u2190-\u2bff\u2cef-\U0010ffff]")
_MANY_MARKED = re.compile("[\u0300-\u036f\u0483-\u0489\u0590-\u1dff\u20d0-\u20ff\u2cef-\U0010ffff]{31}")

# Soft hyphens, joiners, directional marks, fillers, variation selectors, tags: nobody types them into a query. The
# zero-width joiner stays inside an emoji.
_EMOJI_START = "\u231a-\u23ff\u2600-\u2775\u2794-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
_HIDDEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e01ef"
)
INVISIBLE = re.compile(f"[{_HIDDEN}]|\u200d(?![{_EMOJI_START}])")
_PERHAPS_INVISIBLE = re.compile(f"[{_HIDDEN}\u200d]")  # found in a third of the time
# Persian and Kurdish write a suffix behind a non-joiner, with a space, or joined: here, as behind a hyphen.
_SUFFIX = re.compile("(?<=[\u0600-\u06ff])\u200c(?=[\u0600-\u06ff])")

_TONE = "\U0001f3fb-\U0001f3ff"
_ONE_EMOJI = f"[{_EMOJI_START}][{_TONE}]?"
EMOJI = f"[\U0001f1e6-\U0001f1ff]{{2}}|{_ONE_EMOJI}(?:\u200d{_ONE_EMOJI})*+"
_IS_EMOJI = re.compile(f"[{_EMOJI_START}]")
_TONES = re.compile(f"(?<=.)[{_TONE}]")
_GENDERS = "♀♂"

_LETTERS: dict[str, str | None] = {
    "ø": "o",
    "đ": "d",
    "ł": "l",
    "æ": "ae",
    "œ": "oe",
    "ı": "i",
    "ð": "d",
    "þ": "th",
    "ħ": "h",
    "ŧ": "t",
    # The alef with wasla, and the Arabic, Persian, Urdu and Kurdish forms of heh, yeh and kaf.
    **dict.fromkeys("ہۂھەۀ", "ه") | dict.fromkeys("یےۓې", "ي") | dict.fromkeys("کڪ", "ك") | {"ٱ": "ا", "ۃ": "ة"},
    "װ": "וו",
    "ױ": "וי",
    "ײ": "יי",
    # Letters that stand for an apostrophe: Ukrainian `пʼять`, Hawaiian `ʻokina`.
    **dict.fromkeys("ʼʻʽʾʿꞌ"),
    # Dashes and apostrophes inside a word.
    **dict.fromkeys("‐‑‒–−", "-") | dict.fromkeys("’‘`´′״׳", "'"),
}
_ASCII_SIGN = re.compile("[‐‑‒–−’]")
_ASCII_SIGNS = str.maketrans(dict.fromkeys("‐‑‒–−", "-") | {"’": "'"})
_FOLDED_LETTERS = str.maketrans(_LETTERS)
# Marks that people omit when typing: Latin, Greek and Cyrillic accents, Hebrew points, Arabic vowels. The vowel
# signs of Indic scripts are letters to their readers and stay, as does й, a letter of its own.
_MARKS = re.compile(
    "(?<!\u0438)\u0306|[\u0300-\u0305\u0307-\u036f\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
    "\u06d6-\u06ed\u20d0-\u20ff]"
)
_IOTA_SUBSCRIPT = re.compile("[\u0345\u1f80-\u1fff]")
_DIGIT = re.compile(r"(?![0-9])\d")

# Hindi: long vowels become short ones and chandrabindu anusvara; nukta is left out in every Indic script.
_INDIC = re.compile("[\u0900-\u0d7f]")
_INDIC_LETTERS = str.maketrans(
    {
        **dict.fromkeys("\u093c\u09bc\u0a3c\u0abc\u0b3c\u0cbc\u0981"),
        "\u0901": "\u0902",
        "\u0a01": "\u0a02",
        "\u0a70": "\u0a02",
        "\u0a81": "\u0a82",
        "\u0b01": "\u0b02",
        "ई": "इ",
        "ी": "ि",
        "ऊ": "उ",
        "ू": "ु",
        "ऐ": "ए",
        "ै": "े",
        "औ": "ओ",
        "ौ": "ो",
        "आ": "अ",
        "ऍ": "ए",
        "ऎ": "ए",
        "ॅ": "े",
        "ॆ": "े",
        "ऑ": "ओ",
        "ऒ": "ओ",
        "ॉ": "ो",
        "ॊ": "ो",
        "ঈ": "ই",
        "ী": "ি",
        "ঊ": "উ",
        "ূ": "ু",
        "ণ": "ন",
        "শ": "স",
        "ষ": "স",
        "ৎ": "ত্",
        "ൺ": "ണ്",
        "ൻ": "ന്",
        "ർ": "ര്",
        "ൽ": "ല്",
        "ൾ": "ള്",
        "ൿ": "ക്",
    }
)
# A nasal before a consonant of its own class may be written as a point: हिन्दी, हिंदी.
_NASAL = re.compile("ङ्(?=[क-घ])|ञ्(?=[च-झ])|ण्(?=[ट-ढ])|न्(?=[त-ध])|म्(?=[प-भ])")

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
_UMLAUT = re.compile("[äöüøå]")
_GERMAN = re.compile("(?<=[ao])e|(?<=[^aeiouq]u)e|(?<=^u)e")


def visible(text: str) -> str:
    """Return a text without characters that nobody sees."""
    if text.isascii() or not _PERHAPS_INVISIBLE.search(text):
        return text
    return INVISIBLE.sub("", _SUFFIX.sub("-", text))


def in_ascii(text: str) -> str:
    """Return a text with the ASCII forms of dashes and apostrophes if it is ASCII then, else the text itself."""
    if text.isascii() or not _ASCII_SIGN.search(text):  # translating takes ten times as long as searching
        return text
    plain = text.translate(_ASCII_SIGNS)
    return plain if plain.isascii() and "'." not in plain else text


def visible_places(text: str) -> tuple[str, list[int] | None]:
    """Return the visible text, and where each of its characters is in the text; None for the same places."""
    if text.isascii() or not _PERHAPS_INVISIBLE.search(text):
        return text, None
    suffixes = _SUFFIX.sub("-", text)
    hidden = {match.start() for match in INVISIBLE.finditer(suffixes)}
    places = [place for place in range(len(text)) if place not in hidden]
    return "".join(suffixes[place] for place in places), places


def normal_form(form: Literal["NFC", "NFKC", "NFKD"], text: str) -> str:
    """Return a text in a Unicode normal form, with at most 30 combining marks in a row.

    Sorting n marks takes n² steps, 1.4 s for 32,000; no language has more than a few (Unicode's Stream-Safe Format).
    """
    return unicodedata.normalize(form, _many_marks().sub("", text) if _MANY_MARKED.search(text) else text)


@cache
def _many_marks() -> re.Pattern[str]:
    import regex

    pattern: re.Pattern[str] = regex.compile(r"(?<=\p{M}{30})\p{M}++")
    return pattern


def folded(word: str) -> str:
    """Return a word in lower case, without accents, in the spelling that its other spellings share."""
    if word.isascii():
        return word.lower()
    if _IOTA_SUBSCRIPT.search(word):  # case folding makes it a letter
        word = unicodedata.normalize("NFC", unicodedata.normalize("NFD", word).replace("\u0345", ""))
    word = _MARKS.sub("", normal_form("NFKD", word.casefold().translate(_FOLDED_LETTERS)))
    if _INDIC.search(word):
        word = _NASAL.sub("\u0902", word.translate(_INDIC_LETTERS))
    return normal_form("NFC", _DIGIT.sub(_ascii_digit, word))


class _Folds(dict[int, str]):
    """What characters become when they are folded alone, by code point."""

    def __missing__(self, code: int) -> str:
        self[code] = fold = folded(chr(code))
        return fold


_FOLDS = _Folds()


def folded_letters(word: str) -> str:
    """Return what `folded` does, in a third of the time, for a word that `LETTERS` matches."""
    word = word.translate(_FOLDS)
    if "\u094d" in word:
        word = _NASAL.sub("\u0902", word)
    return unicodedata.normalize("NFC", word)


def _ascii_digit(match: re.Match[str]) -> str:
    return str(unicodedata.decimal(match[0]))


def spelt_out(word: str) -> str | None:
    """Return a word with its umlauts written as two letters, as in Mueller, Aarhus; None if it has none."""
    word = word.lower()
    return word.translate(_UMLAUTS) if _UMLAUT.search(word) else None


def german(word: str) -> str:
    """Return a folded German word with ae, oe and ue written as the umlauts are: muller for mueller, but quelle."""
    return _GERMAN.sub("", word)


def unspaced(text: str) -> str:
    """Return a run of unspaced script with simplified characters, and one vowel sign where Thai was typed with two."""
    return "".join(simplified(text)).replace("\u0e40\u0e40", "\u0e41")


def simplified(text: str) -> list[str]:
    """Return the characters of a text, simplified ones for traditional ones."""
    return list(map(_simplified().get, text, text))


@cache
def _simplified() -> dict[str, str]:
    path = Path(__file__).parent / "data" / "simplified.txt"
    return dict(zip(*path.read_text("utf-8").split(), strict=True))


def is_emoji(character: str) -> bool:
    """Return whether an emoji starts with this character."""
    return character > "\u2319" and _IS_EMOJI.match(character) is not None


def emoji_forms(emoji: str) -> list[str]:
    """Return an emoji, the same without skin tones, and the emoji that it is composed of."""
    plain = _TONES.sub("", emoji)
    parts = [part for part in plain.split("\u200d") if part not in _GENDERS]
    return list(dict.fromkeys([emoji, plain, *parts]))
