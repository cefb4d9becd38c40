"""How hits, explanations and notes look in a terminal: heads, snippets with their matches marked, tables of notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hybridstore.cli.document_names import shown_path, shown_paths
from hybridstore.cli.terminal import console, printable, table
from hybridstore.records import Hit
from hybridstore.search.snippets import Spans, best_of, densest, reflowed

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from hybridstore.memory import Note
    from hybridstore.search.explain import Explanation

MATCH = "bold yellow"

WIDEST = 110  # columns of a passage: longer lines are hard to read
MARGIN = 4
_LINES = 3
_WINDOW = 6_000  # characters around the densest place; wrapping a whole book for three lines takes seconds
_STYLES = {"query": "bold", "note": "yellow", "confidence": "bold", "hit": "cyan", "expected": "bold", "timing": "dim"}

_LONGEST = 500  # characters of a note's text that are put into its row
_MARK = "*"


@dataclass(frozen=True, slots=True)
class FoundHit:
    """A hit as it is shown: `place` is "notes/keys.md:12", "papers/a.pdf, p. 3", or the document's id and characters.

    `line` counts from 1; `page` is "p. 3", "slide 2" or "cell 4-5"; each is None where there is none. `body` is where
    its text begins after front matter, `spans` are those of matched words.
    """

    hit: Hit
    place: str
    line: int | None
    page: str | None
    body: int
    spans: Spans
    worth: bool

    @classmethod
    def of(cls, hit: Mapping[str, Any], shown: Mapping[str, Any]) -> FoundHit:
        """Return the hit of an answer; see `serving.warm_search.search`."""
        made = Hit(**{**hit, "copies": tuple(hit["copies"])})
        path = shown_path(made.document_id)
        if shown["line"]:
            place = f"{path}:{shown['line']}"
        else:
            place = f"{path}, {shown['page']}" if shown["page"] else f"{path} · characters {made.start:,}-{made.end:,}"
        return cls(made, place, **shown)

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return self.hit.to_dict() | {"place": self.place, "line": self.line, "page": self.page}


def print_hits(hits: Sequence[FoundHit], *, full: bool, terminal: Console | None = None) -> None:
    """Print each hit: rank, title, place, both legs' ranks, and the lines that match best; or the whole passage.

    A document's hits are printed together, where its best one stands. On a `terminal` of the caller's all is wrapped.
    """
    wraps, terminal = terminal is not None, terminal or console()
    width = min(terminal.width, WIDEST) - MARGIN
    by_document: dict[str, list[FoundHit]] = {}
    for found in hits:
        by_document.setdefault(found.hit.document_id, []).append(found)
    for found in (found for group in by_document.values() for found in group):
        first = by_document[found.hit.document_id][0]
        if found is first and found is not hits[0]:
            terminal.print()
        _print_head(terminal, found.hit, found.place, first.hit if found is not first else None)
        text, spans, body = found.hit.text.replace("\f", " "), found.spans, found.body  # \f is between pages
        if not spans or spans[-1][1] > body:  # else the front matter is what was found
            text, spans = text[body:], [(a - body, b - body) for a, b in spans if a >= body]
        whole = marked(text, spans) if full else None
        if whole is None:
            rows = snippet(text, spans, terminal, width)
        else:
            rows = list(whole.wrap(terminal, width) if wraps else whole.split("\n"))
        for row in rows:
            terminal.print(padded(row), soft_wrap=True)


def print_explanation(explanation: Explanation) -> None:
    """Print an explanation line by line, coloured by what each line is about."""
    terminal = console()
    for line in explanation.lines():
        terminal.print(printable(shown_paths(line.text)), style=_STYLES.get(line.kind))


def marked(text: str, spans: Spans) -> Text:
    """Return the whole passage with its matched words marked."""
    from rich.text import Text

    shown = Text(printable(text))
    for start, end in spans:
        shown.stylize(MATCH, start, end)
    return shown


def padded(row: Text) -> Text:
    """Return a line of text, indented."""
    from rich.text import Text

    return Text(" " * MARGIN) + row


def snippet(text: str, spans: Spans, console: Console, width: int, *, lines: int = _LINES) -> list[Text]:
    """Return at most `lines` consecutive lines of the text, wrapped to `width`, that hold most of the matched words.

    The number of different words counts first, then their total, then how early they stand. "…" stands for what is
    left out before and after.
    """
    from rich.text import Text

    start, end = densest(text, spans, _WINDOW)
    within = [(a - start, b - start) for a, b in spans if a >= start and b <= end]
    whole = marked(reflowed(text[start:end]), within)
    rows = [row for row in whole.wrap(console, width - 2, tab_size=4) if row.plain.strip()]
    if not rows:
        return []
    words = [[row.plain[span.start : span.end].casefold() for span in row.spans] for row in rows]
    first = best_of(len(rows) - lines + 1, lambda at: [word for row in words[at : at + lines] for word in row])
    chosen = rows[first : first + lines]
    for row in chosen:
        row.rstrip()
    if first or start:
        chosen[0] = Text("… ") + chosen[0]
    if first + lines < len(rows) or end < len(text):
        chosen[-1].append(" …")
    return chosen


def _print_head(terminal: Console, hit: Hit, place: str, above: Hit | None) -> None:
    """Print what is known about a hit; `above` is the document's first hit, whose title stands for both."""
    from rich.text import Text

    head = Text(f"{hit.rank:>2}. ", style="bold")
    path, _, rest = place.partition(" · ")
    if above is None:
        head.append(_one_line(hit.title or path), style="bold cyan")
        place = place if hit.title else rest
    if hit.heading and hit.heading != hit.title and (above is None or hit.heading != above.heading):
        head.append(f"{'' if above else '  '}{_one_line(hit.heading)}", style="cyan")
    if above is None or len(head.plain.strip()) > 3:
        terminal.print(head, soft_wrap=True)
    legs = [("keyword", hit.keyword_rank), ("vector", hit.vector_rank)]
    ranks = ", ".join(f"{leg} {rank}" for leg, rank in legs if rank is not None)
    scores = [f"score {hit.score:.4g}", *([] if hit.relevance is None else [f"relevance {hit.relevance:.2f}"])]
    terminal.print(
        padded(Text(" · ".join(filter(None, [_one_line(place), ranks, *scores])), style="dim")), soft_wrap=True
    )
    if hit.copies:
        same = f"the same in {', '.join(map(_one_line, hit.copies))}"
        terminal.print(padded(Text(same, style="dim")), soft_wrap=True)


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))


