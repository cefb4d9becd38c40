"""Fragments of a text that can serve as questions: sentences, runs of words, rare words. Pure functions on strings.

A fragment that is most of its text teaches nothing, since any search finds it; so none is longer than half of the text,
and none comes from a text of fewer than ten words. Text without spaces (Chinese, Japanese, Thai) is measured and cut in
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
from hybridstore.search.stopwords import stopwords_in

_CACHED = 512  # texts: every document gives one question before any gives a second
FEWEST_WORDS = 10  # of a text that fragments are taken from; with 24 a store of one-line texts had too few to learn
_SHORTEST, _LONGEST = 5, 12  # words of a crop
_SENTENCE = 4, 40  # fewest and most words of a sentence
_CHARACTERS = 3  # that say about as much as a word
_RARE = 10  # the words of a text that keywords are drawn from

# Thai, Lao, Burmese, Khmer, kana and Han, which are written without spaces.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]")
_ENDS = re.compile(r"(?<=[.!?।])\s+|(?<=[。！？])\s*|\n{2,}")
_QUOTES = re.compile(r"[\"“”„«»「」`*|<>]|'{2,}|(?<!\w)_+|_+(?!\w)")
_SIGNED = re.compile(rf"(?:^|(?<=\s))(?:-+(?=[^\W\d])|{FIELD}(?=\S)|#+\s)")
_WORD = re.compile(r"[^\W\d_][\w'’-]*\w")
_FILE_NAME = re.compile(r"(?:.*[/\\].*|.*\.[A-Za-z][A-Za-z0-9]{0,4})")


def cleaned(text: str) -> str:
    """Return a text on one line, without query syntax: quotes, a minus, `title:`."""
    return _SIGNED.sub("", " ".join(_QUOTES.sub(" ", text).split())).strip(" ,;:-–—·•")


@lru_cache(maxsize=_CACHED)
def spaced(text: str) -> bool:
    """Return whether most of a text is in a script that puts spaces between words."""
    return 2 * len(_UNSPACED.findall(text)) <= len("".join(text.split()))


@lru_cache(maxsize=_CACHED)
def length(text: str) -> int:
    """Return a text's length in words; three characters count as one where it has no spaces."""
    return len(text.split()) if spaced(text) else len("".join(text.split())) // _CHARACTERS


def is_file_name(title: str) -> bool:
    """Return whether a title is only a file's name, which is no question."""
    return _FILE_NAME.fullmatch(title.strip()) is not None


def opening(text: str) -> str | None:
    """Return the first sentence, None where it is too long or too short."""
    sentences = _sentences(text)
    return sentences[0] if sentences and _fits(sentences[0], text) else None


def sentence(text: str, rng: random.Random) -> str | None:
    """Return a random sentence after the first one, None where all are too long or too short."""
    fitting = [candidate for candidate in _sentences(text)[1:] if _fits(candidate, text)]
    return rng.choice(fitting) if fitting else None


def crop(text: str, rng: random.Random) -> str | None:
    """Return 5 to 12 consecutive words (15 to 36 characters without spaces), None for a short text."""
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


@lru_cache(maxsize=_CACHED)
def content_words(text: str, language: str) -> tuple[str, ...]:
    """Return the distinct words of a text, lower-cased and in its order, without stopwords."""
    words = list(dict.fromkeys(word.lower() for word in _WORD.findall(text) if len(word) > 2))
    grammar = set(stopwords_in(words, language, alone=False))
    return tuple(word for word in words if word not in grammar)


def keywords(text: str, count: int, idf: Mapping[str, float], language: str, rng: random.Random) -> list[str] | None:
    """Return `count` random ones of the text's ten words of highest IDF · (1 + ln frequency), in its order.

    None where fewer than four of its words have an `idf`, or it has no spaces.
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


@lru_cache(maxsize=_CACHED)
def _sentences(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (cleaned(piece) for piece in _ENDS.split(text))))


def _fits(sentence: str, text: str) -> bool:
    words = length(sentence)
    return length(text) >= FEWEST_WORDS and _SENTENCE[0] <= words <= min(_SENTENCE[1], length(text) // 2)
