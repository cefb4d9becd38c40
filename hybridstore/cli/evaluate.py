"""`evaluate`: how well a collection is searched; `compare`: whether one run is better than another."""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from hybridstore.evaluation import Comparison, Evaluation, Run
    from hybridstore.records import AddReport

_COLUMNS = ("ndcg@10", "recall@100", "mrr@10")
_HEADINGS = ("nDCG@10", "recall@100", "MRR@10")


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--split", default="test", show_default=True, help="Which qrels: DIR/qrels/SPLIT.tsv.")
@click.option(
    "--mode",
    "modes",
    multiple=True,
    type=click.Choice(["hybrid", "keyword", "vector"]),
    help="Only this mode; may be given again. Without it: all three.",
)
@click.option("--fusion", help="How hybrid joins its legs; without it the store's default.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="Documents per query.")
@click.option("--queries", type=click.IntRange(1), metavar="N", help="Only the first N judged queries.")
@click.option("--chunk/--whole", default=False, help="Chunk documents, or index each as one (the default).")
@click.option("--embedder", metavar="NAME", help='A model\'s name or folder, or "none" for keyword only.')
@click.option("--language", metavar="LANG", help="The language a new index stems for.")
@click.option(
    "--keep",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep the index in FILE, and use it again where it is there already.",
)
@click.option("--group", metavar="FIELD", help="Search only among documents with the query's metadata FIELD.")
@click.option("--leave-out-identical", is_flag=True, help="Drop documents with the query's id or text.")
@click.option(
    "--run-out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write each mode's ranking there as a TREC run.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(
    *,
    directory: Path,
    split: str,
    modes: tuple[str, ...],
    fusion: str | None,
    limit: int,
    queries: int | None,
    chunk: bool,
    embedder: str | None,
    language: str | None,
    keep: Path | None,
    group: str | None,
    leave_out_identical: bool,
    run_out: Path | None,
    as_json: bool,
) -> None:
    """Measure search on the collection in DIR, by itself in every mode.

    DIR is in BEIR layout, plain or gzipped: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv. Its documents go to a
    temporary index, or to --keep FILE, and every judged query is searched. A run written with --run-out can be
    compared with another one by `hybridstore compare`.
    """
    from hybridstore.evaluation import Collection, evaluate, index, write_run
    from hybridstore.evaluation.evaluate import MODES
    from hybridstore.store import open as open_store

    collection = Collection(directory)
    collection.qrels(split)  # a wrong split is told before the index is built
    if not modes:
        modes = ("keyword",) if embedder == "none" else MODES
    with tempfile.TemporaryDirectory(prefix="hybridstore-") as temporary:
        path = keep or Path(temporary) / "evaluate.db"
        with open_store(path, embedder=embedder, language=language) as store:
            started = time.perf_counter()
            with _indexing(collection.name) as added:
                report = index(store, collection, chunk=chunk, progress=added)
            indexed = time.perf_counter()
            _refuse_others(path, store.count(), report)
            with _searching() as searched:
                result = evaluate(
                    store,
                    collection,
                    split=split,
                    modes=modes,
                    fusion=fusion,
                    limit=limit,
                    queries=queries,
                    where_group=group,
                    leave_out_identical=leave_out_identical,
                    progress=searched,
                )
    seconds = {"index": indexed - started, "search": time.perf_counter() - indexed}
    if run_out is not None:
        run_out.mkdir(parents=True, exist_ok=True)
        for mode in modes:
            write_run(result.run(mode), run_out / f"{collection.name}-{split}-{mode}.run", tag=mode)
    if as_json:
        found = {**result.to_dict(), "documents": asdict(report), "seconds": seconds}
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        _print_evaluation(result, seconds)


@click.command()
@click.argument("run_a", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("run_b", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--qrels", "qrels_file", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--metric", default="ndcg@10", show_default=True, help="ndcg, map, mrr, recall or p, with @K.")
@click.option("--resamples", default=10_000, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same interval.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(
    *, run_a: Path, run_b: Path, qrels_file: Path, metric: str, resamples: int, seed: int, as_json: bool
) -> None:
    """Say whether RUN_B is better than RUN_A, two TREC runs, by the judgments in --qrels (BEIR or TREC).

    The difference is B minus A, with its 95 % interval from a paired bootstrap over the queries.
    """
    from hybridstore.evaluation import paired_bootstrap, per_query, read_qrels, read_run

    qrels = read_qrels(qrels_file)
    runs = read_run(run_a), read_run(run_b)
    a, b = (per_query(run, qrels, metric) for run in runs)
    comparison = paired_bootstrap(a, b, resamples=resamples, seed=seed)
    largest = sorted(a, key=lambda query: (-abs(b[query] - a[query]), query))[:10]
    rows = [{"query": query, "a": a[query], "b": b[query], "difference": b[query] - a[query]} for query in largest]
    if as_json:
        found = {"metric": metric, **asdict(comparison), "left_out": len(qrels.unanswerable), "largest": rows}
        found["no_results"] = {name: _empty(run, a) for name, run in zip("ab", runs, strict=True)}
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        _print_comparison(comparison, metric, rows)
        for name, run in zip("AB", runs, strict=True):
            if empty := _empty(run, a):
                click.echo(f"{name} has no results for {empty} of the queries; they count as 0.")


def _empty(run: Run, queries: Iterable[str]) -> int:
    return sum(not run.documents(query) for query in queries)


def _refuse_others(path: Path, count: int, report: AddReport) -> None:
    from hybridstore.errors import InputError

    if others := count - report.added - report.replaced - report.unchanged:
        raise InputError(
            f"{path} holds {others} documents that are not in this collection, and they would be found too; keep "
            "one file for each collection"
        )


@contextmanager
def _indexing(name: str) -> Iterator[Callable[[AddReport], None]]:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"indexing {name}", total=None)

        def added(report: AddReport) -> None:
            documents = report.added + report.replaced + report.unchanged
            progress.update(task, description=f"indexing {name}: {documents:,} documents, {report.chunks:,} chunks")

        yield added


@contextmanager
def _searching() -> Iterator[Callable[[str, int, int], None]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        tasks: dict[str, Any] = {}

        def searched(mode: str, done: int, total: int) -> None:
            if mode not in tasks:
                tasks[mode] = progress.add_task(f"searching, {mode}", total=total)
            progress.update(tasks[mode], completed=done)

        yield searched


def _print_evaluation(result: Evaluation, seconds: Mapping[str, float]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*("mode", *_HEADINGS, "p50 ms"), title=f"{result.collection}, {result.split}")
    for column in table.columns[1:]:
        column.justify = "right"
    for mode, measured in result.modes.items():
        numbers = (f"{result.mean(mode, name):.4f}" for name in _COLUMNS)
        table.add_row(mode, *numbers, f"{1000 * measured.latency(50):.1f}")
    console = Console(markup=False, emoji=False)  # a folder or an id may look like markup
    console.print(table)
    console.print(f"n = {result.n} queries; indexed in {seconds['index']:.1f} s, searched in {seconds['search']:.1f} s")
    for count, what in (
        (len(result.left_out), "judged queries have no relevant document and are left out"),
        (len(result.unknown_queries), "judged queries have no text in queries.jsonl and are left out"),
        (len(result.unknown_documents), "judged documents are not in the corpus and count as not found"),
    ):
        if count:
            console.print(f"{count} {what}")


def _print_comparison(comparison: Comparison, metric: str, rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, emoji=False)  # a folder or an id may look like markup
    console.print(
        f"{metric}: A {comparison.mean_a:.4f}, B {comparison.mean_b:.4f}, B - A {comparison.difference:+.4f} "
        f"(95 % between {comparison.low:+.4f} and {comparison.high:+.4f}), n = {comparison.n}"
    )
    console.print(f"B is better on {comparison.wins}, worse on {comparison.losses}, equal on {comparison.ties}.")
    verdict = "is more than luck with the queries" if comparison.significant else "may be luck with the queries"
    console.print(f"The difference {verdict}.")
    table = Table("query", "A", "B", "B - A", title="largest differences")
    for row in rows:
        table.add_row(row["query"], f"{row['a']:.4f}", f"{row['b']:.4f}", f"{row['difference']:+.4f}")
    console.print(table)