def print_notes(notes: Sequence[Note]) -> None:
    """Print each note's id, time and speaker, and the beginning of its text."""
    shown = _table("id", "time", "by", "text")
    shown.columns[-1].no_wrap = True
    for note in notes:
        shown.add_row(*_cells(note.id, note.time, note.speaker, note.text))
    console().print(shown)


def print_history(notes: Sequence[Note], now: datetime) -> None:
    """Print notes with the times at which they hold; those that hold now have a star."""
    shown = _table("", "id", "holds from", "until", "recorded", "text")
    for note in notes:
        end = min((end for end in (note.valid_to, note.expires_at) if end is not None), default=None)
        holds = note.holds(now)
        cells = _cells(_MARK if holds else "", note.id, note.valid_from, end, note.recorded_at, note.text)
        shown.add_row(*cells, style="bold" if holds else None)
    console().print(shown)


def print_clusters(clusters: Sequence[tuple[Sequence[Note], float]]) -> None:
    """Print clusters of notes with their similarity; the first note of each is kept and has a star."""
    if not clusters:
        return
    shown = _table("", "id", "time", "similarity", "text")
    for notes, similarity in clusters:
        for place, note in enumerate(notes):
            stays = place == 0
            cells = _cells(_MARK * stays, note.id, note.time, f"{similarity:.2f}" if stays else "", note.text)
            shown.add_row(*cells, style="bold" if stays else None)
        shown.add_section()
    console().print(shown)


def _table(*names: str) -> Table:
    """Return a table whose last column, the text, takes the remaining width; an id is never cut."""
    made = table(*names, expand=True)
    for name, column in zip(names, made.columns, strict=True):
        column.no_wrap, column.overflow = name != "id", "fold" if name == "id" else "ellipsis"
    made.columns[-1].ratio, made.columns[-1].no_wrap = 1, False
    return made


def _cells(*values: str | datetime | None) -> list[str]:
    from hybridstore.memory.notes import short_iso

    texts = [short_iso(value) if isinstance(value, datetime) else value or "" for value in values]
    return [printable(" ".join(text[:_LONGEST].split())) for text in texts]
