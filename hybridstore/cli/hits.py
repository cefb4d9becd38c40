"""How a search looks in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridstore.cli.snippet import marked, snippet
from hybridstore.cli.terminal import console, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from hybridstore.records import Hit, Trace
    from hybridstore.search.explain import Explanation

_WIDEST = 110  # columns of a passage: longer lines are hard to read
_MARGIN = 4
_TERMS_SHOWN = 12


def print_hits(trace: Trace, language: str, *, full: bool) -> None:
    """Print each hit: rank, title, place, both legs' ranks, and the lines that show why; or the whole passage."""
    from hybridstore.analysis import Analyser

    terminal = console()
    analyser = Analyser(language)
    terms = {term.text for term in trace.terms}
    width = min(terminal.width, _WIDEST) - _MARGIN
    for hit in trace.hits:
        if hit.rank > 1:
            terminal.print()
        _print_head(terminal, hit)
        spans = analyser.spans(hit.text, terms)
        rows = marked(hit.text, spans).split("\n") if full else snippet(hit.text, spans, terminal, width)
        for row in rows:
            terminal.print(_padded(row), soft_wrap=True)


def print_explanation(explanation: Explanation) -> None:
    """Print what a search did: the terms, the legs, a table of the hits, and where an expected one was lost."""
    from rich.table import Table

    from hybridstore.expressions import tell
    from hybridstore.search.explain import tell_selection

    terminal = console()
    terminal.print(printable(explanation.query), style="bold")
    for note in explanation.notes:
        terminal.print(printable(note), style="yellow")
    if explanation.matching:
        terminal.print(printable("Must pass: " + "; ".join(map(tell, explanation.matching)) + "."))
    if explanation.keyword is not None:
        _print_terms(terminal, explanation)
    terminal.print(_legs(explanation))
    if explanation.selection is not None:
        terminal.print(tell_selection(explanation.selection))
    if not explanation.hits:
        terminal.print("Nothing was found.")
    else:
        table = Table("", "document", "keyword", "BM25", "vector", "cosine", "score", box=None, pad_edge=False)
        for column in (0, 2, 3, 4, 5, 6):
            table.columns[column].justify = "right"
            table.columns[column].no_wrap = True
        table.columns[1].overflow = "fold"
        for hit in explanation.hits:
            legs = (
                _cell(hit.keyword_rank),
                _cell(hit.keyword_score),
                _cell(hit.vector_rank),
                _cell(hit.vector_score),
            )
            table.add_row(str(hit.rank), _name(hit), *legs, f"{hit.score:.4g}")
        terminal.print()
        terminal.print(table)
    if explanation.expected is not None:
        terminal.print()
        terminal.print(printable(explanation.expected.story), style="bold")
    steps = ", ".join(f"{step} {1000 * seconds:.1f}" for step, seconds in explanation.timings.items())
    terminal.print(f"\nMilliseconds: {steps}.", style="dim")


def _print_head(terminal: Console, hit: Hit) -> None:
    from rich.text import Text

    head = Text(f"{hit.rank:>2}. ", style="bold")
    head.append(_line(hit.title or hit.document_id), style="bold cyan")
    if hit.heading and hit.heading != hit.title:
        head.append(f"  {_line(hit.heading)}", style="cyan")
    terminal.print(head, soft_wrap=True)
    place = [_line(hit.document_id)] if hit.title else []
    place += [f"characters {hit.start:,}-{hit.end:,}"]
    legs = [("keyword", hit.keyword_rank), ("vector", hit.vector_rank)]
    ranks = ", ".join(f"{leg} {rank}" for leg, rank in legs if rank is not None)
    terminal.print(_padded(Text(" · ".join([*place, ranks, f"score {hit.score:.4g}"]), style="dim")), soft_wrap=True)
    if hit.copies:
        same = f"the same in {', '.join(map(_line, hit.copies))}"
        terminal.print(_padded(Text(same, style="dim")), soft_wrap=True)


def _print_terms(terminal: Console, explanation: Explanation) -> None:
    from rich.table import Table

    table = Table("term", "in chunks", "idf", "times", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    terms = sorted(explanation.terms, key=lambda term: -term.idf)
    for term in terms[:_TERMS_SHOWN]:
        used = "" if term.used else "  (not asked for: too common)"
        table.add_row(printable(term.text) + used, f"{term.document_frequency:,}", f"{term.idf:.2f}", str(term.count))
    terminal.print(table)
    if len(terms) > _TERMS_SHOWN:
        terminal.print(f"and {len(terms) - _TERMS_SHOWN} more", style="dim")


def _legs(explanation: Explanation) -> str:
    legs = [("keyword", explanation.keyword), ("vector", explanation.vector)]
    told = [f"{name} {len(ranking):,} candidates" for name, ranking in legs if ranking is not None]
    if explanation.keyword is None or explanation.vector is None:
        return f"\nSearched: {', '.join(told) or 'nothing'}, at most {explanation.depth:,}."
    keyword, vector = explanation.weights
    top = set(explanation.keyword.chunks[:10].tolist()) & set(explanation.vector.chunks[:10].tolist())
    return (
        f"\nSearched: {', '.join(told)}, at most {explanation.depth:,} each; {len(top)} of the top 10 in both. "
        f"Fused by {explanation.fusion} with the weights {keyword:g} and {vector:g}."
    )


def _name(hit: Hit) -> str:
    title = f"  {_line(hit.title)}" if hit.title else ""
    return f"{_line(hit.document_id)}{title} [{hit.start}:{hit.end}]"


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _line(text: str) -> str:
    return printable(" ".join(text.split()))


def _padded(row: Text) -> Text:
    from rich.text import Text

    return Text(" " * _MARGIN) + row
