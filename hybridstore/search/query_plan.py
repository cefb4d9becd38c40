"""A person's query, read: what must occur, what must not, what may, and what the embedder gets to see."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hybridstore.records import KeywordQuery
from hybridstore.search.advanced_syntax import CLOSING, FIELD, OPENING, read, words
from hybridstore.search.stopwords import stopwords_in
from hybridstore.text.analysis import Analyser
from hybridstore.text.expressions import AllOf, NotOf, positive_words

# A quoted phrase, or a word, either of them perhaps led by a minus and by a field. An opening quote that is never
# closed is a character like any other.
_PIECE = re.compile(rf"(?:(?<=\s)|(?<=^))(-?){FIELD}?[{OPENING}]([^{OPENING}»]+)[{CLOSING}](?!\w)|(\S+)")
# Around more other words than this, quotation marks are part of a written question, not an instruction: holding
# such questions to their phrases cost 0.02 nDCG@10 on two collections of them.
_MOST_WORDS_BESIDE = 10
_EXCLUSION = re.compile(r"-(?=[^\W\d_])")
_IN_FIELD = re.compile(rf"{FIELD}(\.?\w.*)")  # `.env` is a word, `://` is none


@dataclass(frozen=True, slots=True)
class Plan:
    """A query, understood.

    `text` is for the embedder: the query without exclusions, quotation marks, operators and the names of fields.
    `ignored` are words that only carry its grammar, as they stand in it; the keyword leg does not look for them.
    """

    text: str
    keyword: KeywordQuery
    phrases: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def plan(query: str, analyser: Analyser, syntax: str = "simple") -> Plan:
    """Read a query in the "simple" or the "advanced" syntax. Lone surrogates are replaced.

    Simple: `"quoted words"` must occur as a phrase, `title:word` and `heading:"a phrase"` in that field, and what has a
    minus before it must not occur; any string is fine. In a question with more than ten other words quotation marks
    only quote. A minus before a digit is a number's sign, and a query of nothing but exclusions means its words.

    Advanced: see `syntax.read`; raises InputError for what it cannot read.
    """
    query = query.encode("utf-8", "replace").decode()
    return _advanced(query, analyser) if syntax == "advanced" else _simple(query, analyser)


def _simple(query: str, analyser: Analyser) -> Plan:
    wanted: list[str] = []
    phrases: list[str] = []
    required: list[tuple[str, str]] = []
    barred: list[tuple[str, str]] = []
    for minus, field, quoted, bare in _PIECE.findall(query):
        excluded = bool(minus or (bare and _EXCLUSION.match(bare)))
        text, name = quoted or bare[excluded:], field.lower()
        if bare and (found := _IN_FIELD.match(text)):
            name, text = found[1].lower(), found[2]
        if excluded:
            barred.append((name, text))
            continue
        wanted.append(text)
        if name:
            required.append((name, text))
        elif quoted:
            phrases.append(text)
    marked = any(name for name, _ in (*required, *barred))
    if not "".join(wanted).strip():
        wanted, barred = [text for _, text in barred], []
    if len(" ".join(wanted).split()) - len(" ".join(phrases).split()) > _MOST_WORDS_BESIDE:
        phrases = []
    told = [(phrase, analyser.phrase(phrase)) for phrase in phrases]
    unwanted = [(text, analyser.phrase(text)) for name, text in barred if not name]
    inside = [words(text, name, analyser) for name, text in required]
    outside = [words(text, name, analyser) for name, text in barred if name]
    loose = " ".join(piece for piece in wanted if piece not in phrases).split()
    ignored = stopwords_in(loose, analyser.language, alone=not phrases)
    keyword = KeywordQuery(
        terms=analyser.terms(" ".join(word for word in loose if word not in ignored)),
        phrases=tuple(tokens for _, tokens in told if tokens),
        excluded=tuple(tokens for _, tokens in unwanted if tokens),
        matching=(*(each for each in inside if each), *(NotOf(each) for each in outside if each)),
    )
    return Plan(
        text=" ".join(wanted) if phrases or barred or marked else query,
        keyword=keyword,
        phrases=tuple(phrase for phrase, tokens in told if tokens),
        excluded=tuple(text for text, tokens in unwanted if tokens),
        ignored=tuple(dict.fromkeys(ignored)),
    )


def _advanced(query: str, analyser: Analyser) -> Plan:
    expression = read(query, analyser)
    sought = list(positive_words(expression))
    begun = [each for each in sought if each.tokens[-1].endswith("*")]
    whole = dict.fromkeys(each.written for each in sought if each not in begun)
    keyword = KeywordQuery(
        terms=(*analyser.terms(" ".join(whole)), *dict.fromkeys(token for each in begun for token in each.tokens)),
        matching=expression.members if isinstance(expression, AllOf) else (expression,),
    )
    return Plan(text=" ".join(dict.fromkeys(each.written.removesuffix("*") for each in sought)), keyword=keyword)
