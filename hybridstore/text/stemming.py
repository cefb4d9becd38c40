"""Stemming: the Snowball stemmer of each word, by its script and the store's language."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import lru_cache

import Stemmer

from hybridstore.errors import InputError

LONGEST = 128  # characters of a token; anything longer is data, not a word
_CACHED = 2**14  # stems, of 3 MB

# The script of a word determines its stemmer, whatever the store's language.
_SCRIPTS = {"CYRILLIC": "russian", "GREEK": "greek", "ARABIC": "arabic", "DEVANAGARI": "hindi", "TAMIL": "tamil"}
LANGUAGES = ("none", *sorted(Stemmer.algorithms()))


class Stemming:
    """The stemmers of a text in one language: a Snowball name, or "none". Raises InputError for an unknown language.

    `umlauts` gives German words the spelling that is stemmed.
    """

    def __init__(self, language: str, umlauts: Callable[[str], str]) -> None:
        if language not in LANGUAGES:
            raise InputError(f"language {language!r} is not known; choose one of {', '.join(LANGUAGES)}")
        self.language = language
        self._umlauts = umlauts
        self._stemmers: dict[str, Callable[[str], str]] = {}
        # English terms stand inside Russian or Arabic text.
        self._ascii = self._stemmer("english" if language in _SCRIPTS.values() else language)
        # A look-up takes a tenth of the stemming; a third of the words of a new text's pieces were stemmed before.
        self.stem: Callable[[str], str] = _Stems(self._stem).__getitem__

    def _stem(self, word: str) -> str:
        """Return the stem of a folded word, at most 128 characters of it."""
        if len(word) > LONGEST:
            return word[:LONGEST]
        if word.isascii():
            return self._ascii(word) or word
        return self._stemmer(_script_language(word[0]) or self.language)(word) or word

    def _stemmer(self, language: str) -> Callable[[str], str]:
        """Return the stemmer of a language."""
        if self.language == "none":
            return str
        known = self._stemmers.get(language)
        if known is None:
            # No cache of the stemmer's own: it is not safe between threads, and the analyser's makes it needless.
            stem = Stemmer.Stemmer(language, 0).stemWord
            known = (lambda word: stem(self._umlauts(word)) or self._umlauts(word)) if language == "german" else stem
            self._stemmers[language] = known
        return known


class _Stems(dict[str, str]):
    """The stems of words, made when they are looked up, in two thirds of `lru_cache`'s time."""

    def __init__(self, stem: Callable[[str], str]) -> None:
        super().__init__()
        self._stem = stem

    def __missing__(self, word: str) -> str:
        if len(self) >= _CACHED:
            self.clear()
        self[word] = stem = self._stem(word)
        return stem


@lru_cache(maxsize=4096)
def _script_language(character: str) -> str | None:
    return _SCRIPTS.get(unicodedata.name(character, "").partition(" ")[0])
