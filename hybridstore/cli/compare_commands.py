"""`judge`: how good a run is; `compare`: whether one run is better than another."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.shared_options import Decorator, examples, json_option, options
from hybridstore.cli.terminal import console, print_json, printable, table, write_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hybridstore.evaluation import Compared, Query, QueryDifference, Run, Scores

FILE = click.Path(dir_okay=False, path_type=Path)
_WORST = 10


def metric_option(default: str) -> Decorator:
    """`--metric`, with the metrics that are computed without it."""
    return click.option(
        "--metric",
        "metrics",
        multiple=True,
        metavar="NAME",
        help=f"ndcg, map, mrr, recall or p, with @K; repeatable. Default: {default}.",
    )


def _judging_options(metrics: str) -> Decorator:
    return options(
        click.option("--qrels", "qrels_file", required=True, type=FILE, metavar="FILE", help="BEIR or TREC judgments."),
        metric_option(metrics),
        click.option(
            "--queries",
            "queries_path",
            type=click.Path(path_type=Path),
            metavar="PATH",
            help="The queries' texts: queries.jsonl, a table (.tsv) of id and text, or a collection.",
        ),
    )


@click.command(
    epilog=examples(
        "hybridstore judge other.run --qrels scifact/qrels/test.tsv",
        "hybridstore judge other.run --qrels qrels.txt --metric map --metric ndcg@20 --queries scifact",
    )
)
@click.argument("run_file", metavar="RUN", type=FILE)
@_judging_options("ndcg@10, recall@100 and mrr@10")
@json_option
def judge(
    *, run_file: Path, qrels_file: Path, metrics: tuple[str, ...], queries_path: Path | None, as_json: bool
) -> None:
    """Measure RUN, a TREC run made by any system, by the judgments in --qrels (BEIR or TREC).

    Every judged query with a relevant document counts; one without results in the run counts as 0.
    """
    from hybridstore.evaluation import read_qrels, read_run, score
    from hybridstore.evaluation.metrics import STANDARD

    queries = _queries(queries_path)
    names = tuple(dict.fromkeys(metrics or STANDARD))
    scores = score(read_run(run_file), read_qrels(qrels_file), names)
    lowest = sorted(scores.values[names[0]].items(), key=lambda item: (item[1], item[0]))[:_WORST]
    if as_json:
        counts = {"left_out": len(scores.left_out), "no_results": len(scores.empty)}
        worst = [{"query": query, names[0]: value, **_text(query, queries)} for query, value in lowest]
        print_json({"run": str(run_file), "n": scores.n, **scores.means(), **counts, "worst": worst})
    else:
        _print_scores(run_file.name, scores, lowest, queries)


@click.command(
    epilog=examples(
        "hybridstore compare runs/a.run runs/b.run --qrels scifact/qrels/test.tsv",
        "hybridstore compare a.run b.run --qrels qrels.txt --queries scifact --report a-b.html",
    )
)
@click.argument("run_a", type=FILE)
@click.argument("run_b", type=FILE)
@_judging_options("ndcg@10")
@click.option("--resamples", default=10_000, type=click.IntRange(1), help="Bootstrap resamples for the interval.")
@click.option("--seed", default=0, help="The same seed gives the same interval.")
@click.option("--report", "report_file", type=FILE, metavar="FILE", help="Write an HTML page that opens offline.")
@json_option
def compare(
    *,
    run_a: Path,
    run_b: Path,
    qrels_file: Path,
    metrics: tuple[str, ...],
    queries_path: Path | None,
    resamples: int,
    seed: int,
    report_file: Path | None,
    as_json: bool,
) -> None:
    """Test whether RUN_B is better than RUN_A, two TREC runs, by the judgments in --qrels (BEIR or TREC).

    The difference is B minus A, with its 95 % interval from a paired bootstrap over the queries. The queries with the
    greatest gains and losses are those of the first metric.
    """
    from hybridstore import __version__
    from hybridstore.evaluation import compared, read_qrels, read_run
    from hybridstore.evaluation.metrics import STANDARD

    queries = _queries(queries_path)
    qrels, runs = read_qrels(qrels_file), (read_run(run_a), read_run(run_b))
    results = compared(*runs, qrels, metrics or STANDARD[:1], resamples=resamples, seed=seed)
    empty = {name: _empty(run, qrels.answerable) for name, run in zip("ab", runs, strict=True)}
    if report_file is not None:
        from hybridstore.evaluation.comparison_report import comparison_report

        about = {"A": str(run_a), "B": str(run_b), "judgments": str(qrels_file)}
        about |= {"bootstrap": f"{resamples:,} resamples, seed {seed}", "hybridstore": __version__}
        about |= {f"queries without results, {name.upper()}": str(count) for name, count in empty.items() if count}
        texts = {query.id: query.text for query in queries.values()}
        write_page(comparison_report(results, about=about, texts=texts), report_file)
    if not as_json:
        _print_comparison(results, queries, empty)
        return
    rows = results[0].rows
    listed = {"wins": rows.wins(), "losses": rows.losses(), "worst": rows.worst()}
    print_json(
        {
            "metric": results[0].metric,
            **asdict(results[0].comparison),
            "metrics": {result.metric: asdict(result.comparison) for result in results},
            "left_out": len(qrels.unanswerable),
            "no_results": empty,
            "queries": {name: [_facts(row, queries) for row in chosen] for name, chosen in listed.items()},
        }
    )


def _queries(path: Path | None) -> Mapping[str, Query]:
    from hybridstore.evaluation import read_queries

    return {} if path is None else read_queries(path)


def _text(query: str, queries: Mapping[str, Query]) -> dict[str, str]:
    return {"text": queries[query].text} if query in queries else {}


def _facts(row: QueryDifference, queries: Mapping[str, Query]) -> dict[str, Any]:
    return {"query": row.query, **_text(row.query, queries), "a": row.a, "b": row.b, "difference": row.difference}


def _empty(run: Run, queries: Iterable[str]) -> int:
    return sum(not run.documents(query) for query in queries)


def _print_scores(name: str, scores: Scores, worst: Sequence[tuple[str, float]], queries: Mapping[str, Query]) -> None:
    """Print a run's means and its worst queries by the first metric."""
    from hybridstore.evaluation.metrics import heading

    headings = [heading(metric) for metric in scores.values]
    means = table("run", right=headings)
    means.add_row(printable(name), *(f"{mean:.4f}" for mean in scores.means().values()))
    terminal = console()
    terminal.print(means)
    terminal.print(f"n = {scores.n} queries")
    if scores.left_out:
        terminal.print(f"{len(scores.left_out)} judged queries have no relevant document and are left out")
    if scores.empty:
        terminal.print(f"{len(scores.empty)} queries have no results; they count as 0.")
    lowest = table("query", *(["text"] if queries else []), right=headings[:1], title="worst queries")
    for query, value in worst:
        lowest.add_row(*_query_cells(query, queries), f"{value:.4f}")
    terminal.print(lowest)


