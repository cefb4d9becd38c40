"""Which queries quote documents that are purged: by a word, a name or bytes in a row that no other document has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from hybridstore.text.analysis import Analyser

_WINDOW, _SHORTEST, _PLAIN = 12, 6, 4  # bytes in a row, bytes of a whole name, different bytes that tell something


def quoting(
    queries: Iterable[str],
    gone: Collection[str],
    lost: Collection[str],
    is_left: Callable[[bytes], bool],
    analyser: Analyser,
) -> set[str]:
    """Return the queries that hold what was purged and `is_left` says no document holds any more.

    `gone` are all texts that were purged, `lost` the tokens that no chunk has any more. What tells something is such a
    token, a text of at least six bytes, or twelve bytes in a row.
    """
    names = {text.encode() for text in gone if _SHORTEST <= len(text.encode()) < _WINDOW}
    long, words = "\0".join(gone).encode(), set(lost)

    def quotes(query: str) -> bool:
        if not words.isdisjoint(" ".join(analyser.index(query)).split()):
            return True
        said = query.encode()
        windows = {said[n : n + _WINDOW] for n in range(len(said) - _WINDOW + 1)}
        pieces = {window for window in windows if window in long} | {name for name in names if name in said}
        return any(len(set(piece)) >= _PLAIN and not is_left(piece) for piece in pieces)

    return set(filter(quotes, queries))
