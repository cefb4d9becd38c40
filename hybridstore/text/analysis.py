"""Text to the tokens of the keyword index, the same for documents and queries, in any language.

A document becomes two strings of tokens. The *words* keep the text's order, so that phrases can be matched in
them: lower-cased, accents folded, stemmed, and for scripts written without spaces (Chinese, Japanese, Thai …)
overlapping pairs of characters, closed by the run's last character alone. The *compounds* hold what splitting
would lose, whole: `foo_bar`, `v1.2.3`, `c++`, `src/main.py`, and the parts of `camelCase`.

A token never contains a space, a quote or an asterisk; a query token may end in `*`, which asks for a prefix.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator
from functools import cache, lru_cache
from itertools import pairwise
from typing import NamedTuple

import Stemmer

from hybridstore.errors import InputError

# Bump when the same text would give other tokens: the backend then rebuilds its keyword index.
ANALYSIS_VERSION = 1

_LONGEST = 128  # characters of a token; what is longer is data, not a word
_CACHED_LENGTH = 40  # longer pieces (whole sentences of Chinese) are not worth remembering
_GENERATION = 2**18  # pieces; an analyser remembers two generations of them, each at most about 40 MB

_JOIN = r"[-_./\\:@+#&‐‑]{1,3}"
# Text without marks and unspaced scripts (Latin, Greek, Cyrillic) is read by `re`, twice as fast as by `regex`.
_MARKED = re.compile("[\u0300-\u036f\u0483-\u0489\u0590-\u1dff\u20d0-\u20ff\u2cef-\U0010ffff]")
_RAW_SIMPLE = re.compile(rf"_*[^\W_]+(?:{_JOIN}[^\W_]+)*(?:_+|\+\+|\#)?(?:['’]s\b)?")
_SOH = "\1"
_COMPOUNDS = re.compile("\0([^ ]+)")
_SEGMENT = re.compile(r"[/\\:@ ]+")
_POSSESSIVE = re.compile(r"['’][sS]$")
_EDGES = '.,;:()[]{}"!?'  # around a word these are never part of a token


class _Inside(NamedTuple):
    """What is told apart inside a raw token: its words, and the humps of a camel."""

    part: re.Pattern[str]
    camel: re.Pattern[str]
    hump: re.Pattern[str]


_ASCII = _Inside(
    re.compile("[A-Za-z0-9]+"),
    re.compile("[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+"),
    re.compile("[a-z][A-Z]|[A-Z][A-Z][a-z]"),
)


class _Scripts:
    """The patterns for all of Unicode. Making them takes 30 ms, so it waits for text that needs them."""

    def __init__(self) -> None:
        import regex

        paired = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
        word = rf"(?:(?![{paired}])[\p{{L}}\p{{M}}\p{{N}}])+"
        self.paired = regex.compile(rf"[{paired}]")
        self.clustered = regex.compile(r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")  # a letter and its marks are one
        self.cluster = regex.compile(r"\X")
        self.raw = regex.compile(rf"[{paired}][{paired}\p{{M}}]*|_*{word}(?:{_JOIN}{word})*(?:_+|\+\+|\#)?(?:['’]s\b)?")
        # Compatibility forms may hold signs that are no part of a token: `⑴` is `(1)`, and `ﷺ` is four words.
        self.unkept = regex.compile(r"[^\p{L}\p{M}\p{N}\-_./\\:@+#&⁄‐‑]+")
        self.inside = _Inside(
            regex.compile(r"[\p{L}\p{M}\p{N}]+"),
            regex.compile(r"\p{Lu}+(?=\p{Lu}\p{Ll})|\p{Lu}?\p{Ll}+|\p{Lu}+|\p{N}+"),
            regex.compile(r"\p{Ll}\p{Lu}|\p{Lu}\p{Lu}\p{Ll}"),
        )


_scripts = cache(_Scripts)

_UNDECOMPOSED = str.maketrans({"ø": "o", "đ": "d", "ł": "l", "æ": "ae", "œ": "oe", "ı": "i", "ð": "d", "þ": "th"})
# Marks that people leave out when they type: Latin, Greek and Cyrillic accents, Hebrew points, Arabic vowels.
# The vowel signs of Indic scripts are letters to their readers and stay; so does й, a letter of its own.
_MARKS = re.compile("(?<!\u0438)\u0306|[\u0300-\u0305\u0307-\u036f\u0591-\u05c7\u0640\u064b-\u065f\u0670]")

# A script says which stemmer a word wants, whatever the store's own language is.
_SCRIPTS = {
    "CYRILLIC": "russian",
    "GREEK": "greek",
    "ARABIC": "arabic",
    "DEVANAGARI": "hindi",
    "TAMIL": "tamil",
}
LANGUAGES = ("none", *sorted(Stemmer.algorithms()))


class _Cache(dict[str, str]):
    """Pieces of text between spaces and what they became; the common case costs one dictionary look-up.

    What a piece became is one string, a touch of memory less than a pair: its words, and where it has compounds a NUL
    and these joined by SOH; no token holds either. When a generation is full the one before it is forgotten.
    """

    def __init__(self, expand: Callable[[str], tuple[str, str]]) -> None:
        super().__init__()
        self._expand = expand
        self._before: dict[str, str] = {}

    def __missing__(self, piece: str) -> str:
        expanded = self._before.get(piece)
        if expanded is None:
            words, extra = self._expand(piece)
            expanded = f"{words}\0{extra.replace(' ', _SOH)}" if extra else piece if words == piece else words
        if len(piece) <= _CACHED_LENGTH:
            if len(self) >= _GENERATION:
                self._before = dict(self)
                self.clear()
            self[piece] = expanded
        return expanded

    def pair(self, piece: str) -> tuple[str, str]:
        """Give (words, compounds) of a piece."""
        words, _, extra = self[piece].partition("\0")
        return words, extra.replace(_SOH, " ")


class Analyser:
    """The analysis of one language. `language` is a Snowball name ("english") or "none" for no stemming.

    Safe to share between threads. Raises InputError for a language it does not know.
    """

    def __init__(self, language: str = "english") -> None:
        if language not in LANGUAGES:
            raise InputError(f"language {language!r} is not known; choose one of {', '.join(LANGUAGES)}")
        self.language = language
        self._stemmers: dict[str, Callable[[str], str]] = {}
        self._cache = _Cache(self._expand_piece)

    def index(self, text: str) -> tuple[str, str]:
        """Give (words, compounds) of a text, tokens joined by spaces, for the index."""
        # No token holds a space, so a text is read piece by piece, and most pieces were met before.
        found = " ".join(filter(None, map(self._cache.__getitem__, text.split())))
        if "\0" not in found:
            return found, ""
        return _COMPOUNDS.sub("", found), " ".join(_COMPOUNDS.findall(found)).replace(_SOH, " ")

    def terms(self, text: str) -> tuple[str, ...]:
        """Give the tokens that a query for any word of the text looks for, in order.

        A token comes once for each different word that has it: "cluster" and "clustering" make it count twice,
        which in long questions tells what they are about (docs/experiments.md has the measurement).
        """
        found: list[str] = []
        for raw in dict.fromkeys(_raw_tokens(text)):
            if _is_paired(raw):
                found += _asked(_clusters(raw))
            else:
                words, extra = self._cache.pair(raw)
                found += dict.fromkeys(f"{words} {extra}".split())
        return tuple(found)

    def phrase(self, text: str) -> tuple[str, ...]:
        """Give the tokens that must follow each other for the text to occur as a phrase; () for no words."""
        raws = list(_raw_tokens(text))
        if len(raws) == 1 and raws[0].endswith(("+", "#")):
            return tuple(_folded(_plain(raws[0])).split())  # `"C++"`: its words are only `c`
        tokens = [token for raw in raws[:-1] for token in self._cache.pair(raw)[0].split()]
        if raws:
            last = raws[-1]
            tokens += _asked(_clusters(last)) if _is_paired(last) else self._cache.pair(last)[0].split()
        return tuple(tokens)

    def spans(self, text: str, terms: Collection[str]) -> list[tuple[int, int]]:
        """Give the character spans [start, end) of the words in the text that match any of the terms."""
        wanted = frozenset(terms)
        prefixes = tuple(term[:-1] for term in wanted if term.endswith("*"))
        spans: list[tuple[int, int]] = []
        for match in _matches(text):
            raw = match.group()
            if _is_paired(raw):
                spans += _paired_spans(raw, match.start(), wanted, prefixes)
            else:
                words, extra = self._cache.pair(raw)
                if not wanted.isdisjoint(f"{words} {extra}".split()):
                    spans.append(match.span())
        return spans

    def _expand_piece(self, piece: str) -> tuple[str, str]:
        word = piece.strip(_EDGES)
        if word.isascii() and word.isalnum():  # most new pieces are a word
            lower = word.lower()
            if lower == word or word[1:].islower() or not _ASCII.hump.search(word):
                return self._stem(lower), ""
        pairs = [self._expand(raw) for raw in _raw_tokens(piece)]
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
            # The stemmer's own cache is not safe between threads; ours above makes it needless.
            stem = self._stemmers.setdefault(language, Stemmer.Stemmer(language, 0).stemWord)
        return stem(word) or word


def _pattern(text: str) -> re.Pattern[str]:
    return _RAW_SIMPLE if text.isascii() or not _MARKED.search(text) else _scripts().raw


def _matches(text: str) -> Iterator[re.Match[str]]:
    return _pattern(text).finditer(text)


def _raw_tokens(text: str) -> list[str]:
    return _pattern(text).findall(text)


@lru_cache(maxsize=4096)
def _first_is_paired(character: str) -> bool:
    return _scripts().paired.match(character) is not None


def _is_paired(raw: str) -> bool:
    return raw[0] > "\u0dff" and _first_is_paired(raw[0])


@lru_cache(maxsize=4096)
def _script_language(character: str) -> str | None:
    return _SCRIPTS.get(unicodedata.name(character, "").partition(" ")[0])


def _folded(word: str) -> str:
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word.casefold().translate(_UNDECOMPOSED))
    return unicodedata.normalize("NFC", _MARKS.sub("", decomposed))


def _plain(raw: str) -> str:
    """Give the compatibility form; a space stands for what cannot be in a token."""
    return raw if raw.isascii() else _scripts().unkept.sub(" ", unicodedata.normalize("NFKC", raw)).strip()


def _clusters(raw: str) -> list[str]:
    raw = _plain(raw).replace(" ", "")
    return _scripts().cluster.findall(raw) if _scripts().clustered.search(raw) else list(raw)


def _asked(clusters: list[str]) -> list[str]:
    """Tokens that find a run of unspaced script inside longer runs: pairs, or a lone character by prefix."""
    if len(clusters) == 1:
        return [clusters[0] + "*"]
    return ["".join(pair) for pair in pairwise(clusters)]


def _paired_spans(raw: str, offset: int, wanted: frozenset[str], prefixes: tuple[str, ...]) -> list[tuple[int, int]]:
    # The compatibility form of one cluster may be several, all of which stand where it stands.
    clusters = [
        (cluster, offset + match.start(), offset + match.end())
        for match in _scripts().cluster.finditer(raw)
        for cluster in _clusters(match.group())
    ]
    marked: list[tuple[int, int]] = []
    for index, (cluster, start, end) in enumerate(clusters):
        following, _, last = clusters[index + 1] if index + 1 < len(clusters) else ("", 0, end)
        if cluster + following in wanted:
            span = (start, last)
        elif prefixes and cluster.startswith(prefixes):
            span = (start, end)
        else:
            continue
        if marked and marked[-1][1] >= span[0]:
            marked[-1] = (marked[-1][0], span[1])
        else:
            marked.append(span)
    return marked
