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
from collections.abc import Collection, Iterator
from unicodedata import normalize

from hybridstore.text.normalisation import (
    emoji_forms,
    folded,
    folded_letters,
    german,
    in_ascii,
    is_emoji,
    spelt_out,
    visible,
    visible_places,
)
from hybridstore.text.piece_cache import SOH, PieceCache, cached_value
from hybridstore.text.raw_tokens import (
    ASCII,
    EDGES,
    LETTERS,
    TokenPatterns,
    clusters_of,
    index_pairs,
    is_paired,
    is_run_of_pairs,
    plain,
    query_pairs,
    raw_pattern,
    scripts,
)
from hybridstore.text.stemming import LONGEST, Stemming
from hybridstore.text.term_spans import merged, paired_spans
from hybridstore.text.word_forms import (
    CONTRACTIONS,
    NEIGHBOURS,
    OTHER_SPELLING,
    UNITS,
    hump_forms,
    joined_numbers,
    part_of_number,
    quantity,
    whole_form,
)

# Increase when the same document gives different tokens, and keep the analysis of before for the stores that have its
# tokens (`analysis_versions`): a store keeps its version until it is reindexed.
ANALYSIS_VERSION = 4


_COMPOUNDS = re.compile("\0([^ ]+)")
_HYPHENATED = re.compile("[A-Z]?[a-z]+(?:-[A-Z]?[a-z]+)+")
_IDENTIFIER = re.compile("[a-z]+(?:[-_.][a-z]+)+")
_SEPARATORS = str.maketrans("", "", "-_.")
# A decimal number or a percentage; `1.000` is a thousand.
_DECIMAL = re.compile(r"((\d{1,50})(?:\.(?!000%?$)(\d{1,50}))?)%?")
_SEGMENT = re.compile(r"[/\\:@ ]+")
_POSSESSIVE = ("'s", "’s")
_ENDS = ",.;:!?"  # a number does not go on behind these
_LONG = 6  # letters; a longer word in capitals is not the beginning of a code
_OPENING = ".([{\"'"  # before a name that begins with a dot

_WORD = re.compile(r"\w+")
_PIECE = re.compile(r"\S+")
_DIGIT = re.compile(r"\d")
_AROUND = "\"'“”„«»‘’.,;:!?()[]{}<>-"  # a word of a query

# Arabic words that end in teh marbuta or alef maksura are also typed with heh or yeh; the stemmer needs the former.
_VARIABLE_ENDS = {"ه": "ة", "ى": "ي"}
_PERHAPS_VARIABLE = re.compile(r"[ةيی]\b")  # words that others may be other spellings of
_PERHAPS_SPELT_OUT = re.compile(rf"[ao]e|ue|aa|{_PERHAPS_VARIABLE.pattern}", re.IGNORECASE)
_ELIDING = ("french", "italian", "catalan")  # `l'homme` is two words, which nobody writes as one
_PLAIN_UMLAUTS = ("german", "turkish", "hungarian", "finnish", "estonian", "basque")  # `ö` is not written `oe`


