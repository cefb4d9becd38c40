"""Query plan: what a query means for each leg. What must, may and must not occur, and the text for the embedder."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hybridstore.errors import InputError
from hybridstore.records import KeywordQuery
from hybridstore.search.advanced_syntax import CLOSING, FIELD, MAX_LENGTH, OPENING, parse_query, word_condition
from hybridstore.search.stopwords import stopwords_in
from hybridstore.text.analysis import Analyser
from hybridstore.text.expressions import AllOf, Expression, NotOf, positive_words

# A quoted phrase or a word, optionally preceded by a minus and a field. An opening quote that is never closed is a
# character like any other.
_PIECE = re.compile(rf"(?:(?<=\s)|(?<=^))(-?){FIELD}?[{OPENING}]([^{OPENING}»]+)[{CLOSING}](?!\w)|(\S+)")
# With more words outside of quotation marks than this, they are part of a written question, not an instruction:
# requiring the phrases of such questions cost 0.02 nDCG@10 on two collections of them.
_MOST_UNQUOTED_WORDS = 10
# Each phrase, field and exclusion is a condition of its own, for which the index is asked: 64 take 20 ms.
_MOST_CONDITIONS = 64
_TOO_MANY_CONDITIONS = (
    f"Only the first {_MOST_CONDITIONS} phrases, fields and exclusions count as such; "
    "the words of the others were searched for."
)
_FLAG = re.compile(
    r"-[^\W\d_]"
)  # `-r`, `-xzf` and `-m` are words of the question: only -"quoted" or -field:word excludes
# A web search as models write it: a word or quoted words, negated or after a restriction such as `site:`.
_WEB_PIECE = re.compile(
    rf"(?P<negated>(?:(?<=[\s(])|(?<=^))(?:-(?=[\w{OPENING}])|NOT\s+))?(?:(?P<name>[a-z]+):(?=\S))?"
    rf"(?:[{OPENING}](?P<quoted>[^{OPENING}{CLOSING}]+)[{CLOSING}]|(?P<word>[^\s()]+))"
)
_WEB_OPERATORS = frozenset({"AND", "OR", "NOT", "&&", "||", "|", "&", "+"})
_WEB_RESTRICTIONS = frozenset({"site", "filetype", "ext", "inurl", "lang", "before", "after", "related", "cache"})
_WEB_FIELDS = frozenset({"title", "intitle", "allintitle", "intext", "allintext"})
_IN_FIELD = re.compile(rf"{FIELD}(\.?\w.*)")  # `.env` is a word, `://` is none


@dataclass(frozen=True, slots=True)
class Plan:
    """What a query means for each leg.

    `text` is for the embedder: the query without exclusions, quotation marks, operators and the names of fields.
    `ignored` are its stop words, as written, which the keyword leg does not search for; `notes` are for people.
    """

    text: str
    keyword: KeywordQuery
    phrases: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def has_words(query: str) -> bool:
    """Return whether there is anything to search for: a letter, its mark, a digit or a symbol such as an emoji."""
    if any(map(str.isalnum, query)):  # almost always the first
        return True
    categories = {unicodedata.category(character) for character in query}
    # What Python does not know (Cn) may be a letter of a newer Unicode.
    return any(category[0] in "LMN" or category in ("So", "Co", "Cn") for category in categories)


def plan(query: str, analyser: Analyser, syntax: str = "simple", exclude: Sequence[str] = ()) -> Plan:
    """Read a query in the "simple", the "advanced" or the "web" syntax. Lone surrogates are replaced.

    Simple: `"quoted words"` must occur as a phrase, `title:word` and `heading:"a phrase"` in that field, and neither
    `-"quoted words"` nor `-title:word` may; any string is valid. In a query with more than ten other words quotation
    marks only exclude. A minus before a bare word has no meaning, as flags are written so. If a query has only
    exclusions, they are its words. Only the first 10,000 characters are read, and the first 64 phrases, fields and
    exclusions count as such.

    Advanced: see `advanced_syntax.parse_query`; raises InputError for a query that cannot be parsed.

    Web: as language models write queries for web search. Quoted words need not stand together, since all of several
    quoted phrases together are rarely in one passage: as the simple syntax reads them, such queries lose .02 to .28
    nDCG@10 on eight collections, and without the marks next to nothing (docs/experiments.md). What follows NOT or a
    minus must not occur; AND, OR, parentheses and `site:…` are left out.

    In all, no word or phrase of `exclude` may occur (`title:word` in the title); raises InputError for one without a
    word.
    """
    query = query.encode("utf-8", "replace").decode()
    read = _advanced if syntax == "advanced" else _web if syntax == "web" else _simple
    planned = read(query, analyser)
    return _without(planned, exclude, analyser) if exclude else planned


def _without(planned: Plan, exclude: Sequence[str], analyser: Analyser) -> Plan:
    barred: list[tuple[str, str]] = []
    for given in exclude:
        unwanted = given.encode("utf-8", "replace").decode()
        match = _IN_FIELD.match(unwanted)
        barred.append((match[1].lower(), match[2]) if match else ("", unwanted.strip(OPENING + CLOSING)))
        if not analyser.phrase(unwanted):
            raise InputError(f"exclude has {given!r}, in which there is no word")
    tokens, conditions = _barred(barred, analyser)
    keyword = replace(
        planned.keyword,
        excluded=(*planned.keyword.excluded, *(phrase for _, phrase in tokens)),
        matching=(*planned.keyword.matching, *conditions),
    )
    return replace(planned, keyword=keyword, excluded=(*planned.excluded, *(text for text, _ in tokens)))


def _barred(
    barred: Sequence[tuple[str, str]], analyser: Analyser
) -> tuple[list[tuple[str, tuple[str, ...]]], list[Expression]]:
    """Return what must not occur: texts with their tokens, and the conditions of those in a field."""
    anywhere = [(text, tokens) for field, text in barred if not field and (tokens := analyser.phrase(text))]
    in_field = (word_condition(text, field, analyser) for field, text in barred if field)
    return anywhere, [NotOf(condition) for condition in in_field if condition]


def _simple(query: str, analyser: Analyser) -> Plan:
    query, notes = _cut(query)
    texts: list[str] = []
    phrases: list[str] = []
    flags: list[str] = []
    required: list[tuple[str, str]] = []  # field and text
    barred: list[tuple[str, str]] = []  # field, "" for any, and text
    for excluded, field, text, quoted in _pieces(query):
        if len(phrases) + len(required) + len(barred) == _MOST_CONDITIONS and (excluded or field or quoted):
            notes[1:] = [_TOO_MANY_CONDITIONS]
            texts += [] if excluded else [text]
            continue
        if excluded:
            barred.append((field, text))
            continue
        texts.append(text)
        if not field and not quoted and _FLAG.match(text):
            flags.append(text)
        if field:
            required.append((field, text))
        elif quoted:
            phrases.append(text)
    has_fields = any(field for field, _ in (*required, *barred))
    if not "".join(texts).strip():
        texts, barred = [text for _, text in barred], []
    if len(" ".join(texts).split()) - len(" ".join(phrases).split()) > _MOST_UNQUOTED_WORDS:
        phrases = []
    whole = frozenset(phrases)
    loose = " ".join(text for text in texts if text not in whole).split()
    ignored = stopwords_in(loose, analyser.language, alone=not phrases)
    grammar = frozenset(ignored)
    terms = analyser.terms(" ".join(word for word in loose if word not in grammar))
    phrase_tokens = [(phrase, tokens) for phrase in phrases if (tokens := analyser.phrase(phrase))]
    if ignored and not (terms or phrase_tokens):  # what remains are signs, as in "who {"
        ignored, terms = (), analyser.terms(" ".join(loose))
    excluded_tokens, not_in_field = _barred(barred, analyser)
    in_field = [word_condition(text, field, analyser) for field, text in required]
    keyword = KeywordQuery(
        terms=terms,
        phrases=tuple(tokens for _, tokens in phrase_tokens),
        excluded=tuple(tokens for _, tokens in excluded_tokens),
        matching=(
            *(condition for condition in in_field if condition),
            *not_in_field,
        ),
    )
    return Plan(
        text=" ".join(texts) if phrases or barred or has_fields else query,
        keyword=keyword,
        phrases=tuple(phrase for phrase, _ in phrase_tokens),
        excluded=tuple(text for text, _ in excluded_tokens),
        ignored=tuple(dict.fromkeys(ignored)),
        notes=(*filter(None, notes), *_about_flags(list(dict.fromkeys(flags)))),
    )


def _web(query: str, analyser: Analyser) -> Plan:
    texts: list[str] = []
    unwanted: list[str] = []
    dropped: list[str] = []
    for match in _WEB_PIECE.finditer(_cut(query)[0]):
        name, text = match["name"] or "", match["quoted"] or match["word"]
        if name in _WEB_RESTRICTIONS:
            dropped.append(match.group().strip())
        elif text not in _WEB_OPERATORS or match["quoted"]:
            whole = text if not name or name in _WEB_FIELDS or match["quoted"] else f"{name}:{text}"
            (unwanted if match["negated"] else texts).append(whole.strip(OPENING + CLOSING))
    unwanted = [text for text in unwanted if analyser.phrase(text)][:_MOST_CONDITIONS]
    planned = _simple(" ".join(texts or unwanted) or query, analyser)
    if dropped:
        note = f"{', '.join(dropped)}: not for this store; use a filter (where), or exclude."
        planned = replace(planned, notes=(*planned.notes, note))
    return _without(planned, unwanted, analyser) if texts and unwanted else planned


def _cut(query: str) -> tuple[str, list[str]]:
    """Return as much of a query as is read, whole words of it, with a note if that is not all."""
    if len(query) <= MAX_LENGTH:
        return query, [""]
    space = query.rfind(" ", MAX_LENGTH // 2, MAX_LENGTH)
    note = f"Only the first {MAX_LENGTH:,} of the query's {len(query):,} characters were searched for."
    return query[: space if space > 0 else MAX_LENGTH], [note]


def _about_flags(flags: Sequence[str]) -> tuple[str, ...]:
    if not flags:
        return ()
    was = "was searched for like any other word" if len(flags) == 1 else "were searched for like other words"
    return (f'{", ".join(flags[:5])} {was}; to leave out passages with a word, quote it: -"{flags[0][1:]}".',)


def _pieces(query: str) -> Iterator[tuple[bool, str, str, bool]]:
    """Yield for every word and phrase whether it is excluded, its field or "", its text, and whether it is quoted."""
    for minus, field_name, quoted, bare in _PIECE.findall(query):
        match = _IN_FIELD.match(bare.removeprefix("-"))
        if quoted or not match:
            yield bool(minus), field_name.lower(), quoted or bare, bool(quoted)
        else:
            yield bare.startswith("-"), match[1].lower(), match[2], False


def _advanced(query: str, analyser: Analyser) -> Plan:
    expression = parse_query(query, analyser)
    positive = list(positive_words(expression))
    prefixes = [words for words in positive if words.tokens[-1].endswith("*")]
    whole = dict.fromkeys(words.written for words in positive if words not in prefixes)
    prefix_tokens = dict.fromkeys(token for words in prefixes for token in words.tokens)
    keyword = KeywordQuery(
        terms=(*analyser.terms(" ".join(whole)), *prefix_tokens),
        matching=expression.members if isinstance(expression, AllOf) else (expression,),
    )
    text = " ".join(dict.fromkeys(words.written.removesuffix("*") for words in positive))
    return Plan(text=text, keyword=keyword)
