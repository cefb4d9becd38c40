"""`evaluate`: how well a collection is searched."""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.evaluation_output import print_evaluation, write_page
from hybridstore.cli.shared_options import FUSIONS, MODES, examples, json_option
from hybridstore.cli.terminal import print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hybridstore.evaluation import Collection, Evaluation, Qrels
    from hybridstore.records import AddReport
    from hybridstore.store import Store

_FILE = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the command was told about the search itself; the report repeats it."""

    split: str
    qrels_file: Path | None
    modes: tuple[str, ...]
    fusions: tuple[str, ...]
    metrics: tuple[str, ...]
    limit: int
    queries: int | None
    chunk: bool
    group: str | None
    leave_out_identical: bool


@click.command(
    epilog=examples(
        "hybridstore evaluate scifact --split test",
        "hybridstore evaluate scifact --fusion rrf --report scifact.html",
        "hybridstore evaluate scifact --run-out runs --json",
    )
)
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--split", default="test", show_default=True, help="Which qrels: DIR/qrels/SPLIT.tsv.")
@click.option(
    "--qrels", "qrels_file", type=_FILE, metavar="FILE", help="Other judgments than DIR's: BEIR or TREC qrels."
)
@click.option(
    "--mode",
    "modes",
    multiple=True,
    type=click.Choice(MODES),
    help="Only this mode; may be given again. Without it: all three.",
)
@click.option(
    "--fusion",
    "fusions",
    multiple=True,
    type=click.Choice(FUSIONS),
    help="How hybrid joins its legs; given again, each is measured. Without it the store's default.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="ndcg, map, mrr, recall or p, with @K; may be given again. Without it ndcg@10, recall@100 and mrr@10.",
)
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="Documents per query.")
@click.option("--queries", type=click.IntRange(1), metavar="N", help="Only the first N judged queries.")
@click.option("--chunk/--whole", default=False, help="Chunk documents, or index each as one (the default).")
@click.option("--embedder", metavar="NAME", help='A model\'s name or folder, or "none" for keyword only.')
@click.option("--language", metavar="LANG", help="The language a new index stems for.")
@click.option(
    "--keep", type=_FILE, metavar="FILE", help="Keep the index in FILE, and use it again where it is there already."
)
@click.option("--group", metavar="FIELD", help="Search only among documents with the query's metadata FIELD.")
@click.option("--leave-out-identical", is_flag=True, help="Drop documents with the query's id or text.")
@click.option(
    "--run-out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write each ranking there as a TREC run, with its scores.",
)
@click.option("--report", "report_file", type=_FILE, metavar="FILE", help="Write a page of HTML that opens offline.")
@json_option
def evaluate(
    *,
    directory: Path,
    embedder: str | None,
    language: str | None,
    keep: Path | None,
    run_out: Path | None,
    report_file: Path | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Measure search on the collection in DIR, by itself in every mode.

    DIR is in BEIR layout, plain or gzipped: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv. Its documents go to a
    temporary index, or to --keep FILE, and every judged query is searched. A run written with --run-out can be
    compared with another one by `hybridstore compare`.
    """
    from hybridstore.evaluation import Collection, index, pairs
    from hybridstore.evaluation.metrics import STANDARD
    from hybridstore.store import open as open_store

    if embedder == "none" and not asked["modes"]:
        asked["modes"] = ("keyword",)
    told = _Asked(**{**asked, "modes": asked["modes"] or MODES, "metrics": asked["metrics"] or STANDARD})
    collection = Collection(directory)
    qrels = _judgments(collection, told)
    with tempfile.TemporaryDirectory(prefix="hybridstore-") as temporary:
        path = keep or Path(temporary) / "evaluate.db"
        with open_store(path, embedder=embedder, language=language) as store:
            started = time.perf_counter()
            with _indexing(collection.name) as added:
                report = index(store, collection, chunk=told.chunk, progress=added)
            indexed = time.perf_counter()
            _refuse_others(path, store.count(), report)
            result = _measured(store, collection, qrels, told)
            seconds = {"index": indexed - started, "search": time.perf_counter() - indexed}
            about = _about(store, result, told, seconds)
    compared = pairs(result, result.metrics if report_file else result.metrics[:1])
    if run_out is not None:
        _write_runs(result, run_out)
    if report_file is not None:
        from hybridstore.evaluation.evaluation_report import documents_shown, evaluation_report

        documents = collection.documents(documents_shown(result))
        write_page(evaluation_report(result, compared, about=about, documents=documents), report_file)
    if as_json:
        against = [
            {"a": each.a, "b": each.b, "metric": each.metric, **asdict(each.comparison)}
            for each in compared
            if each.metric == result.metrics[0]
        ]
        print_json({**result.to_dict(), "differences": against, "documents": asdict(report), "seconds": seconds})
    else:
        print_evaluation(result, compared, seconds)


def _judgments(collection: Collection, asked: _Asked) -> Qrels:
    """Read the judgments, and refuse what cannot be measured before an index is built for it."""
    from hybridstore.evaluation import metric, read_qrels, ways

    ways(asked.modes, asked.fusions)
    for name in asked.metrics:
        metric(name)
    return collection.qrels(asked.split) if asked.qrels_file is None else read_qrels(asked.qrels_file)


def _measured(store: Store, collection: Collection, qrels: Qrels, asked: _Asked) -> Evaluation:
    from hybridstore.evaluation import evaluate

    with _searching() as searched:
        return evaluate(
            store,
            collection,
            split=asked.split if asked.qrels_file is None else asked.qrels_file.name,
            qrels=qrels,
            modes=asked.modes,
            fusions=asked.fusions,
            metrics=asked.metrics,
            limit=asked.limit,
            queries=asked.queries,
            where_group=asked.group,
            leave_out_identical=asked.leave_out_identical,
            progress=searched,
        )


def _about(store: Store, result: Evaluation, asked: _Asked, seconds: Mapping[str, float]) -> dict[str, str]:
    """Give what the numbers depend on, for people who want to get them again."""
    from datetime import UTC, datetime

    from hybridstore import __version__

    stats = store.stats()
    fusions = dict.fromkeys(result.measured(name).fusion or "unknown" for name in result.hybrids)
    told = {
        "documents": f"{stats.documents:,}, {'chunked' if asked.chunk else 'each as one chunk'}",
        "embedder": "none" if stats.embedding is None else stats.embedding.fingerprint,
        "language": stats.language,
        "fusion": ", ".join(fusions) or "none",
        "documents per query": f"{asked.limit:,}",
        "only the first queries": "" if asked.queries is None else f"{asked.queries:,}",
        "only documents of the query's": asked.group or "",
        "identical documents": "left out" if asked.leave_out_identical else "",
        "hybridstore": __version__,
        "measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "took": f"indexing {seconds['index']:.1f} s, searching {seconds['search']:.1f} s",
    }
    return {name: value for name, value in told.items() if value}


def _write_runs(result: Evaluation, folder: Path) -> None:
    from hybridstore.errors import InputError
    from hybridstore.evaluation import write_run

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made: {error.strerror}") from error
    for name in result.modes:
        tag = name.replace(" (", "-").rstrip(")")  # "hybrid (rrf)" is hybrid-rrf in a file name
        write_run(result.run(name), folder / f"{result.collection}-{result.split}-{tag}.run", tag=tag)


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