class Analyser:
    """The analysis of one language: a Snowball name ("english"), or "none" for no stemming.

    Safe to share between threads. Raises InputError for an unknown language.
    """

    version = ANALYSIS_VERSION
    indexes_names = True  # the names of files and folders, with the title
    # What differs between the versions of the analysis.
    _visible = staticmethod(visible)
    _visible_places = staticmethod(visible_places)
    _raws = staticmethod(raw_pattern)
    _is_paired = staticmethod(is_run_of_pairs)
    _clusters = staticmethod(clusters_of)
    _german = staticmethod(german)

    def __init__(self, language: str = "english") -> None:
        self._stem = Stemming(language, self._german).stem
        self.language = language
        self._perhaps_other = _PERHAPS_VARIABLE if language in _PLAIN_UMLAUTS else _PERHAPS_SPELT_OUT
        self._cache = PieceCache(self._analysed)

    def index(self, text: str) -> tuple[str, str]:
        """Return the (words, compounds) of a text for the index, tokens joined by spaces."""
        # No token contains a space, so a text is analysed piece by piece, and most pieces are in the cache.
        tokens = " ".join(filter(None, map(self._cache.__getitem__, text.split())))
        compounds = ""
        if "\0" in tokens:
            split = _COMPOUNDS.split(tokens)  # words and compounds in turn
            tokens = "".join(split[::2])
            compounds = " ".join(split[1::2]).replace(SOH, " ")
        if "\2" in tokens:
            if NEIGHBOURS.search(tokens):
                compounds = " ".join([compounds, *self._numbers_in(text)]).strip()
            tokens = tokens.replace("\2", "")
        return tokens, compounds

    def terms(self, text: str) -> tuple[str, ...]:
        """Return the tokens of a query for any word of the text, in order.

        A token is repeated for each distinct word that gives it: "cluster" and "clustering" make it count twice, which
        in long queries shows what they are about (measured in docs/experiments.md).
        """
        tokens: list[str] = []
        numbered = False  # only words with a mark may belong to a number in several pieces
        text = self._visible(text)
        for raw in dict.fromkeys(self._raws(text).findall(text)):
            if raw[0] > "\u0dff" and self._is_paired(raw):
                tokens += query_pairs(self._clusters(raw))
                continue
            expanded = self._cache[raw]
            if expanded.isalnum():  # one word, without compounds
                tokens.append(expanded)
            else:
                words, extra = self._cache.pair(raw)
                tokens += dict.fromkeys(f"{words} {extra}".replace(OTHER_SPELLING, "").split())
                numbered = numbered or "\2" in expanded
            if self._perhaps_other.search(raw):
                tokens += [token + OTHER_SPELLING for token in self._cache.pair(raw)[0].split()]
        if not numbered:
            return tuple(tokens)
        known = set(tokens)
        return (*tokens, *(form for form in self._numbers_in(text) if form not in known))

    def typed_words(self, query: str) -> dict[str, str]:
        """Return the word of a query, as typed, for each token that is the only one of a word."""
        typed: dict[str, str] = {}
        for word in query.split():
            bare = word.strip(_AROUND)
            token = self._cache[bare] if bare.isascii() else ""
            if token.isalnum():  # one word, without compounds
                typed.setdefault(token, bare)
                continue
            for part in (bare,) if bare.isalnum() else (bare, *_WORD.findall(word)):  # of "decoder.py" also its words
                tokens = [token for token in self.terms(part) if token[-1] != OTHER_SPELLING]
                if len(tokens) == 1:
                    typed.setdefault(tokens[0], part)
        return typed

    def word_of(self, token: str, text: str) -> str | None:
        """Return the first word of a text, as written, that gives the token; None if there is none."""
        for piece in text.split():
            if token in self._cache[piece]:
                for start, end in self.spans(piece, {token}):
                    return piece[start:end]
        return None

    def phrase(self, text: str) -> tuple[str, ...]:
        """Return the tokens that occur consecutively where the text occurs as a phrase; () for no words."""
        text = self._visible(text)
        raws = list(self._raws(text).findall(text))
        if len(raws) == 1 and (raws[0].endswith(("+", "#")) or raws[0][0] == "." or is_emoji(raws[0][0])):
            return self._whole(raws[0])  # `"C++"`: its only word is `c`
        tokens = [token for raw in raws[:-1] for token in self._cache.pair(raw)[0].split()]
        if raws:
            last = raws[-1]
            tokens += query_pairs(self._clusters(last)) if self._is_paired(last) else self._cache.pair(last)[0].split()
        return tuple(tokens)

    def spans(self, text: str, terms: Collection[str]) -> list[tuple[int, int]]:
        """Return the character spans [start, end) of the words in the text that match any of the terms."""
        exact = frozenset(terms)
        prefixes = tuple(term[:-1] for term in exact if term.endswith("*"))
        spans: list[tuple[int, int]] = []
        text, places = self._visible_places(text)
        raws = self._raws(text)
        # Looking for raw tokens only where a piece has a term takes a quarter of the time.
        sought = {piece for piece in set(text.split()) if not piece.isascii() or self._has_any(piece, exact)}
        for piece in _PIECE.finditer(text) if sought else ():
            if piece[0] not in sought:
                continue
            word = piece[0].rstrip(_ENDS)
            if word.isalpha() and word.isascii():
                spans.append((piece.start(), piece.start() + len(word)))
                continue
            for match in raws.finditer(text, *piece.span()):
                raw = match[0]
                if self._is_paired(raw):
                    spans += paired_spans(self._placed_clusters(raw, match.start()), exact, prefixes)
                elif self._has_any(raw, exact):
                    spans.append(match.span())
        if any(map(_DIGIT.search, exact)):
            spans = merged(spans, self._number_spans(text, exact))
        return spans if places is None else [(places[start], places[end - 1] + 1) for start, end in spans]

    def _has_any(self, piece: str, exact: frozenset[str]) -> bool:
        """Return whether a piece of text, or a raw token, has any of the terms."""
        expanded = self._cache[piece]
        if expanded in exact or expanded.isalnum():  # one word, without compounds
            return expanded in exact
        words, extra = self._cache.pair(piece)
        return not exact.isdisjoint(f"{words} {extra}".replace("\2", "").split())

    def _analysed(self, piece: str) -> str:
        """Return what the cache keeps for a piece."""
        if piece.islower() and piece.isascii() and piece.isalpha() and piece not in UNITS:  # a third of all pieces
            stem = self._stem(piece)
            return piece if stem == piece else stem
        word = piece.strip(EDGES)
        if word.isascii():  # most new pieces are a plain word
            if word.isalpha():
                lower = word.lower()
                upper = word.isupper()
                if (lower == word or upper or word[1:].islower()) and word not in UNITS and not _is_dotted(piece, word):
                    stem = self._stem(lower)
                    if upper and piece == word and len(word) < _LONG:
                        return stem + "\2"
                    return piece if stem == piece else stem
        elif letters := LETTERS.fullmatch(piece):
            word = letters[letters.lastindex or 0]
            if letters[2] or word[1:].islower():
                return cached_value(piece, *self._letters(word))
        return cached_value(piece, *self._expand_piece(piece))

    def _letters(self, word: str) -> tuple[str, str]:
        """Return the (words, compounds) of a piece that `LETTERS` matches, whose word is this."""
        word = normalize("NFKC", word)
        return self._stem(folded_letters(word)), " ".join(self._other_spellings(word))

    def _expand_piece(self, piece: str) -> tuple[str, str]:
        if not piece.isascii():
            piece = visible(piece)
        seen = in_ascii(piece)
        word = seen.strip(EDGES)
        # Only a piece that does not end with a sign may go on in the next.
        mark = "" if seen[-1:] in _ENDS else "\2"
        if word.isascii() and not _is_dotted(seen, word):
            if word.isalnum():
                return self._alphanumeric(seen, word, mark)
            # Of the others, most are words with hyphens or decimal numbers.
            if "-" in word and len(word) <= LONGEST and _HYPHENATED.fullmatch(word):
                lower = word.lower()
                return " ".join(map(self._stem, lower.split("-"))), self._stem(lower.replace("-", ""))
            decimal = _DECIMAL.fullmatch(word) if word[:1].isdigit() else None
            if decimal:
                whole, number, fraction = decimal.groups()
                part = "\2" if mark and part_of_number(seen) else ""
                return (f"{number} {fraction}{part}", whole) if fraction else (number + part, "")
        pairs = [self._expand(raw) for raw in self._raws(seen).findall(seen)]
        words = " ".join([words for words, _ in pairs if words])
        if mark and words and (words[0].isdigit() or (len(word) < _LONG and word.isupper())) and part_of_number(piece):
            words += mark
        return words, " ".join([extra for _, extra in pairs if extra])

    def _alphanumeric(self, piece: str, word: str, mark: str) -> tuple[str, str]:
        """Return the (words, compounds) of a piece that is one word of ASCII letters and digits between signs."""
        stem = self._stem(word.lower())
        forms: list[str] = []
        if word.isdigit():
            part = piece == word or part_of_number(piece)
        elif word[0] > "9" and (word.isupper() or not ASCII.hump.search(word)):
            part = word in UNITS or (piece == word and len(word) < _LONG)
        else:
            forms = self._part_forms(word, ASCII)
            part = word[0] <= "9" and part_of_number(piece)
        return stem + mark if part else stem, " ".join(dict.fromkeys(forms))

    def _expand(self, raw: str) -> tuple[str, str]:
        """Return the (words, compounds) of a raw token."""
        if raw.isascii():
            if raw.islower():  # of source code, most are a name
                if raw.isalpha():
                    return self._stem(raw), ""
                if len(raw) <= LONGEST and _IDENTIFIER.fullmatch(raw):
                    return " ".join(map(self._stem, ASCII.part.findall(raw))), self._stem(raw.translate(_SEPARATORS))
        elif raw[0] > "\u0dff":
            if is_paired(raw[0]):
                return " ".join(index_pairs(self._clusters(raw))), ""
            if is_emoji(raw[0]):
                return "", " ".join(emoji_forms(raw))
        return self._expand_parts(raw)

    def _expand_parts(self, raw: str) -> tuple[str, str]:
        raw = plain(raw[:-2] if raw.endswith(_POSSESSIVE) else raw)
        inside = ASCII if raw.isascii() else scripts().inside
        parts = inside.part.findall(raw)
        forms: list[str] = []
        if len(parts) != 1 or len(parts[0]) < len(raw):
            for piece in dict.fromkeys([raw, *_SEGMENT.split(raw)]) if _SEGMENT.search(raw) else (raw,):
                if len(piece) <= LONGEST and not inside.part.fullmatch(piece):
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
            forms += self._other_spellings(part)
        return forms

    def _other_spellings(self, part: str) -> list[str]:
        """Return the tokens for the other spellings of a word; stems of two letters are those of particles."""
        tokens = dict.fromkeys(self._stem(folded(form)) for form in self._spellings(part))
        other = [token for token in tokens if len(token) > 2]
        return [token + OTHER_SPELLING for token in other if token != self._stem(folded(part))] if other else []

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
        return self._joined(folded(plain(raw)))

    def _joined(self, piece: str) -> tuple[str, ...]:
        if "'" in piece and not piece[0].isdigit() and self._is_apart(piece):
            return ()
        form = whole_form(piece.replace('"', "'"))
        if "'" in form or "," in form or " " in form or not form:
            return ()
        return (self._stem(form) if form.isalpha() else form,)

    def _is_apart(self, piece: str) -> bool:
        return piece.endswith("'s") or piece in CONTRACTIONS or self.language in _ELIDING

    def _numbers_in(self, text: str) -> list[str]:
        """Return the numbers that stand in several pieces of a text, without spaces."""
        return [form for form, _, _ in joined_numbers(visible(text))]

    def _number_spans(self, text: str, exact: frozenset[str]) -> list[tuple[int, int]]:
        return [(start, end) for form, start, end in joined_numbers(text) if form in exact]

    def _marked(self, piece: str) -> str:
        """Return the words of a piece, with STX if they may be a part of a number."""
        return self._cache[piece].partition("\0")[0]

    def _placed_clusters(self, raw: str, offset: int) -> list[tuple[str, int, int]]:
        # The compatibility form of one cluster may be several, which all share its span.
        return [
            (cluster, offset + match.start(), offset + match.end())
            for match in scripts().cluster.finditer(raw)
            for cluster in self._clusters(match.group())
        ]


def _is_dotted(piece: str, word: str) -> bool:
    """Return whether a piece has a dot before its word, as `.NET`."""
    return piece[:1] in _OPENING and f".{word}" in piece
