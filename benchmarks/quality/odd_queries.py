"""Unusual queries: only stop words, one word or sign, empty, in other scripts, and not text at all."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping

from cases import Case, Search, Setting, Suite
from sample_stores import SampleStore, content_words, vocabulary, words

from hybridstore.records import Results

ONE_WORD = 12

_STOP_WORDS = ("what is it about", "the of and", "who is that", "how do you do", "to be or not to be", "it")
_EMPTY = ("", " ", "\t\n", "\u200b", "\u00a0 ", "\ufeff")
_SIGNS = (
    "?",
    "-",
    "--",
    '"',
    '""',
    '"" ""',
    "*",
    "…",
    "()",
    "a",
    "7",
    "é",
    "'",
    "\\",
    "%",
    "NOT",
    "AND OR",
    "title:",
    "-a",
)
_PICTURES = ("🚀", "👩‍🚒🔥", "¯\\_(ツ)_/¯", "♞ ♟", "🏳️‍🌈 flag")
_SCRIPTS = ("水泵", "насос", "πομπή", "पंप", "مضخة", "ポンプの音", "เครื่องสูบน้ำ", "펌프", "משאבה", "პომპა")
_BROKEN = (
    "\ud800",
    "a\x00b",
    "\u202eabc",
    "e\u0301" * 50,
    "a" * 5000,
    "word " * 3000,
    '"open quote',
    "(((",
    "x' OR 1=1 --",
)


def odd(sample: SampleStore, chance: random.Random) -> Iterator[Setting]:
    documents = sample.documents()
    known = vocabulary(documents)
    cases = [
        *_cases("only stop words", _STOP_WORDS, 1, "hits, as for any question"),
        *_cases("empty", _EMPTY, 0, "no crash"),
        *_cases("signs", _SIGNS, 0, "no crash"),
        *_cases("pictures", _PICTURES, 0, "no crash"),
        *_cases("other scripts", _SCRIPTS, 0, "no crash"),
        *_cases("broken", _BROKEN, 0, "no crash"),
    ]
    for word in _rare(known, chance):
        holders = tuple(str(each.id) for each in documents if word in words(f"{each.title} {each.text}"))
        one = Case(kind="one word", query=word, expected=holders, every=False, within=3, check=_sound(1))
        cases.append(one)
    for document in chance.sample(documents, min(6, len(documents))):
        if found := content_words(document.text)[:1]:
            cases += _cases("shouted", (f"{found[0].upper()}!!!",), 1, "hits")
    with sample.copy() as store:
        yield Setting(store, tuple(cases))


def _rare(known: Mapping[str, int], chance: random.Random) -> list[str]:
    """Draw words of at most three documents, whose other forms stand in no more: the index compares by stems."""
    pool = sorted(word for word in known if known[word] <= 3 and len(word) > 4 and word.isascii() and word.isalpha())
    found: list[str] = []
    for word in chance.sample(pool, len(pool)):
        if len(found) == ONE_WORD:
            break
        begun = word[: max(4, len(word) - 3)]
        if sum(count for each, count in known.items() if each.startswith(begun)) <= 3:
            found.append(word)
    return found


def _cases(kind: str, queries: tuple[str, ...], hits: int, says: str) -> list[Case]:
    return [
        Case(kind=kind, query=query, check=_sound(hits), says=f"{says}; sound ranks and scores") for query in queries
    ]


def _sound(hits: int) -> Callable[[Search, Results], float]:
    """Return 1 for at least this many hits (the keyword leg may have none) with valid ranks, scores and spans."""

    def check(_: Search, results: Results) -> float:
        scores = [hit.score for hit in results]
        sound = (
            [hit.rank for hit in results] == list(range(1, len(results) + 1))
            and all(map(math.isfinite, scores))
            and scores == sorted(scores, reverse=True)
            and len({hit.chunk_id for hit in results}) == len(results) <= 10
            and all(0 <= hit.start <= hit.end for hit in results)
        )
        enough = len(results) >= hits or results.trace.mode == "keyword"
        return float(sound and enough)

    return check


SUITES = (Suite("odd questions", "stop words, one word or sign, nothing, pictures, scripts, broken text", odd),)
