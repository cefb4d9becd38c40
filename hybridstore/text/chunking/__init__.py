"""Chunking: exact spans of a text that follow its structure and fit an embedder's window.

Each format (plain, markdown, code) has a function that returns an `Outline`: sections and possible cuts, each with a
strength. One packer fills windows from any outline, so all formats have the same guarantees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridstore.errors import InputError
from hybridstore.records import Chunk
from hybridstore.text.chunking.code_outline import outline_code
from hybridstore.text.chunking.markdown_outline import first_heading, outline_markdown
from hybridstore.text.chunking.outline import outline_prose
from hybridstore.text.chunking.packer import Packer, TokenPositions, approximate_token_starts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["FORMATS", "VERSION", "approximate_token_starts", "chunk", "first_heading"]

# To be raised where texts are divided otherwise than before: chunks that were prepared elsewhere must be those that are
# made here (tests/text/test_chunking.py has the digest of some).
VERSION = 1

_OUTLINES = {"plain": outline_prose, "markdown": outline_markdown, "code": outline_code}

FORMATS = tuple(_OUTLINES)


def chunk(
    text: str,
    *,
    format: str = "plain",  # noqa: A002 - the same word as Document.format
    max_tokens: int,
    overlap: int | None = None,
    token_starts: Callable[[str], Sequence[int]] | None = None,
) -> list[Chunk]:
    """Return the text's chunks in order: ascending spans that together cover every non-space character.

    A chunk holds at most `max_tokens` tokens, counting those that start inside it; only a single character that is
    itself more tokens can exceed that. `overlap` is the most tokens a chunk repeats of the previous one (None: a tenth
    of the window); only whole sentences are repeated, and only where a paragraph was cut. `token_starts` returns the
    ascending offsets of a text's tokens; None approximates them by words and characters.

    A blank text is one chunk, (0, len(text)); no other chunk is blank. Takes time linear in the text.

    Raises InputError for an unknown format, a window below one token, or an overlap over half the window.
    """
    if format not in _OUTLINES:
        raise InputError(f"format={format!r} is not known; use one of {', '.join(FORMATS)}")
    if max_tokens < 1:
        raise InputError(f"max_tokens={max_tokens} leaves no room for a token; use 1 or more")
    if overlap is None:
        overlap = max_tokens // 10
    if not 0 <= overlap <= max_tokens // 2:
        raise InputError(f"overlap={overlap} must be between 0 and half of max_tokens ({max_tokens // 2})")
    if not text or text.isspace():
        return [Chunk(0, len(text))]
    counter = TokenPositions(text, token_starts or approximate_token_starts)
    if format == "plain" and len(counter.starts) <= max_tokens:  # most notes: nothing to cut
        return [Chunk(len(text) - len(text.lstrip()), len(text.rstrip()))]
    packer = Packer(text, _OUTLINES[format](text), counter, max_tokens=max_tokens, overlap=overlap)
    return list(packer.chunks())
