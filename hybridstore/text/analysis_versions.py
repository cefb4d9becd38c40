"""Earlier versions of the analysis, for stores that hold their tokens, and the choice of a store's own version.

A store is searched and written with the analysis that made its tokens, until it is reindexed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from hybridstore.text.analysis import ANALYSIS_VERSION, Analyser
from hybridstore.text.normalisation import folded, normal_form
from hybridstore.text.piece_cache import cached_value
from hybridstore.text.raw_tokens import EDGES, TokenPatterns, index_pairs
from hybridstore.text.stemming import LONGEST
from hybridstore.text.word_forms import NEIGHBOURS, UNITS

_JOIN = r"[-_./\\:@+#&‐‑]{1,3}"
_MARKED = re.compile("[\u0300-\u036f\u0483-\u0489\u0590-\u1dff\u20d0-\u20ff\u2cef-\U0010ffff]")
_LEAD = r"(?:(?<!_)_++)?"
_RAW_SIMPLE = re.compile(rf"{_LEAD}[^\W_]++(?:{_JOIN}[^\W_]++)*+(?:_++|\+\+|\#)?(?:['’]s\b)?")
_SEGMENT = re.compile(r"[/\\:@ ]+")
_POSSESSIVE = re.compile(r"['’][sS]$")
_EDGES = '.,;:()[]{}"!?'  # never part of a token when around a word


_ASCII = TokenPatterns(
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
        # Compatibility forms may contain characters that no token has: `⑴` is `(1)`, and `ﷺ` is four words.
        self.unkept = regex.compile(r"[^\p{L}\p{M}\p{N}\-_./\\:@+#&⁄‐‑]+")
        self.inside = TokenPatterns(
            regex.compile(r"[\p{L}\p{M}\p{N}]+"),
            regex.compile(r"\p{Lu}+(?=\p{Lu}\p{Ll})|\p{Lu}?\p{Ll}+|\p{Lu}+|\p{N}+"),
            regex.compile(r"\p{Ll}\p{Lu}|\p{Lu}\p{Lu}\p{Ll}"),
        )


_scripts = cache(_Scripts)

_UNDECOMPOSED = str.maketrans({"ø": "o", "đ": "d", "ł": "l", "æ": "ae", "œ": "oe", "ı": "i", "ð": "d", "þ": "th"})
# Marks that people omit when typing: Latin, Greek and Cyrillic accents, Hebrew points, Arabic vowels. The vowel
# signs of Indic scripts are letters to their readers and stay, as does й, a letter of its own.
_MARKS = re.compile("(?<!\u0438)\u0306|[\u0300-\u0305\u0307-\u036f\u0591-\u05c7\u0640\u064b-\u065f\u0670]")


_NEVER = re.compile("(?!)")
_DIGIT_GROUPS = re.compile(r"(?<!\S)\d{1,15}(?: \d{1,15})+(?!\S)")
_THOUSANDS = re.compile(r"\d{1,3}(?: \d{3})+")
_ACCOUNT = re.compile(r"(?<!\S)[a-z]{2}\d{2}(?: [a-z0-9]{4}){2,7}(?: [a-z0-9]{1,3})?(?!\S)")
_LEAST_ACCOUNT = 14  # characters, with spaces
_CODE_AND_NUMBER = re.compile(r"(?<!\S)([a-z]{2,5}) (?=(\d{2,})(?!\S))")
_NUMBER_AND_UNIT = re.compile(r"(?<!\S)(\d+) ([^\W\d]+|°[a-z])(?!\S)")
_MOST_GROUPS = 8  # more are the row of a table
_RUN = re.compile("(?:(?:[^ \2]+\2|\\d+)(?: |$)){2,14}")
_RUN_BEFORE = re.compile("(?:\\d+ ){0,4}[^ \2]+$")
_MOST_PIECES = 9  # of one number written in several


def _joined_numbers(words: str) -> list[str]:
    """Return the forms without spaces of the numbers, codes and quantities in some neighbouring words."""
    forms = [match[0].replace(" ", "") for match in _ACCOUNT.finditer(words)] if len(words) >= _LEAST_ACCOUNT else []
    for match in _DIGIT_GROUPS.finditer(words):
        groups = match[0].split(" ")
        if _THOUSANDS.fullmatch(match[0]) or (len(groups) <= _MOST_GROUPS and 7 <= sum(map(len, groups)) <= 19):
            forms.append("".join(groups))
    forms += [match[1] + match[2] for match in _CODE_AND_NUMBER.finditer(words) if match[1] not in UNITS]
    forms += [match[1] + match[2] for match in _NUMBER_AND_UNIT.finditer(words) if match[2] in UNITS]
    return forms


def _numbers_across(tokens: str) -> list[str]:
    """Return the forms without spaces of the numbers that stand in several pieces, from marked words."""
    forms: list[str] = []
    at = 0
    for match in NEIGHBOURS.finditer(tokens):
        if match.start() < at:
            continue
        start = tokens.rfind(" ", at, match.start()) + 1 or at
        first = start
        while first > at and tokens[first - 2].isdigit() and first > match.start() - 200:
            first = tokens.rfind(" ", at, first - 1) + 1 or at
        if first < start and (before := _RUN_BEFORE.search(tokens, first, match.start())):
            start = before.start()
        run = _RUN.match(tokens, start)
        if run:
            forms += _joined_numbers(run[0].replace("\2", "").strip())
            at = run.end()
    return forms


def _number_spans(text: str, marked: Callable[[str], str], exact: frozenset[str]) -> list[tuple[int, int]]:
    """Return the spans of numbers and codes in several pieces, one of whose forms is among the terms.

    `marked` gives the words of a piece, with STX if they may be a part of a number.
    """
    pieces = [(match.group(), *match.span()) for match in re.finditer(r"\S+", text)]
    values = [marked(piece) for piece, _, _ in pieces]
    spans: list[tuple[int, int]] = []
    for first, (_, start, _) in enumerate(pieces):
        for last in range(first + 1, min(first + _MOST_PIECES, len(pieces))):
            if not values[last - 1].endswith("\2"):
                break
            if not exact.isdisjoint(_numbers_across(" ".join(values[first : last + 1]))):
                spans.append((start, start + len(text[start : pieces[last][2]].rstrip(EDGES))))
                break
    return spans


class ThirdAnalyser(Analyser):
    """The analysis of version 3: any numbers in neighbouring pieces were one if they had 7 to 19 digits.

    A word and its other spelling had the same kind of token.
    """

    version = 3

    def __init__(self, language: str = "english") -> None:
        super().__init__(language)
        self._perhaps_other = _NEVER

    def _other_spellings(self, part: str) -> list[str]:
        return list(dict.fromkeys(self._stem(folded(form)) for form in self._spellings(part)))

    def _numbers_in(self, text: str) -> list[str]:
        return _numbers_across(" ".join(filter(None, map(self._marked, text.split()))))

    def _number_spans(self, text: str, exact: frozenset[str]) -> list[tuple[int, int]]:
        return _number_spans(text, self._marked, exact)


class FirstAnalyser(ThirdAnalyser):
    """The analysis of version 1: without other spellings of words, numbers and identifiers, and without emoji."""

    version = 1
    indexes_names = False

    def _analysed(self, piece: str) -> str:
        return cached_value(piece, *self._expand_piece(piece))

    def _expand_piece(self, piece: str) -> tuple[str, str]:
        word = piece.strip(_EDGES)
        if word.isascii() and word.isalnum():
            lower = word.lower()
            if lower == word or word[1:].islower() or not _ASCII.hump.search(word):
                return self._stem(lower), ""
        pairs = [self._expand(raw) for raw in self._raws(piece).findall(piece)]
        return " ".join([words for words, _ in pairs if words]), " ".join([extra for _, extra in pairs if extra])

    def _expand(self, raw: str) -> tuple[str, str]:
        if self._is_paired(raw):
            return " ".join(index_pairs(self._clusters(raw))), ""
        raw = _plain(_POSSESSIVE.sub("", raw))
        inside = _ASCII if raw.isascii() else _scripts().inside
        parts = inside.part.findall(raw)
        words = [self._stem(_folded(part)) for part in parts]
        compounds: list[str] = []
        if len(raw) > sum(map(len, parts)):
            compounds = [
                _folded(piece)
                for piece in dict.fromkeys([raw, *_SEGMENT.split(raw)])
                if len(piece) <= LONGEST and len(piece) > len("".join(inside.part.findall(piece))) and " " not in piece
            ]
        for part in parts:
            if inside.hump.search(part):
                compounds += [self._stem(_folded(hump)) for hump in inside.camel.findall(part) if len(hump) > 2]
        return " ".join(words), " ".join(compounds)

    def _whole(self, raw: str) -> tuple[str, ...]:
        return tuple(_folded(_plain(raw)).split())

    @staticmethod
    def _visible(text: str) -> str:
        return text

    @staticmethod
    def _visible_places(text: str) -> tuple[str, list[int] | None]:
        return text, None

    @staticmethod
    def _raws(text: str) -> re.Pattern[str]:
        return _RAW_SIMPLE if text.isascii() or not _MARKED.search(text) else _scripts().raw

    @staticmethod
    def _is_paired(raw: str) -> bool:
        return raw[0] > "\u0dff" and _scripts().paired.match(raw[0]) is not None

    @staticmethod
    def _clusters(raw: str) -> list[str]:
        raw = _plain(raw).replace(" ", "")
        return _scripts().cluster.findall(raw) if _scripts().clustered.search(raw) else list(raw)

    @staticmethod
    def _german(word: str) -> str:
        return word


def _folded(word: str) -> str:
    if word.isascii():
        return word.lower()
    decomposed = normal_form("NFKD", word.casefold().translate(_UNDECOMPOSED))
    return normal_form("NFC", _MARKS.sub("", decomposed))


def _plain(raw: str) -> str:
    """Return the compatibility form, with a space for what cannot be in a token."""
    return raw if raw.isascii() else _scripts().unkept.sub(" ", normal_form("NFKC", raw)).strip()


class SecondAnalyser(FirstAnalyser):
    """The analysis of version 2: the names of files are indexed, too."""

    version = 2
    indexes_names = True


ANALYSERS: dict[int, type[Analyser]] = {
    1: FirstAnalyser,
    2: SecondAnalyser,
    3: ThirdAnalyser,
    ANALYSIS_VERSION: Analyser,
}


def analyser_of(language: str, version: int = ANALYSIS_VERSION) -> Analyser:
    """Return the analyser of a language in a version; raises InputError for an unknown language."""
    return ANALYSERS.get(version, Analyser)(language)
