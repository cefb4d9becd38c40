"""Whether two texts say the same: in nearly the same words, and whatever may carry meaning in the same order.

Neither the cosine nor a count of words can tell a fact from its correction: "not", another number or another name
leaves a long text nearly what it was, and "Anna owes Ben" has the words of "Ben owes Anna". So what is hidden as a
repetition differs from what is kept by case, white space, punctuation, and a few words that say nothing, and by nothing
else.
"""

from __future__ import annotations

import re
import unicodedata

from hybridstore.search.selection import bag, plain, same_words

_TOKEN = re.compile(  # a number with its sign, a word, one character of scripts without spaces, or a sign that tells
    r"(?:(?<!\w)[-+])?\d+(?:[.,:/–-]\d+)*"
    "|[^\\W\\d\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]+(?:'[^\\W\\d]+)*"
    "|\\w"
    r"|(?<!\w)-|-(?!\w)"  # between letters a hyphen is often left out
    r"|[^\s\w.,;:!…\"'`´“”„‚‘«»()\[\]{}–—-]"
)
# What may be there or not: nothing among it denies, counts, compares, points, or says when or who.
_SAYS_NOTHING = frozenset(("the", "an", "also", "actually", "indeed", "please"))


def essence(text: str) -> tuple[str, ...]:
    """Give what must be the same, in order, of texts that say the same: words, numbers and signs.

    A text that has none is its own essence. Forms of characters count: 10² is not 102.
    """
    tokens = _TOKEN.findall(unicodedata.normalize("NFC", text).casefold().replace("’", "'"))
    return tuple(token for token in tokens if token not in _SAYS_NOTHING) or tuple(tokens) or (text,)


def repeats(text: str, other: str) -> bool:
    """Say whether texts of the same essence have nearly the same words, and the same numbers."""
    return repeats_exactly(text, other) or same_words(bag(text), bag(other))


def repeats_exactly(text: str, other: str) -> bool:
    """Say whether texts differ in case and white space alone."""
    return plain(text) == plain(other)
