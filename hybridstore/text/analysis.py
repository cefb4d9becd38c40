"""Analysis: turns text into the tokens of the keyword index, for documents and queries, in any language.

A document becomes two strings of tokens. The *words* keep the text's order, so that phrases can be matched: they are
lower-cased, without accents, stemmed. Scripts without spaces (Chinese, Japanese, Thai …) become overlapping pairs of
characters, and the run's last character alone. The *compounds* keep whole what splitting would lose: `foo_bar`,
`v1.2.3`, `c++`, `src/main.py`, and add the parts of `camelCase`.

A token never contains a space, a quote or an asterisk, except that a query token may end in `*` to match by prefix.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from functools import cache, lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

import Stemmer

from hybridstore.errors import InputError

# Increase when the same document gives different tokens: the backend then rebuilds its keyword index. 2: with the
# names of files.
ANALYSIS_VERSION = 2

_LONGEST = 128  # characters of a token; anything longer is data, not a word
_CACHED_LENGTH = 40  # longer pieces (whole sentences of Chinese) are not worth caching
_GENERATION = 2**18  # pieces; an analyser caches two generations, of at most about 40 MB each

_JOIN = r"[-_./\\:@+#&‐‑]{1,3}"
# Text without combining marks or unspaced scripts (Latin, Greek, Cyrillic): `re` is twice as fast as `regex`.
_MARKED = re.compile("[\u0300-\u036f\u0483-\u0489\u0590-\u1dff\u20d0-\u20ff\u2cef-\U0010ffff]")
# Underscores are taken from the run's start and never given back: from each of n it would take n²/2 steps.
_LEAD = r"(?:(?<!_)_++)?"
_MANY_MARKED = re.compile(f"{_MARKED.pattern}{{31}}")
_RAW_SIMPLE = re.compile(rf"{_LEAD}[^\W_]++(?:{_JOIN}[^\W_]++)*+(?:_++|\+\+|\#)?(?:['’]s\b)?")
_SOH = "\1"
_COMPOUNDS = re.compile("\0([^ ]+)")
_SEGMENT = re.compile(r"[/\\:@ ]+")
_POSSESSIVE = re.compile(r"['’][sS]$")
_EDGES = '.,;:()[]{}"!?'  # never part of a token when around a word


class _TokenPatterns(NamedTuple):
    """Patterns for the inside of a raw token: its words, and the humps of camel case."""

    part: re.Pattern[str]
    camel: re.Pattern[str]
    hump: re.Pattern[str]


_ASCII = _TokenPatterns(
    re.compile("[A-Za-z0-9]+"),
    re.compile("[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+"),
    re.compile("[a-z][A-Z]|[A-Z][A-Z][a-z]"),
)


class _Scripts:
    """The patterns for all of Unicode, compiled only for text that needs them, as this takes 30 ms."""

    def __init__(self) -> None:
        import regex

        paired = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
        word = rf"(?:(?![{paired}])[\p{{L}}\p{{M}}\p{{N}}])++"
        self.paired = regex.compile(rf"[{paired}]")
        self.clustered = regex.compile(r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")  # a letter with its marks is one unit
        self.cluster = regex.compile(r"\X")
        joined = rf"{_LEAD}{word}(?:{_JOIN}{word})*+(?:_++|\+\+|\#)?(?:['’]s\b)?"
        self.raw = regex.compile(rf"[{paired}][{paired}\p{{M}}]*+|{joined}")
        self.many_marks = regex.compile(r"(?<=\p{M}{30})\p{M}++")
        # Compatibility forms may contain characters that no token has: `⑴` is `(1)`, and `ﷺ` is four words.
        self.unkept = regex.compile(r"[^\p{L}\p{M}\p{N}\-_./\\:@+#&⁄‐‑]+")
        self.inside = _TokenPatterns(
            regex.compile(r"[\p{L}\p{M}\p{N}]+"),
            regex.compile(r"\p{Lu}+(?=\p{Lu}\p{Ll})|\p{Lu}?\p{Ll}+|\p{Lu}+|\p{N}+"),
            regex.compile(r"\p{Ll}\p{Lu}|\p{Lu}\p{Lu}\p{Ll}"),
        )


_scripts = cache(_Scripts)

_UNDECOMPOSED = str.maketrans({"ø": "o", "đ": "d", "ł": "l", "æ": "ae", "œ": "oe", "ı": "i", "ð": "d", "þ": "th"})
# Marks that people omit when typing: Latin, Greek and Cyrillic accents, Hebrew points, Arabic vowels. The vowel
# signs of Indic scripts are letters to their readers and stay, as does й, a letter of its own.
_MARKS = re.compile("(?<!\u0438)\u0306|[\u0300-\u0305\u0307-\u036f\u0591-\u05c7\u0640\u064b-\u065f\u0670]")

# The script of a word determines its stemmer, whatever the store's language.
_SCRIPTS = {"CYRILLIC": "russian", "GREEK": "greek", "ARABIC": "arabic", "DEVANAGARI": "hindi", "TAMIL": "tamil"}
LANGUAGES = ("none", *sorted(Stemmer.algorithms()))


class _Cache(dict[str, str]):
    """Cache of analysed pieces (text between spaces), in which the common case costs one dictionary look-up.

    A value is one string, which takes less memory than a pair: the words and, if there are compounds, NUL and these
    joined by SOH; no token contains either. When a generation is full, the previous one is dropped.
    """

    def __init__(self, expand: Callable[[str], tuple[str, str]]) -> None:
        super().__init__()
        self._expand = expand
        self._previous: dict[str, str] = {}

    def __missing__(self, piece: str) -> str:
        expanded = self._previous.get(piece)
        if expanded is None:
            words, extra = self._expand(piece)
            expanded = f"{words}\0{extra.replace(' ', _SOH)}" if extra else piece if words == piece else words
        if len(piece) <= _CACHED_LENGTH:
            if len(self) >= _GENERATION:
                self._previous = dict(self)
                self.clear()
            self[piece] = expanded
        return expanded

    def pair(self, piece: str) -> tuple[str, str]:
        """Return the (words, compounds) of a piece."""
        words, _, extra = self[piece].partition("\0")
        return words, extra.replace(_SOH, " ")


class Analyser:
    """The analysis of one language: a Snowball name ("english"), or "none" for no stemming.

    Safe to share between threads. Raises InputError for an unknown language.
    """

    def __init__(self, language: str = "english") -> None:
        if language not in LANGUAGES:
            raise InputError(f"language {language!r} is not known; choose one of {', '.join(LANGUAGES)}")
        self.language = language
        self._stemmers: dict[str, Callable[[str], str]] = {}
        self._cache = _Cache(self._expand_piece)

    def index(self, text: str) -> tuple[str, str]:
        """Return the (words, compounds) of a text for the index, tokens joined by spaces."""
        # No token contains a space, so a text is analysed piece by piece, and most pieces are in the cache.
        tokens = " ".join(filter(None, map(self._cache.__getitem__, text.split())))
        if "\0" not in tokens:
            return tokens, ""
        return _COMPOUNDS.sub("", tokens), " ".join(_COMPOUNDS.findall(tokens)).replace(_SOH, " ")

    def terms(self, text: str) -> tuple[str, ...]:
        """Return the tokens of a query for any word of the text, in order.

        A token is repeated for each distinct word that gives it: "cluster" and "clustering" make it count twice, which
        in long queries shows what they are about (measured in docs/experiments.md).
        """
        tokens: list[str] = []
        for raw in dict.fromkeys(_raw_pattern(text).findall(text)):
            if _is_paired(raw):
                tokens += _query_pairs(_clusters(raw))
            else:
                words, extra = self._cache.pair(raw)
                tokens += dict.fromkeys(f"{words} {extra}".split())
        return tuple(tokens)

    def phrase(self, text: str) -> tuple[str, ...]:
        """Return the tokens that occur consecutively where the text occurs as a phrase; () for no words."""
        raws = list(_raw_pattern(text).findall(text))
        if len(raws) == 1 and raws[0].endswith(("+", "#")):
            return tuple(_folded(_plain(raws[0])).split())  # `"C++"`: its only word is `c`
        tokens = [token for raw in raws[:-1] for token in self._cache.pair(raw)[0].split()]
        if raws:
            last = raws[-1]
            tokens += _query_pairs(_clusters(last)) if _is_paired(last) else self._cache.pair(last)[0].split()
        return tuple(tokens)

    def spans(self, text: str, terms: Collection[str]) -> list[tuple[int, int]]:
        """Return the character spans [start, end) of the words in the text that match any of the terms."""
        exact = frozenset(terms)
        prefixes = tuple(term[:-1] for term in exact if term.endswith("*"))
        spans: list[tuple[int, int]] = []
        for match in _raw_pattern(text).finditer(text):
            raw = match.group()
            if _is_paired(raw):
                spans += _paired_spans(raw, match.start(), exact, prefixes)
            else:
                words, extra = self._cache.pair(raw)
                if not exact.isdisjoint(f"{words} {extra}".split()):
                    spans.append(match.span())
        return spans

    def _expand_piece(self, piece: str) -> tuple[str, str]:
        word = piece.strip(_EDGES)
        if word.isascii() and word.isalnum():  # most new pieces are a plain word
            lower = word.lower()
            if lower == word or word[1:].islower() or not _ASCII.hump.search(word):
                return self._stem(lower), ""
        pairs = [self._expand(raw) for raw in _raw_pattern(piece).findall(piece)]
        return " ".join([words for words, _ in pairs if words]), " ".join([extra for _, extra in pairs if extra])

    def _expand(self, raw: str) -> tuple[str, str]:
        if _is_paired(raw):
            clusters = _clusters(raw)
            return " ".join([*map("".join, pairwise(clusters)), *clusters[-1:]]), ""
        raw = _plain(_POSSESSIVE.sub("", raw))
        inside = _ASCII if raw.isascii() else _scripts().inside
        parts = inside.part.findall(raw)
        words = [self._stem(_folded(part)) for part in parts]
        compounds: list[str] = []
        if len(raw) > sum(map(len, parts)):
            compounds = [
                _folded(piece)
                for piece in dict.fromkeys([raw, *_SEGMENT.split(raw)])
                if len(piece) <= _LONGEST and len(piece) > len("".join(inside.part.findall(piece))) and " " not in piece
            ]
        for part in parts:
            if inside.hump.search(part):
                compounds += [self._stem(_folded(hump)) for hump in inside.camel.findall(part) if len(hump) > 2]
        return " ".join(words), " ".join(compounds)

    def _stem(self, word: str) -> str:
        if self.language == "none" or len(word) > _LONGEST:
            return word[:_LONGEST]
        language = self.language if word.isascii() else _script_language(word[0]) or self.language
        if word.isascii() and language in _SCRIPTS.values():
            language = "english"  # English terms inside Russian or Arabic text
        stem = self._stemmers.get(language)
        if stem is None:
            # No cache of the stemmer's own: it is not safe between threads, and _Cache makes it needless.
            stem = self._stemmers.setdefault(language, Stemmer.Stemmer(language, 0).stemWord)
        return stem(word) or word


def _raw_pattern(text: str) -> re.Pattern[str]:
    return _RAW_SIMPLE if text.isascii() or not _MARKED.search(text) else _scripts().raw


@lru_cache(maxsize=4096)
def _first_is_paired(character: str) -> bool:
    return _scripts().paired.match(character) is not None


def _is_paired(raw: str) -> bool:
    return raw[0] > "\u0dff" and _first_is_paired(raw[0])


@lru_cache(maxsize=4096)
def _script_language(character: str) -> str | None:
    return _SCRIPTS.get(unicodedata.name(character, "").partition(" ")[0])


def normal_form(form: Literal["NFC", "NFKC", "NFKD"], text: str) -> str:
    """Return a text in a Unicode normal form, with at most 30 combining marks in a row.

    Sorting n marks takes n² steps, 1.4 s for 32,000; no language has more than a few (Unicode's Stream-Safe Format).
    """
    return unicodedata.normalize(form, _scripts().many_marks.sub("", text) if _MANY_MARKED.search(text) else text)


def _folded(word: str) -> str:
    if word.isascii():
        return word.lower()
    decomposed = normal_form("NFKD", word.casefold().translate(_UNDECOMPOSED))
    return normal_form("NFC", _MARKS.sub("", decomposed))


def _plain(raw: str) -> str:
    """Return the compatibility form, with a space for what cannot be in a token."""
    return raw if raw.isascii() else _scripts().unkept.sub(" ", normal_form("NFKC", raw)).strip()


def _clusters(raw: str) -> list[str]:
    raw = _plain(raw).replace(" ", "")
    return _scripts().cluster.findall(raw) if _scripts().clustered.search(raw) else list(raw)


def _query_pairs(clusters: list[str]) -> list[str]:
    """Return the tokens that match a run of unspaced script inside longer runs: pairs, or one character by prefix."""
    if len(clusters) == 1:
        return [clusters[0] + "*"]
    return ["".join(pair) for pair in pairwise(clusters)]


def _paired_spans(raw: str, offset: int, exact: frozenset[str], prefixes: tuple[str, ...]) -> list[tuple[int, int]]:
    # The compatibility form of one cluster may be several, which all share its span.
    clusters = [
        (cluster, offset + match.start(), offset + match.end())
        for match in _scripts().cluster.finditer(raw)
        for cluster in _clusters(match.group())
    ]
    spans: list[tuple[int, int]] = []
    for index, (cluster, start, end) in enumerate(clusters):
        following, _, last = clusters[index + 1] if index + 1 < len(clusters) else ("", 0, end)
        if cluster + following in exact:
            span = (start, last)
        elif prefixes and cluster.startswith(prefixes):
            span = (start, end)
        else:
            continue
        if spans and spans[-1][1] >= span[0]:
            spans[-1] = (spans[-1][0], span[1])
        else:
            spans.append(span)
    return spans
