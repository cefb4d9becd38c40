"""Raw tokens: the patterns that cut a text into words, names and runs of unspaced script, and find their parts."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from operator import add
from typing import NamedTuple

from hybridstore.text.normalisation import EMOJI, MARKED, normal_form, simplified, unspaced
from hybridstore.text.word_forms import JOIN

# Underscores are taken from the run's start and never given back: from each of n it would take n²/2 steps. A dot
# belongs to a name that begins with it, `.NET` or `.env`.
_LEAD = r"(?:(?<!_)_++|(?<![^\s(\[{\"'])\.(?=[^\W\d_]))?"
_TAIL = r"(?:_++|\+\+|\#)?(?:['’]s\b)?"
_RAW_SIMPLE = re.compile(rf"{_LEAD}[^\W_]++(?:{JOIN}[^\W_]++)*+{_TAIL}")
EDGES = '.,;:()[]{}"!?'  # never part of a token when around a word

# A piece that is one word of letters which are folded one by one: Latin, Greek, Cyrillic and Armenian, whose case may
# divide words, or Hebrew, Arabic and Indic. A dot before a word is part of it.
_CASED = (
    "a-zA-Z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u0131\u0134-\u013e\u0141-\u0148\u014a-\u017e\u1ea0-\u1ef9"
    "\u0388-\u038a\u038e-\u03a1\u03a3-\u03ce\u0400-\u0481\u048a-\u052f\u0531-\u0556\u0561-\u0586"
)
_CASELESS = "\u05d0-\u05ea\u0621-\u063a\u0640-\u0655\u0670-\u0673\u0679-\u06d3\u0900-\u0963\u0971-\u0980"
_AROUND = "“”„«»‘’…—،؛؟।"
LETTERS = re.compile(
    rf"[,;:()\[\]{{}}\"!?{_AROUND}]*+(?:([{_CASED}]++)|([{_CASELESS}]++))[.,;:()\[\]{{}}\"!?{_AROUND}]*+"
)
# Characters of unspaced scripts that are units by themselves, in their compatibility form.
_UNITS = re.compile("[\u3041-\u3096\u30a1-\u30fa\u30fc-\u30fe\u4e00-\u9fd5\uac00-\ud7a3]+")


class TokenPatterns(NamedTuple):
    """Patterns for the inside of a raw token: its words, and the humps of camel case."""

    part: re.Pattern[str]
    camel: re.Pattern[str]
    hump: re.Pattern[str]


ASCII = TokenPatterns(
    re.compile("[A-Za-z0-9]+"),
    re.compile("[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+[a-z0-9]*|[A-Z]+[0-9]*|[0-9]+"),
    re.compile("[a-z][A-Z]|[0-9][A-Z][a-z]|[A-Z][A-Z][a-z]"),
)


class _Scripts:
    """The patterns for all of Unicode, compiled only for text that needs them, as this takes 30 ms."""

    def __init__(self) -> None:
        import regex

        # Thai, Lao, Khmer and Burmese without their digits; the marks of half-width katakana.
        clustered = (
            "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecf\u0edc-\u0edf\u1780-\u17d3\u17d7\u17dc\u17dd"
            "\u1000-\u103f\u104c-\u108f\u109a-\u109d\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa7f"
        )
        paired = rf"\p{{Han}}\p{{Hiragana}}\p{{Katakana}}\p{{Hangul}}ー\uff70\uff9e\uff9f{clustered}"
        word = rf"(?:(?![{paired}])[\p{{L}}\p{{M}}\p{{N}}])++"
        self.paired = regex.compile(rf"[{paired}]")
        self.clustered = regex.compile(f"[{clustered}]")  # a letter with its marks is one unit
        self.cluster = regex.compile(r"\X")
        join = rf"(?:{JOIN}|(?<=\p{{Hebrew}})\"(?=\p{{Hebrew}}))"  # `צה"ל`, an abbreviation
        joined = rf"{_LEAD}{word}(?:{join}{word})*+{_TAIL}"
        self.raw = regex.compile(rf"{EMOJI}|[{paired}][{paired}\p{{M}}]*+|{joined}")
        # Compatibility forms may contain characters that no token has: `⑴` is `(1)`, and `ﷺ` is four words.
        self.unkept = regex.compile(r"[^\p{L}\p{M}\p{N}\-_./\\:@+#&⁄‐‑‒–−,\"'’‘´`ʼ′״׳]+")
        self.inside = TokenPatterns(
            regex.compile(r"[\p{L}\p{M}\p{N}]+"),
            regex.compile(r"\p{Lu}+(?=\p{Lu}\p{Ll})|\p{Lu}?\p{Ll}[\p{Ll}\p{N}]*|\p{Lu}+\p{N}*|\p{N}+"),
            regex.compile(r"\p{Ll}\p{Lu}|\p{N}\p{Lu}\p{Ll}|\p{Lu}\p{Lu}\p{Ll}"),
        )


scripts = cache(_Scripts)


def raw_pattern(text: str) -> re.Pattern[str]:
    """Return the pattern of the raw tokens of a text."""
    return _RAW_SIMPLE if text.isascii() or not MARKED.search(text) else scripts().raw


@lru_cache(maxsize=4096)
def is_paired(character: str) -> bool:
    """Return whether a run of unspaced script starts with this character."""
    return scripts().paired.match(character) is not None


def is_run_of_pairs(raw: str) -> bool:
    """Return whether a raw token is a run of unspaced script."""
    return raw[0] > "\u0dff" and is_paired(raw[0])


def plain(raw: str) -> str:
    """Return the compatibility form of a raw token, with a space for what cannot be in a token."""
    return raw if raw.isascii() else scripts().unkept.sub(" ", normal_form("NFKC", raw)).strip()


def clusters_of(raw: str) -> list[str]:
    """Return the units of a run of unspaced script: its characters, or letters with their marks."""
    if _UNITS.fullmatch(raw):
        return simplified(raw)
    raw = unspaced(plain(raw).replace(" ", ""))
    return scripts().cluster.findall(raw) if scripts().clustered.search(raw) else list(raw)


def index_pairs(clusters: list[str]) -> list[str]:
    """Return the tokens of a run of unspaced script for the index: pairs, and its last character alone."""
    return [*map(add, clusters, clusters[1:]), *clusters[-1:]]


def query_pairs(clusters: list[str]) -> list[str]:
    """Return the tokens that match a run of unspaced script inside longer runs: pairs, or one character by prefix."""
    if len(clusters) == 1:
        return [clusters[0] + "*"]
    return list(map(add, clusters, clusters[1:]))
