"""How a search looks in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridstore.cli.snippet import marked, snippet
from hybridstore.cli.terminal import console, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from hybridstore.records import Hit, Term, Trace
    from hybridstore.search.explain import Explanation

_WIDEST = 110  # columns of a passage: longer lines are hard to read
_WIDE = 100  # columns from which on a table of the hits has room for the legs' own scores
_MARGIN = 4
_TERMS_SHOWN = 12


def print_hits(trace: Trace, language: str, *, full: bool) -> None:
    """Print each hit: rank, title, place, both legs' ranks, and the lines that show why; or the whole passage."""
    from hybridstore.text.analysis import Analyser

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
    from hybridstore.search.trace_text import tell_alone, tell_confidence, tell_selection, tell_threshold, tell_weights
    from hybridstore.text.expressions import describe

    terminal = console()
    terminal.print(printable(explanation.query), style="bold")
    for note in explanation.notes:
        terminal.print(printable(note), style="yellow")
    if explanation.matching:
        terminal.print(printable("Must pass: " + "; ".join(map(describe, explanation.matching)) + "."))
    if explanation.keyword is not None:
        _print_terms(terminal, explanation)
    lines = [_legs(explanation), *tell_weights(explanation), *tell_alone(explanation.alone, explanation.hits)]
    lines += tell_threshold(explanation, explanation.min_relevance)
    if explanation.selection is not None:
        lines.append(tell_selection(explanation.selection))
    for line in lines:
        terminal.print(printable(line))
    if confidence := tell_confidence(explanation.evidence):
        terminal.print(confidence, style="bold")
    if explanation.hits:
        _print_table(terminal, explanation)
    else:
        terminal.print("Nothing was found.")
    if explanation.expected is not None:
        terminal.print()
        terminal.print(printable(explanation.expected.story), style="bold")
    steps = ", ".join(f"{step} {1000 * seconds:.1f}" for step, seconds in explanation.timings.items())
    terminal.print(f"\nMilliseconds: {steps}.", style="dim")


def _print_table(terminal: Console, explanation: Explanation) -> None:
    """Print the hits; where the score is a sum of evidence, its parts before weighting and what they are."""
    from rich.table import Table

    from hybridstore.search.rank_fusion import IDENTICAL

    evidence = explanation.evidence if explanation.fusion == "adaptive" else None
    relevant = any(hit.relevance is not None for hit in explanation.hits)
    wide = not evidence or terminal.width >= _WIDE
    names = ["", "document", "keyword", "BM25", "vector", "cosine"] if wide else ["", "document", "keyword", "vector"]
    names += ["words", "meaning"] if evidence else []
    names += ["score", "relevance"] if relevant else ["score"]
    table = Table(*names, box=None, pad_edge=False)
    for column in table.columns:
        column.justify, column.no_wrap = "right", True
    table.columns[1].justify, table.columns[1].no_wrap, table.columns[1].overflow = "left", False, "fold"
    for hit in explanation.hits:
        row = [_cell(hit.keyword_rank), _cell(hit.keyword_score), _cell(hit.vector_rank), _cell(hit.vector_score)]
        row = row if wide else row[::2]
        if evidence:
            place = evidence.at(hit.chunk_id)
            parts = () if place is None else (evidence.keyword[place], evidence.vector[place] / IDENTICAL)
            row += [f"{part:.2f}" for part in parts]
        row += [f"{hit.score:.4g}", "" if hit.relevance is None else f"{hit.relevance:.2f}"][: 1 + relevant]
        table.add_row(str(hit.rank), _name(hit), *row)
    terminal.print()
    terminal.print(table)
    if evidence:
        keyword, vector = explanation.weights
        terminal.print(
            f"score = {keyword:.3f} × words + {vector:.3f} × meaning, which is standard deviations above the average "
            f"chunk / {IDENTICAL:g}",
            style="dim",
        )


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
    scores = [f"score {hit.score:.4g}", *([] if hit.relevance is None else [f"relevance {hit.relevance:.2f}"])]
    terminal.print(_padded(Text(" · ".join([*place, ranks, *scores]), style="dim")), soft_wrap=True)
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
        what = printable(term.text) + _remark(term, explanation)
        table.add_row(what, f"{term.document_frequency:,}", f"{term.idf:.2f}", str(term.count))
    terminal.print(table)
    if len(terms) > _TERMS_SHOWN:
        terminal.print(f"and {len(terms) - _TERMS_SHOWN} more", style="dim")
    if explanation.ignored:
        ignored = ", ".join(explanation.ignored)
        terminal.print(printable(f"Ignored, for they only carry the grammar: {ignored}."), style="dim")


def _remark(term: Term, explanation: Explanation) -> str:
    if not term.document_frequency:
        return "  (in no passage)"
    if term.used:
        return ""
    return f"  (not asked for: {'within a phrase, or too common' if explanation.phrases else 'too common'})"


def _legs(explanation: Explanation) -> str:
    legs = [("keyword", explanation.keyword), ("vector", explanation.vector)]
    told = [f"{name} {len(ranking):,} candidates" for name, ranking in legs if ranking is not None]
    return f"\nSearched: {', '.join(told) or 'nothing'}, at most {explanation.depth:,}{' each' * (len(told) > 1)}."


def _name(hit: Hit) -> str:
    title = f"  {_line(hit.title)}" if hit.title not in {"", hit.document_id} else ""
    return f"{_line(hit.document_id)}{title} [{hit.start}:{hit.end}]"


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _line(text: str) -> str:
    return printable(" ".join(text.split()))


def _padded(row: Text) -> Text:
    from rich.text import Text

    return Text(" " * _MARGIN) + row