def _print_comparison(results: Sequence[Compared], queries: Mapping[str, Query], empty: Mapping[str, int]) -> None:
    """Print each metric's difference with its interval, and by the first one the queries that stand out."""
    terminal = console()
    for result in results:
        comparison = result.comparison
        terminal.print(
            f"{result.metric}: A {comparison.mean_a:.4f}, B {comparison.mean_b:.4f}, "
            f"B - A {comparison.difference:+.4f} (95 % between {comparison.low:+.4f} and {comparison.high:+.4f}), "
            f"n = {comparison.n}",
            soft_wrap=True,
        )
        terminal.print(f"B is better on {comparison.wins}, worse on {comparison.losses}, equal on {comparison.ties}.")
        verdict = "is more than chance" if comparison.significant else "may be chance"
        terminal.print(f"The difference {verdict}.")
    rows = results[0].rows
    for title, chosen in (
        ("greatest gains of B", rows.wins()),
        ("greatest losses of B", rows.losses()),
        ("worst queries of B", rows.worst()),
    ):
        if chosen:
            columns = ["query", "text"] if queries else ["query"]
            shown = table(*columns, right=("A", "B", "B - A"), title=f"{title}, {results[0].metric}")
            for row in chosen:
                numbers = f"{row.a:.4f}", f"{row.b:.4f}", f"{row.difference:+.4f}"
                shown.add_row(*_query_cells(row.query, queries), *numbers)
            terminal.print(shown)
    for name, count in empty.items():
        if count:
            click.echo(f"{name.upper()} has no results for {count} of the queries; they count as 0.")


def _query_cells(query: str, queries: Mapping[str, Query]) -> list[str]:
    text = " ".join(queries[query].text.split()) if query in queries else ""
    return [printable(query), *([printable(text)] if queries else [])]
