"""Pieces of a text that could be asked for: sentences, a run of words, rare words. Pure functions on strings.

A piece that is most of its text teaches nothing, for anything finds it; so no piece is longer than half of the text,
and none comes from a text of fewer than 24 words. Text without spaces (Chinese, Japanese, Thai) is measured and cut in
characters, three of them to a word.
"""

from __future__ import annotations

import math
import random
import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache

from hybridstore.search.advanced_syntax import FIELD
from hybridstore.search.stopwords import grammatical

# Texts whose pieces are remembered: every document gives one question before any gives a second.
_REMEMBERED = 512
FEWEST_WORDS = 24  # of a text that pieces are taken from
_SHORTEST, _LONGEST = 5, 12  # words of a crop
_SENTENCE = 4, 40  # words of a sentence worth asking with
_CHARACTERS = 3  # that say about as much as a word
_RARE = 10  # the words of a text that keywords are drawn from

# Thai, Lao, Burmese, Khmer, kana and Han, whose words nothing stands between.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]")
_ENDS = re.compile(r"(?<=[.!?।])\s+|(?<=[。！？])\s*|\n{2,}")
_QUOTES = re.compile(r"[\"“”„«»「」`*|<>]|'{2,}|(?<!\w)_+|_+(?!\w)")
_SIGNED = re.compile(rf"(?:^|(?<=\s))(?:-+(?=[^\W\d])|{FIELD}(?=\S)|#+\s)")
_WORD = re.compile(r"[^\W\d_][\w'’-]*\w")
_FILE_NAME = re.compile(r"(?:.*[/\\].*|.*\.[A-Za-z][A-Za-z0-9]{0,4})")


def cleaned(text: str) -> str:
    """Give a text on one line, without what a search would read as an instruction: quotes, a minus, `title:`."""
    return _SIGNED.sub("", " ".join(_QUOTES.sub(" ", text).split())).strip(" ,;:-–—·•")


@lru_cache(maxsize=_REMEMBERED)
def spaced(text: str) -> bool:
    """Say whether a text puts spaces between its words: most of it is in a script that does."""
    return 2 * len(_UNSPACED.findall(text)) <= len("".join(text.split()))


@lru_cache(maxsize=_REMEMBERED)
def length(text: str) -> int:
    """Give the words of a text; one for three characters where it has no spaces."""
    return len(text.split()) if spaced(text) else len("".join(text.split())) // _CHARACTERS


def is_name_of_file(title: str) -> bool:
    """Say whether a title is only the name of a file, which nobody would ask."""
    return _FILE_NAME.fullmatch(title.strip()) is not None


def opening(text: str) -> str | None:
    """Give the first sentence, None where it is no good question."""
    found = _sentences(text)
    return found[0] if found and _fits(found[0], text) else None


def sentence(text: str, rng: random.Random) -> str | None:
    """Give a sentence from behind the first one, None where none is a good question."""
    fitting = [each for each in _sentences(text)[1:] if _fits(each, text)]
    return rng.choice(fitting) if fitting else None


def crop(text: str, rng: random.Random) -> str | None:
    """Give 5 to 12 words in a row from anywhere (15 to 36 characters without spaces), None of a short text."""
    words: Sequence[str] = text.split()
    joint, factor = " ", 1
    if not spaced(text):
        words, joint, factor = " ".join(words), "", _CHARACTERS
    if len(words) < FEWEST_WORDS * factor:
        return None
    count = min(rng.randint(_SHORTEST * factor, _LONGEST * factor), len(words) // 2)
    first = rng.randint(0, len(words) - count)
    while not joint and count > 1 and unicodedata.category(words[first]).startswith("M"):
        first, count = first + 1, count - 1  # a mark belongs to the letter before it
    return cleaned(joint.join(words[first : first + count])) or None


@lru_cache(maxsize=_REMEMBERED)
def content_words(text: str, language: str) -> tuple[str, ...]:
    """Give the different words of a text, in lower case and in its order, without those that are only grammar."""
    words = list(dict.fromkeys(word.lower() for word in _WORD.findall(text) if len(word) > 2))
    grammar = set(grammatical(words, language, alone=False))
    return tuple(word for word in words if word not in grammar)


def keywords(text: str, count: int, idf: Mapping[str, float], language: str, rng: random.Random) -> list[str] | None:
    """Give `count` of the text's ten weightiest words, by IDF · (1 + ln frequency), in its order.

    None where it has no four with an `idf` to choose from, or no spaces.
    """
    if not spaced(text) or len(text.split()) < FEWEST_WORDS:
        return None
    lower = text.lower()
    words = content_words(text, language)
    weight = {word: idf[word] * (1 + math.log(max(lower.count(word), 1))) for word in words if word in idf}
    best = sorted(weight, key=lambda word: (-weight[word], word))[:_RARE]
    if len(best) < 4:
        return None
    drawn = set(rng.sample(best, count))
    return [word for word in words if word in drawn]


@lru_cache(maxsize=_REMEMBERED)
def _sentences(text: str) -> tuple[str, ...]:
    return tuple(each for piece in _ENDS.split(text) if (each := cleaned(piece)))


def _fits(piece: str, text: str) -> bool:
    words = length(piece)
    return length(text) >= FEWEST_WORDS and _SENTENCE[0] <= words <= min(_SENTENCE[1], length(text) // 2)
