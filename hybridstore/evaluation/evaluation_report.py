"""Evaluation report: metrics, intervals, failures and worst queries as one HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from hybridstore.errors import InputError
from hybridstore.evaluation.evaluation_results import better_leg, leg_findings, relevant_found, shared
from hybridstore.evaluation.metrics import expected_calibration_error, heading
from hybridstore.evaluation.significance import QueryDifferences
from hybridstore.views import svg_plots
from hybridstore.views.html_page import element, facts, figure, figures, page, section, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hybridstore.evaluation.evaluation_results import Evaluation, Pair
    from hybridstore.evaluation.significance import RunComparison
    from hybridstore.records import Document

_WORST = 10  # queries shown in full
_SHOWN = 3  # expected documents, and first documents, per query
_EXCERPT = 160  # characters


def evaluation_report(
    evaluation: Evaluation, compared: Sequence[Pair], *, about: Mapping[str, str], documents: Mapping[str, Document]
) -> str:
    """Return the page. The same arguments give the same bytes.

    `compared` are the hybrids against the legs (`pairs`), `about` what else was measured with (name → value),
    `documents` those that `documents_shown` asks for, as far as they are there. An evaluation of no search method
    is an InputError.
    """
    main = _main(evaluation)
    return page(
        f"{evaluation.collection}, {evaluation.split}",
        element("p", f"n = {evaluation.n:,} queries; the means are taken over them, and so are the intervals."),
        facts({**about, **_left_out(evaluation)}),
        _metrics(evaluation),
        *_intervals(compared),
        *_differences(evaluation),
        *_legs(evaluation),
        *_calibration(evaluation),
        _worst(evaluation, main, documents),
        _latency(evaluation),
    )


def documents_shown(evaluation: Evaluation) -> frozenset[str]:
    """Return the ids of the documents whose title or text the page shows."""
    main = _main(evaluation)
    shown = set[str]()
    for query in evaluation.worst(main, evaluation.metrics[0], _WORST):
        shown.update(_expected(evaluation, query)[:_SHOWN], evaluation.run(main).documents(query)[:_SHOWN])
    return frozenset(shown)


def interval(comparison: RunComparison) -> str:
    """Write a difference with its interval: "+0.0120 (+0.0030 to +0.0210)"."""
    return f"{comparison.difference:+.4f} ({comparison.low:+.4f} to {comparison.high:+.4f})"


def interval_plot(rows: Sequence[tuple[str, RunComparison]], title: str) -> Markup:
    """Return a figure of differences with their intervals, by name."""
    drawn = [(name, comparison.difference, comparison.low, comparison.high) for name, comparison in rows]
    caption = "Dot: difference of the means. Line: its 95 % interval. Grey: it may be luck with the queries."
    return figure(title, svg_plots.intervals(drawn), caption)


def difference_plots(rows: Mapping[str, tuple[QueryDifferences, str]]) -> Markup:
    """Return a figure of per-query differences for each title, with a remark below it, all on one scale."""
    greatest = max((abs(row.difference) for differences, _ in rows.values() for row in differences.rows), default=0.0)
    reach = next(limit for limit in (0.2, 0.5, 1.0) if greatest <= limit)
    drawn = []
    for title, (differences, remark) in rows.items():
        wins, losses = len(differences.wins(len(differences.rows))), len(differences.losses(len(differences.rows)))
        ties = len(differences.rows) - wins - losses
        caption = f"{remark} Better on {wins:,}, worse on {losses:,}, equal on {ties:,}."
        bars = svg_plots.differences([(row.query, row.difference) for row in differences.rows], reach)
        drawn.append(figure(title, bars, caption))
    return figures(*drawn)


def _main(evaluation: Evaluation) -> str:
    names = (*evaluation.hybrids, *evaluation.modes)
    if not names:
        raise InputError("nothing was evaluated; choose at least one mode")
    return names[0]


def _left_out(evaluation: Evaluation) -> dict[str, str]:
    counted = {
        "judged queries left out: no relevant document": len(evaluation.left_out),
        "judged queries left out: no text": len(evaluation.unknown_queries),
        "judged documents not in the corpus": len(evaluation.unknown_documents),
    }
    return {name: f"{count:,}" for name, count in counted.items() if count}


def _metrics(evaluation: Evaluation) -> Markup:
    best = {name: max(evaluation.mean(mode, name) for mode in evaluation.modes) for name in evaluation.metrics}
    rows = []
    for mode, measured in evaluation.modes.items():
        means = {name: evaluation.mean(mode, name) for name in evaluation.metrics}
        shown = [
            element("strong", f"{mean:.4f}") if mean == best[name] and mean > 0 else f"{mean:.4f}"
            for name, mean in means.items()
        ]
        times = [f"{1000 * measured.latency(percent):.1f}" for percent in (50, 95)]
        rows.append([mode, *shown, *times, f"{len(measured.scores.empty):,}"])
    head = ["search", *map(heading, evaluation.metrics), "p50 ms", "p95 ms", "no results"]
    return section("Metrics", table(head, rows))


def _intervals(compared: Sequence[Pair]) -> Iterator[Markup]:
    if not compared:
        return
    rows = [
        [
            heading(pair.metric),
            f"{pair.b} − {pair.a}",
            interval(pair.comparison),
            f"{pair.comparison.wins:,} / {pair.comparison.losses:,} / {pair.comparison.ties:,}",
        ]
        for pair in compared
    ]
    drawn = [
        interval_plot(
            [(f"{pair.b} − {pair.a}", pair.comparison) for pair in compared if pair.metric == metric], heading(metric)
        )
        for metric in dict.fromkeys(pair.metric for pair in compared)
    ]
    head = ["metric", "difference", "95 % interval", "better / worse / equal"]
    yield section("Hybrid against each leg", table(head, rows, texts=2), figures(*drawn))


def _differences(evaluation: Evaluation) -> Iterator[Markup]:
    if not (evaluation.hybrids and evaluation.legs and evaluation.n):
        return
    metric, main = evaluation.metrics[0], _main(evaluation)
    values, bars = evaluation.values(main, metric), "One bar per query."
    against = {leg: (QueryDifferences.of(evaluation.values(leg, metric), values), bars) for leg in evaluation.legs}
    if len(evaluation.legs) > 1:
        hindsight = "Against the leg that did better on that very query, which only hindsight can choose."
        against = {
            "the better leg": (QueryDifferences.of(better_leg(evaluation, metric), values), hindsight),
            **against,
        }
    drawn = difference_plots({f"{main} − {leg}": rows for leg, rows in against.items()})
    yield section(f"Query by query, {heading(metric)}", drawn)


def _legs(evaluation: Evaluation) -> Iterator[Markup]:
    if len(evaluation.legs) < 2 or not evaluation.n:
        return
    keyword, vector, judged = evaluation.run("keyword"), evaluation.run("vector"), evaluation.judged
    counts = shared(keyword, vector, judged.answerable)
    overlap = figure(
        "Documents that both legs have in their first ten",
        svg_plots.histogram(counts, [str(number) for number in range(len(counts))]),
        f"Queries by how many of the ten are the same; {sum(n * c for n, c in enumerate(counts)) / sum(counts):.1f} in "
        "the mean. The fewer, the more there is to gain by joining the legs, or to lose.",
    )
    depths = [leg_findings(keyword, vector, judged, k) for k in (10, 100) if k <= evaluation.limit or k == 10]
    names = ("both legs", "keyword only", "vector only", "neither")
    counts_at = {f"first {at.k}": (at.both, at.keyword, at.vector, at.neither) for at in depths}
    origin = figure(
        "Which leg finds the relevant documents",
        svg_plots.shares(list(counts_at.items())),
        f"All {depths[0].total:,} relevant documents of all queries.",
        names,
    )
    main = evaluation.hybrids[:1]
    rows = [
        [
            name,
            *(_share(count, at.total) for count in counts),
            *(_share(relevant_found(evaluation.run(hybrid), judged, at.k), at.total) for hybrid in main),
        ]
        for (name, counts), at in zip(counts_at.items(), depths, strict=True)
    ]
    head = ["relevant documents", *names, *(f"found by {name}" for name in main)]
    yield section("Contribution of each leg", figures(overlap, origin), table(head, rows))


def _share(count: int, total: int) -> str:
    return f"{count:,} ({count / total if total else 0:.0%})"


def _calibration(evaluation: Evaluation) -> Iterator[Markup]:
    reliabilities = ((name, evaluation.reliability(name)) for name in evaluation.hybrids)
    calibrated = [(name, bins) for name, bins in reliabilities if bins is not None]
    if not calibrated:
        return
    drawn = []
    for name, bins in calibrated:
        error = expected_calibration_error(bins)
        caption = (
            "One dot per tenth of relevance, larger with more hits. On the dashed line relevance is "
            f"calibrated; below it is overconfident. Expected calibration error {error:.3f}."
        )
        drawn.append(figure(name, svg_plots.reliability(bins), caption))
        counts = [bin_.count for bin_ in bins]
        lows = [f"{bin_.low:.1f}" for bin_ in bins]
        drawn.append(
            figure(
                f"{name}: hits by relevance", svg_plots.histogram(counts, lows), "Below each column, where it begins."
            )
        )
    note = (
        "The first ten documents of each query by the relevance they were given. An unjudged document counts "
        "as not relevant, so where few were judged the dots lie too low."
    )
    yield section("Is the relevance calibrated?", element("p", note), figures(*drawn))


def _worst(evaluation: Evaluation, main: str, documents: Mapping[str, Document]) -> Markup:
    metric = evaluation.metrics[0]
    cards = []
    for query in evaluation.worst(main, metric, _WORST):
        values = (f"{mode} {evaluation.values(mode, metric)[query]:.3f}" for mode in evaluation.modes)
        relevant, first = _expected(evaluation, query), evaluation.run(main).documents(query)[:_SHOWN]
        more = [element("p", f"and {len(relevant) - _SHOWN:,} more", class_="soft")] if len(relevant) > _SHOWN else []
        expected = (
            element("li", _named(document, documents), _ranks(evaluation, query, document))
            for document in relevant[:_SHOWN]
        )
        came = [element("li", _named(document, documents), _graded(evaluation, query, document)) for document in first]
        cards.append(
            element(
                "article",
                element("h3", evaluation.texts.get(query, query), dir="auto"),
                element("p", f"{query}: {heading(metric)} {', '.join(values)}", class_="soft"),
                element("p", "Expected"),
                element("ul", *expected),
                *more,
                element("p", f"Came first in {main}"),
                element("ol", *came) if came else element("p", "nothing", class_="soft"),
            )
        )
    return section(f"Worst queries of {main}", *cards)


def _expected(evaluation: Evaluation, query: str) -> tuple[str, ...]:
    """Return the relevant documents, the highest grades first."""
    grades = evaluation.judged.of(query)
    return tuple(sorted((document for document in grades if grades[document] > 0), key=lambda d: (-grades[d], d)))


def _named(identifier: str, documents: Mapping[str, Document]) -> Markup:
    if identifier not in documents:
        return element("span", identifier)
    document = documents[identifier]
    words = " ".join(f"{document.title} {document.text}".split())
    cut = words if len(words) <= _EXCERPT else words[:_EXCERPT].rstrip() + "…"
    return element("span", element("strong", identifier), " ", element("span", cut, dir="auto"))


def _ranks(evaluation: Evaluation, query: str, document: str) -> Markup:
    ranks = []
    for mode in evaluation.modes:
        ranked = evaluation.run(mode).documents(query)
        ranks.append(f"{mode} {ranked.index(document) + 1 if document in ranked else '—'}")
    return element("span", f" (rank: {', '.join(ranks)})", class_="soft")


def _graded(evaluation: Evaluation, query: str, document: str) -> Markup:
    grade = evaluation.judged.of(query).get(document)
    return element("span", " (not judged)" if grade is None else f" (judged {grade})", class_="soft")


def _latency(evaluation: Evaluation) -> Markup:
    series = {name: [1000 * seconds for seconds in measured.seconds] for name, measured in evaluation.modes.items()}
    caption = "The share of searches that took at most so long. The axis is logarithmic."
    rows = [
        [name, *(f"{1000 * measured.latency(percent):.2f}" for percent in (50, 90, 95, 99, 100))]
        for name, measured in evaluation.modes.items()
    ]
    head = ["milliseconds", "p50", "p90", "p95", "p99", "longest"]
    drawn = figure("Time of one search in milliseconds", svg_plots.latencies(series), caption, list(series))
    return section("Latency", figures(drawn), table(head, rows))
