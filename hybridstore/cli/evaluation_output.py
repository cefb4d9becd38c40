"""How what was measured looks in a terminal, and how a report is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridstore.cli.terminal import console, printable, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rich.table import Table

    from hybridstore.evaluation import Compared, Evaluation, Pair, Query, QueryDifference, Scores


def print_evaluation(result: Evaluation, compared: Sequence[Pair], seconds: Mapping[str, float]) -> None:
    """Print a row for each way of searching, hybrid's differences to the legs, and what was left out."""
    from hybridstore.evaluation.metrics import heading

    headings = (*map(heading, result.metrics), "p50 ms")
    table = _table("mode", headings, title=f"{result.collection}, {result.split}")
    for mode, measured in result.modes.items():
        numbers = (f"{result.mean(mode, name):.4f}" for name in result.metrics)
        table.add_row(mode, *numbers, f"{1000 * measured.latency(50):.1f}")
    terminal = console()
    terminal.print(table)
    terminal.print(
        f"n = {result.n} queries; indexed in {seconds['index']:.1f} s, searched in {seconds['search']:.1f} s"
    )
    for pair in compared:
        if pair.metric == result.metrics[0]:
            each = pair.comparison
            luck = "" if each.significant else "; it may be luck with the queries"
            terminal.print(
                f"{heading(pair.metric)}, {pair.b} - {pair.a}: {each.difference:+.4f} "
                f"(95 % between {each.low:+.4f} and {each.high:+.4f}){luck}",
                soft_wrap=True,
            )
    for number, what in (
        (len(result.left_out), "judged queries have no relevant document and are left out"),
        (len(result.unknown_queries), "judged queries have no text in queries.jsonl and are left out"),
        (len(result.unknown_documents), "judged documents are not in the corpus and count as not found"),
    ):
        if number:
            terminal.print(f"{number} {what}")


def print_scores(name: str, scores: Scores, worst: Sequence[tuple[str, float]], queries: Mapping[str, Query]) -> None:
    """Print a run's means and its worst queries by the first metric."""
    from hybridstore.evaluation.metrics import heading

    headings = [heading(metric) for metric in scores.values]
    table = _table("run", headings)
    table.add_row(printable(name), *(f"{mean:.4f}" for mean in scores.means().values()))
    terminal = console()
    terminal.print(table)
    terminal.print(f"n = {scores.n} queries")
    if scores.left_out:
        terminal.print(f"{len(scores.left_out)} judged queries have no relevant document and are left out")
    if scores.empty:
        terminal.print(f"{len(scores.empty)} queries have no results; they count as 0.")
    lowest = _table("query", headings[:1], title="worst queries", texts=bool(queries))
    for query, value in worst:
        lowest.add_row(printable(query), *_text(query, queries), f"{value:.4f}")
    terminal.print(lowest)


def print_comparison(results: Sequence[Compared], queries: Mapping[str, Query]) -> None:
    """Print each metric's difference with its interval, and by the first one the queries that stand out."""
    terminal = console()
    for result in results:
        each = result.comparison
        terminal.print(
            f"{result.metric}: A {each.mean_a:.4f}, B {each.mean_b:.4f}, B - A {each.difference:+.4f} "
            f"(95 % between {each.low:+.4f} and {each.high:+.4f}), n = {each.n}",
            soft_wrap=True,
        )
        terminal.print(f"B is better on {each.wins}, worse on {each.losses}, equal on {each.ties}.")
        verdict = "is more than luck with the queries" if each.significant else "may be luck with the queries"
        terminal.print(f"The difference {verdict}.")
    rows = results[0].rows
    for title, chosen in (
        ("greatest gains of B", rows.wins()),
        ("greatest losses of B", rows.losses()),
        ("worst queries of B", rows.worst()),
    ):
        if chosen:
            terminal.print(_rows(f"{title}, {results[0].metric}", chosen, queries))


def write_page(page: str, path: Path) -> None:
    """Write a report and say where; a file that cannot be written is an InputError."""
    from hybridstore.errors import InputError

    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
    say(f"The report is in {path}")


def _rows(title: str, rows: Iterable[QueryDifference], queries: Mapping[str, Query]) -> Table:
    table = _table("query", ("A", "B", "B - A"), title=title, texts=bool(queries))
    for row in rows:
        numbers = f"{row.a:.4f}", f"{row.b:.4f}", f"{row.difference:+.4f}"
        table.add_row(printable(row.query), *_text(row.query, queries), *numbers)
    return table


def _text(query: str, queries: Mapping[str, Query]) -> list[str]:
    if not queries:
        return []
    return [printable(" ".join(queries[query].text.split())) if query in queries else ""]


def _table(first: str, numbers: Iterable[str], *, title: str | None = None, texts: bool = False) -> Table:
    from rich.table import Table

    table = Table(first, *(["text"] if texts else []), title=None if title is None else printable(title))
    for name in numbers:
        table.add_column(name, justify="right")
    return table
