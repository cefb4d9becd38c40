"""Comparison report: two runs compared, as one HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from hybridstore.errors import InputError
from hybridstore.evaluation.evaluation_report import difference_plots, interval, interval_plot
from hybridstore.evaluation.metrics import heading
from hybridstore.views.html_page import element, facts, figures, page, section, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hybridstore.evaluation.significance import Compared, QueryDifference


def comparison_report(results: Sequence[Compared], *, about: Mapping[str, str], texts: Mapping[str, str]) -> str:
    """Return the page, with the queries' texts (id → text) as far as they are there.

    The same arguments give the same bytes. No comparison at all is an InputError.
    """
    if not results:
        raise InputError("nothing was compared; name at least one metric")
    head = ["metric", "A", "B", "B − A, 95 % interval", "B better / worse / equal"]
    rows = [
        [
            heading(result.metric),
            f"{result.comparison.mean_a:.4f}",
            f"{result.comparison.mean_b:.4f}",
            interval(result.comparison),
            f"{result.comparison.wins:,} / {result.comparison.losses:,} / {result.comparison.ties:,}",
        ]
        for result in results
    ]
    plot = interval_plot([(heading(result.metric), result.comparison) for result in results], "B − A")
    note = "One bar per query."
    bars = difference_plots({f"B − A, {heading(result.metric)}": (result.rows, note) for result in results})
    first = results[0]
    named = heading(first.metric)
    return page(
        "A against B",
        element("p", f"n = {first.comparison.n:,} queries; the means are taken over them, and so are the intervals."),
        facts(about),
        section("Metrics", table(head, rows), figures(plot)),
        section("Query by query", bars),
        _listed(f"The greatest gains of B, {named}", first.rows.wins(), texts),
        _listed(f"The greatest losses of B, {named}", first.rows.losses(), texts),
        _listed(f"Worst queries of B, {named}", first.rows.worst(), texts),
    )


def _listed(title: str, rows: Sequence[QueryDifference], texts: Mapping[str, str]) -> Markup:
    if not rows:
        return section(title, element("p", "None."))
    cells = (
        [
            row.query,
            *([element("span", texts.get(row.query, ""), dir="auto")] if texts else []),
            f"{row.a:.4f}",
            f"{row.b:.4f}",
            f"{row.difference:+.4f}",
        ]
        for row in rows
    )
    head = ["query", *(["text"] if texts else []), "A", "B", "B − A"]
    return section(title, table(head, cells, texts=len(head) - 3))
