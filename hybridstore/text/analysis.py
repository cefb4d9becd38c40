"""Analysis: turns text into the tokens of the keyword index, for documents and queries, in any language.

A document becomes two strings of tokens. The *words* keep the text's order, so that phrases can be matched: they are
in their normal form (`normalisation`) and stemmed. Scripts without spaces (Chinese, Japanese, Thai …) become
overlapping pairs of characters, and the run's last character alone. The *compounds* are what else may be looked for
(`word_forms`): whole what splitting would lose (`v1.2.3`, `c++`, `foobar` for `foo_bar`), the parts of `camelCase`,
numbers and quantities without spaces, emoji.

A token never contains a space, a quote or an asterisk, except that a query token may end in `*` to match by prefix.
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
from hybridstore.text.normalisation import (
    EMOJI,
    MARKED,
    emoji_forms,
    folded,
    german,
    in_ascii,
    is_emoji,
    normal_form,
    spelt_out,
    unspaced,
    visible,
    visible_places,
)
from hybridstore.text.word_forms import (
    CONTRACTIONS,
    JOIN,
    UNITS,
    hump_forms,
    joined_numbers,
    part_of_number,
    quantity,
    whole_form,
)

# Increase when the same document gives different tokens, and keep the analysis of before for the stores that have its
# tokens (`analysis_versions`): a store keeps its version until it is reindexed.
ANALYSIS_VERSION = 3

_LONGEST = 128  # characters of a token; anything longer is data, not a word
_CACHED_LENGTH = 40  # longer pieces (whole sentences of Chinese) are not worth caching
_GENERATION = 2**18  # pieces; an analyser caches two generations, of at most about 40 MB each
_MOST_PIECES = 9  # of one number written in several

# Underscores are taken from the run's start and never given back: from each of n it would take n²/2 steps. A dot
# belongs to a name that begins with it, `.NET` or `.env`.
_LEAD = r"(?:(?<!_)_++|(?<![^\s(\[{\"'])\.(?=[^\W\d_]))?"
_TAIL = r"(?:_++|\+\+|\#)?(?:['’]s\b)?"
_RAW_SIMPLE = re.compile(rf"{_LEAD}[^\W_]++(?:{JOIN}[^\W_]++)*+{_TAIL}")
_SOH = "\1"
_COMPOUNDS = re.compile("\0([^ ]+)")
# A piece that may go on in the next one, as a number does, ends with STX: a number before a number or a unit, or a code
# before a number; and all the words of such a run.
_NEIGHBOURS = re.compile("\2(?: \\d|(?<=\\d\2) [^ \2]{1,4}\2)")
_RUN = re.compile("(?:(?:[^ \2]+\2|\\d+)(?: |$)){2,14}")
_RUN_BEFORE = re.compile("(?:\\d+ ){0,4}[^ \2]+$")
_HYPHENATED = re.compile("[A-Z]?[a-z]+(?:-[A-Z]?[a-z]+)+")
# A decimal number or a percentage; `1.000` is a thousand.
_DECIMAL = re.compile(r"((\d{1,50})(?:\.(?!000%?$)(\d{1,50}))?)%?")
_DIGIT = re.compile(r"\d")
_SEGMENT = re.compile(r"[/\\:@ ]+")
_POSSESSIVE = re.compile(r"['’]s$")
_ENDS = ",.;:!?"  # a number does not go on behind these
_OPENING = ".([{\"'"  # before a name that begins with a dot
_EDGES = '.,;:()[]{}"!?'  # never part of a token when around a word


class TokenPatterns(NamedTuple):
    """Patterns for the inside of a raw token: its words, and the humps of camel case."""

    part: re.Pattern[str]
    camel: re.Pattern[str]
    hump: re.Pattern[str]


_ASCII = TokenPatterns(
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


_scripts = cache(_Scripts)

# The script of a word determines its stemmer, whatever the store's language.
_SCRIPTS = {"CYRILLIC": "russian", "GREEK": "greek", "ARABIC": "arabic", "DEVANAGARI": "hindi", "TAMIL": "tamil"}
LANGUAGES = ("none", *sorted(Stemmer.algorithms()))
# Arabic words that end in teh marbuta or alef maksura are also typed with heh or yeh; the stemmer needs the former.
_VARIABLE_ENDS = {"ه": "ة", "ى": "ي"}
_ELIDING = ("french", "italian", "catalan")  # `l'homme` is two words, which nobody writes as one
_PLAIN_UMLAUTS = ("german", "turkish", "hungarian", "finnish", "estonian", "basque")  # `ö` is not written `oe`


class _Cache(dict[str, str]):
    """Cache of analysed pieces (text between spaces), in which the common case costs one dictionary look-up.

    A value is one string, which takes less memory than a pair: the words, then STX if the piece may be a part of a
    number, then NUL and the compounds joined by SOH, if any. No token contains these signs. When a generation is
    full, the previous one is dropped.
    """

    def __init__(self, analysed: Callable[[str], str]) -> None:
        super().__init__()
        self._analysed = analysed
        self._previous: dict[str, str] = {}

    def __missing__(self, piece: str) -> str:
        expanded = self._previous.get(piece)
        if expanded is None:
            expanded = self._analysed(piece)
        if len(piece) <= _CACHED_LENGTH:
            if len(self) >= _GENERATION:
                self._previous = dict(self)
                self.clear()
            self[piece] = expanded
        return expanded

    def pair(self, piece: str) -> tuple[str, str]:
        """Return the (words, compounds) of a piece."""
        words, _, extra = self[piece].partition("\0")
        return words.rstrip("\2"), extra.replace(_SOH, " ")


class Analyser:
    """The analysis of one language: a Snowball name ("english"), or "none" for no stemming.

    Safe to share between threads. Raises InputError for an unknown language.
    """

    version = ANALYSIS_VERSION
    indexes_names = True  # the names of files and folders, with the title

    def __init__(self, language: str = "english") -> None:
        if language not in LANGUAGES:
            raise InputError(f"language {language!r} is not known; choose one of {', '.join(LANGUAGES)}")
        self.language = language
        self._stemmers: dict[str, Callable[[str], str]] = {}
        # English terms stand inside Russian or Arabic text.
        self._stem_ascii = self._stemmer("english" if language in _SCRIPTS.values() else language)
        self._cache = _Cache(self._analysed)

    def index(self, text: str) -> tuple[str, str]:
        """Return the (words, compounds) of a text for the index, tokens joined by spaces."""
        # No token contains a space, so a text is analysed piece by piece, and most pieces are in the cache.
        tokens = " ".join(filter(None, map(self._cache.__getitem__, text.split())))
        compounds = ""
        if "\0" in tokens:
            split = _COMPOUNDS.split(tokens)  # words and compounds in turn
            tokens = "".join(split[::2])
            compounds = " ".join(split[1::2]).replace(_SOH, " ")
        if "\2" in tokens:
            if _NEIGHBOURS.search(tokens):
                compounds = " ".join([compounds, *_numbers(tokens)]).strip()
            tokens = tokens.replace("\2", "")
        return tokens, compounds

    def terms(self, text: str) -> tuple[str, ...]:
        """Return the tokens of a query for any word of the text, in order.

        A token is repeated for each distinct word that gives it: "cluster" and "clustering" make it count twice, which
        in long queries shows what they are about (measured in docs/experiments.md).
        """
        tokens: list[str] = []
        text = self._visible(text)
        for raw in dict.fromkeys(self._raws(text).findall(text)):
            if raw[0] > "\u0dff" and self._is_paired(raw):
                tokens += _query_pairs(self._clusters(raw))
                continue
            expanded = self._cache[raw]
            if expanded.isalnum():  # one word, without compounds
                tokens.append(expanded)
            else:
                words, extra = self._cache.pair(raw)
                tokens += dict.fromkeys(f"{words} {extra}".split())
        if not _DIGIT.search(" ".join(tokens)):
            return tuple(tokens)
        known = set(tokens)
        marked = _COMPOUNDS.sub("", " ".join(filter(None, map(self._cache.__getitem__, text.split()))))
        return (*tokens, *(form for form in _numbers(marked) if form not in known))

    def phrase(self, text: str) -> tuple[str, ...]:
        """Return the tokens that occur consecutively where the text occurs as a phrase; () for no words."""
        text = self._visible(text)
        raws = list(self._raws(text).findall(text))
        if len(raws) == 1 and (raws[0].endswith(("+", "#")) or raws[0][0] == "." or is_emoji(raws[0][0])):
            return self._whole(raws[0])  # `"C++"`: its only word is `c`
        tokens = [token for raw in raws[:-1] for token in self._cache.pair(raw)[0].split()]
        if raws:
            last = raws[-1]
            tokens += _query_pairs(self._clusters(last)) if self._is_paired(last) else self._cache.pair(last)[0].split()
        return tuple(tokens)

    def spans(self, text: str, terms: Collection[str]) -> list[tuple[int, int]]:
        """Return the character spans [start, end) of the words in the text that match any of the terms."""
        exact = frozenset(terms)
        prefixes = tuple(term[:-1] for term in exact if term.endswith("*"))
        spans: list[tuple[int, int]] = []
        text, places = self._visible_places(text)
        for match in self._raws(text).finditer(text):
            raw = match.group()
            if self._is_paired(raw):
                spans += self._paired_spans(raw, match.start(), exact, prefixes)
            else:
                words, extra = self._cache.pair(raw)
                if not exact.isdisjoint(f"{words} {extra}".split()):
                    spans.append(match.span())
        spans = _merged(spans, self._number_spans(text, exact))
        return spans if places is None else [(places[start], places[end - 1] + 1) for start, end in spans]

    def _analysed(self, piece: str) -> str:
        """Return what the cache keeps for a piece."""
        word = piece.strip(_EDGES)
        if word.isalpha() and word.isascii():  # most new pieces are a plain word
            lower = word.lower()
            if (lower == word or word[1:].islower()) and word not in UNITS and not _is_dotted(piece, word):
                stem = self._stem(lower)
                return piece if stem == piece else stem
        words, extra = self._expand_piece(piece)
        return f"{words}\0{extra.replace(' ', _SOH)}" if extra else piece if words == piece else words

    def _expand_piece(self, piece: str) -> tuple[str, str]:
        if not piece.isascii():
            piece = visible(piece)
        seen = in_ascii(piece)
        word = seen.strip(_EDGES)
        # Only a piece that does not end with a sign may go on in the next.
        mark = "" if seen[-1:] in _ENDS else "\2"
        if word.isascii() and not _is_dotted(seen, word):
            if word.isalnum():
                return self._alphanumeric(seen, word, mark)
            # Of the others, most are words with hyphens or decimal numbers.
            if "-" in word and len(word) <= _LONGEST and _HYPHENATED.fullmatch(word):
                lower = word.lower()
                return " ".join(map(self._stem, lower.split("-"))), self._stem(lower.replace("-", ""))
            decimal = _DECIMAL.fullmatch(word) if word[:1].isdigit() else None
            if decimal:
                whole, number, fraction = decimal.groups()
                part = "\2" if mark and part_of_number(seen) else ""
                return (f"{number} {fraction}{part}", whole) if fraction else (number + part, "")
        pairs = [self._expand(raw) for raw in self._raws(seen).findall(seen)]
        words = " ".join([words for words, _ in pairs if words])
        if mark and words and (words[0].isdigit() or (len(word) < 6 and word.isupper())) and part_of_number(piece):
            words += mark
        return words, " ".join([extra for _, extra in pairs if extra])

    def _alphanumeric(self, piece: str, word: str, mark: str) -> tuple[str, str]:
        """Return the (words, compounds) of a piece that is one word of ASCII letters and digits between signs."""
        stem = self._stem(word.lower())
        forms: list[str] = []
        if word.isdigit():
            part = piece == word or part_of_number(piece)
        elif word[0] > "9" and (word.isupper() or not _ASCII.hump.search(word)):
            part = word in UNITS or (piece == word and len(word) < 6)
        else:
            forms = self._part_forms(word, _ASCII)
            part = word[0] <= "9" and part_of_number(piece)
        return stem + mark if part else stem, " ".join(dict.fromkeys(forms))

    def _expand(self, raw: str) -> tuple[str, str]:
        if raw[0] > "\u0dff":
            if is_emoji(raw[0]):
                return "", " ".join(emoji_forms(raw))
            if _first_is_paired(raw[0]):
                clusters = self._clusters(raw)
                return " ".join([*map("".join, pairwise(clusters)), *clusters[-1:]]), ""
        raw = _plain(_POSSESSIVE.sub("", raw) if raw[-1] == "s" else raw)
        inside = _ASCII if raw.isascii() else _scripts().inside
        parts = inside.part.findall(raw)
        forms: list[str] = []
        if len(parts) != 1 or len(parts[0]) < len(raw):
            for piece in dict.fromkeys([raw, *_SEGMENT.split(raw)]) if _SEGMENT.search(raw) else (raw,):
                if len(piece) <= _LONGEST and not inside.part.fullmatch(piece):
                    forms += self._joined(folded(piece))
            if raw[0].isdigit() and raw[-1].isalpha() and len(parts) > 1:
                forms += quantity(folded(raw))
        for part in parts:
            forms += self._part_forms(part, inside)
        return " ".join([self._stem(folded(part)) for part in parts]), " ".join(dict.fromkeys(forms))

    def _part_forms(self, part: str, inside: TokenPatterns) -> list[str]:
        forms: list[str] = []
        if part.isascii() and ((part[0] > "9" and part.islower()) or part.isdigit()):
            return forms  # a plain word
        if not part.islower() and inside.hump.search(part):
            forms += [self._stem(folded(form)) for form in hump_forms(part, inside.camel.findall(part))]
        if "0" <= part[0] <= "9" and not part.isdigit():
            forms += quantity(folded(part))
        if not part.isascii():
            forms += map(self._stem, map(folded, self._spellings(part)))
        return forms

    def _spellings(self, part: str) -> Iterator[str]:
        """Yield what else a word is written as, where the stemmer needs it as it is."""
        if self.language not in _PLAIN_UMLAUTS and (spelt := spelt_out(part)):
            yield spelt
        if part[-1] in _VARIABLE_ENDS:
            yield part[:-1] + _VARIABLE_ENDS[part[-1]]

    def _whole(self, raw: str) -> tuple[str, ...]:
        """Return the token for a piece of text with signs in it: at most one."""
        if is_emoji(raw[0]):
            return (raw,)
        return self._joined(folded(_plain(raw)))

    def _joined(self, piece: str) -> tuple[str, ...]:
        if "'" in piece and not piece[0].isdigit() and self._is_apart(piece):
            return ()
        form = whole_form(piece.replace('"', "'"))
        if "'" in form or "," in form or " " in form or not form:
            return ()
        return (self._stem(form) if form.isalpha() else form,)

    def _is_apart(self, piece: str) -> bool:
        return piece.endswith("'s") or piece in CONTRACTIONS or self.language in _ELIDING

    def _stem(self, word: str) -> str:
        if len(word) > _LONGEST:
            return word[:_LONGEST]
        if word.isascii():
            return self._stem_ascii(word) or word
        return self._stemmer(_script_language(word[0]) or self.language)(word) or word

    def _stemmer(self, language: str) -> Callable[[str], str]:
        """Return the stemmer of a language."""
        if self.language == "none":
            return str
        known = self._stemmers.get(language)
        if known is None:
            # No cache of the stemmer's own: it is not safe between threads, and _Cache makes it needless.
            stem = Stemmer.Stemmer(language, 0).stemWord
            known = (lambda word: stem(self._german(word)) or self._german(word)) if language == "german" else stem
            self._stemmers[language] = known
        return known

    def _number_spans(self, text: str, exact: frozenset[str]) -> list[tuple[int, int]]:
        pieces = [(match.group(), *match.span()) for match in re.finditer(r"\S+", text)]
        values = [self._cache[piece].partition("\0")[0] for piece, _, _ in pieces]
        spans: list[tuple[int, int]] = []
        for first, (_, start, _) in enumerate(pieces):
            for last in range(first + 1, min(first + _MOST_PIECES, len(pieces))):
                if not values[last - 1].endswith("\2"):
                    break
                if not exact.isdisjoint(_numbers(" ".join(values[first : last + 1]))):
                    spans.append((start, start + len(text[start : pieces[last][2]].rstrip(_EDGES))))
                    break
        return spans

    def _paired_spans(
        self, raw: str, offset: int, exact: frozenset[str], prefixes: tuple[str, ...]
    ) -> list[tuple[int, int]]:
        # The compatibility form of one cluster may be several, which all share its span.
        clusters = [
            (cluster, offset + match.start(), offset + match.end())
            for match in _scripts().cluster.finditer(raw)
            for cluster in self._clusters(match.group())
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

    # what differs between the versions of the analysis

    def _visible(self, text: str) -> str:
        return visible(text)

    def _visible_places(self, text: str) -> tuple[str, list[int] | None]:
        return visible_places(text)

    def _raws(self, text: str) -> re.Pattern[str]:
        return _RAW_SIMPLE if text.isascii() or not MARKED.search(text) else _scripts().raw

    def _is_paired(self, raw: str) -> bool:
        return raw[0] > "\u0dff" and _first_is_paired(raw[0])

    def _clusters(self, raw: str) -> list[str]:
        raw = unspaced(_plain(raw).replace(" ", ""))
        return _scripts().cluster.findall(raw) if _scripts().clustered.search(raw) else list(raw)

    def _german(self, word: str) -> str:
        return german(word)


def _is_dotted(piece: str, word: str) -> bool:
    """Return whether a piece has a dot before its word, as `.NET`."""
    return piece[:1] in _OPENING and f".{word}" in piece


def _numbers(tokens: str) -> list[str]:
    """Return the forms without spaces of the numbers that stand in several pieces, from marked words."""
    forms: list[str] = []
    at = 0
    for match in _NEIGHBOURS.finditer(tokens):
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
            forms += joined_numbers(run[0].replace("\2", "").strip())
            at = run.end()
    return forms


def _merged(spans: list[tuple[int, int]], longer: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans in order, without those inside of longer ones."""
    if not longer:
        return spans
    merged: list[tuple[int, int]] = []
    for start, end in sorted([*spans, *longer], key=lambda span: (span[0], -span[1])):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


@lru_cache(maxsize=4096)
def _first_is_paired(character: str) -> bool:
    return _scripts().paired.match(character) is not None


@lru_cache(maxsize=4096)
def _script_language(character: str) -> str | None:
    return _SCRIPTS.get(unicodedata.name(character, "").partition(" ")[0])


def _plain(raw: str) -> str:
    """Return the compatibility form, with a space for what cannot be in a token."""
    return raw if raw.isascii() else _scripts().unkept.sub(" ", normal_form("NFKC", raw)).strip()


def _query_pairs(clusters: list[str]) -> list[str]:
    """Return the tokens that match a run of unspaced script inside longer runs: pairs, or one character by prefix."""
    if len(clusters) == 1:
        return [clusters[0] + "*"]
    return ["".join(pair) for pair in pairwise(clusters)]
