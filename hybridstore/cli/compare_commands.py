"""`judge`: how good a run is; `compare`: whether one run is better than another."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.evaluation_output import print_comparison, print_scores, write_page
from hybridstore.cli.shared_options import examples, json_option
from hybridstore.cli.terminal import print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hybridstore.evaluation import Query, QueryDifference, Run

_FILE = click.Path(dir_okay=False, path_type=Path)
_WORST = 10


def _judging(usual: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--qrels`, `--metric` and `--queries`, which both commands take."""

    def options(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option(
                "--queries",
                "queries_path",
                type=click.Path(path_type=Path),
                metavar="PATH",
                help="Where the queries' texts are: queries.jsonl, a table (.tsv) of id and text, or a collection.",
            ),
            click.option(
                "--metric",
                "metrics",
                multiple=True,
                metavar="NAME",
                help=f"ndcg, map, mrr, recall or p, with @K; may be given again. Without it {usual}.",
            ),
            click.option(
                "--qrels", "qrels_file", required=True, type=_FILE, metavar="FILE", help="BEIR or TREC judgments."
            ),
        ):
            command = option(command)
        return command

    return options


@click.command(
    epilog=examples(
        "hybridstore judge other.run --qrels scifact/qrels/test.tsv",
        "hybridstore judge other.run --qrels qrels.txt --metric map --metric ndcg@20 --queries scifact",
    )
)
@click.argument("run_file", metavar="RUN", type=_FILE)
@_judging("ndcg@10, recall@100 and mrr@10")
@json_option
def judge(
    *, run_file: Path, qrels_file: Path, metrics: tuple[str, ...], queries_path: Path | None, as_json: bool
) -> None:
    """Measure RUN, a TREC run that any system made, by the judgments in --qrels (BEIR or TREC).

    Every judged query with a relevant document counts; one that the run has no results for counts as 0.
    """
    from hybridstore.evaluation import read_qrels, read_run, score
    from hybridstore.evaluation.metrics import STANDARD

    queries = _queries(queries_path)
    names = tuple(dict.fromkeys(metrics or STANDARD))
    scores = score(read_run(run_file), read_qrels(qrels_file), names)
    lowest = sorted(scores.values[names[0]].items(), key=lambda item: (item[1], item[0]))[:_WORST]
    if as_json:
        told = {"n": scores.n, **scores.means()}
        counts = {"left_out": len(scores.left_out), "no_results": len(scores.empty)}
        worst = [{"query": query, names[0]: value, **_text(query, queries)} for query, value in lowest]
        print_json({"run": str(run_file), **told, **counts, "worst": worst})
    else:
        print_scores(run_file.name, scores, lowest, queries)


@click.command(
    epilog=examples(
        "hybridstore compare runs/a.run runs/b.run --qrels scifact/qrels/test.tsv",
        "hybridstore compare a.run b.run --qrels qrels.txt --queries scifact --report a-b.html",
    )
)
@click.argument("run_a", type=_FILE)
@click.argument("run_b", type=_FILE)
@_judging("ndcg@10")
@click.option(
    "--resamples", default=10_000, show_default=True, type=click.IntRange(1), help="How many, for the interval."
)
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same interval.")
@click.option("--report", "report_file", type=_FILE, metavar="FILE", help="Write a page of HTML that opens offline.")
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
    """Say whether RUN_B is better than RUN_A, two TREC runs, by the judgments in --qrels (BEIR or TREC).

    The difference is B minus A, with its 95 % interval from a paired bootstrap over the queries. The queries that
    gain and lose most are those of the first metric.
    """
    from hybridstore.evaluation import compared, read_qrels, read_run
    from hybridstore.evaluation.metrics import STANDARD

    queries = _queries(queries_path)
    qrels, runs = read_qrels(qrels_file), (read_run(run_a), read_run(run_b))
    results = compared(*runs, qrels, metrics or STANDARD[:1], resamples=resamples, seed=seed)
    empty = {name: _empty(run, qrels.answerable) for name, run in zip("ab", runs, strict=True)}
    if report_file is not None:
        from hybridstore.evaluation.comparison_report import comparison_report

        about = {"A": str(run_a), "B": str(run_b), "judgments": str(qrels_file), **_settings(resamples, seed)}
        about |= {f"queries without results, {name.upper()}": str(count) for name, count in empty.items() if count}
        texts = {query.id: query.text for query in queries.values()}
        write_page(comparison_report(results, about=about, texts=texts), report_file)
    if as_json:
        rows = results[0].rows
        listed = {"wins": rows.wins(), "losses": rows.losses(), "worst": rows.worst()}
        print_json(
            {
                "metric": results[0].metric,
                **asdict(results[0].comparison),
                "metrics": {each.metric: asdict(each.comparison) for each in results},
                "left_out": len(qrels.unanswerable),
                "no_results": empty,
                "queries": {name: [_told(row, queries) for row in chosen] for name, chosen in listed.items()},
            }
        )
        return
    print_comparison(results, queries)
    for name, count in empty.items():
        if count:
            click.echo(f"{name.upper()} has no results for {count} of the queries; they count as 0.")


def _settings(resamples: int, seed: int) -> dict[str, str]:
    from hybridstore import __version__

    return {"bootstrap": f"{resamples:,} resamples, seed {seed}", "hybridstore": __version__}


def _queries(path: Path | None) -> Mapping[str, Query]:
    from hybridstore.evaluation import read_queries

    return {} if path is None else read_queries(path)


def _text(query: str, queries: Mapping[str, Query]) -> dict[str, str]:
    return {"text": queries[query].text} if query in queries else {}


def _told(row: QueryDifference, queries: Mapping[str, Query]) -> dict[str, Any]:
    return {"query": row.query, **_text(row.query, queries), "a": row.a, "b": row.b, "difference": row.difference}


def _empty(run: Run, queries: Iterable[str]) -> int:
    return sum(not run.documents(query) for query in queries)
