"""`evaluate`: how well a collection is searched, in every mode."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.compare_commands import FILE, metric_option
from hybridstore.cli.shared_options import FUSIONS, KEY, MODES, embedder_option, examples, json_option, number_option
from hybridstore.cli.terminal import console, print_json, steps, table, write_page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hybridstore.evaluation import Collection, Evaluation, Pair
    from hybridstore.records import AddReport
    from hybridstore.store import Store

_HOW = {True: "chunked", False: "each as one chunk", None: "each as one chunk, the longest chunked"}


@click.command(
    epilog=examples(
        "hybridstore evaluate scifact --split test",
        "hybridstore evaluate scifact --fusion rrf --report scifact.html",
        "hybridstore evaluate scifact --run-out runs --json",
    )
)
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--split", default="test", help="Which qrels: DIR/qrels/SPLIT.tsv.")
@click.option(
    "--qrels", "qrels_file", type=FILE, metavar="FILE", help="Judgments to use instead of DIR's: BEIR or TREC qrels."
)
@click.option(
    "--mode", "modes", multiple=True, type=click.Choice(MODES), help="Only this mode; repeatable. Default: all three."
)
@click.option(
    "--fusion",
    "fusions",
    multiple=True,
    type=click.Choice(FUSIONS),
    help="How hybrid fuses its legs' rankings; repeatable, each is measured. Default: the store's.",
)
@click.option(
    "--legs",
    multiple=True,
    metavar="NAME,…",
    help="Measure these legs together, too, as search takes them: keyword, vector, an embedder's name; repeatable.",
)
@metric_option("ndcg@10, recall@100 and mrr@10")
@number_option("--limit", "Documents per query.", default=100)
@number_option("--queries", "Only the first N judged queries.")
@click.option(
    "--chunk/--whole",
    default=None,
    help="Split documents into chunks, or index each as one. By default those over 2,000 tokens are split.",
)
@embedder_option('A model by name or folder, or "none" for keywords only.')
@click.option("--language", metavar="LANG", help="The stemming language of a new index.")
@click.option(
    "--keep",
    type=FILE,
    metavar="FILE",
    help="Keep the index in FILE, and reuse it if it exists; the report beside it, for the page of `serve`.",
)
@click.option(
    "--group", "where_group", metavar="FIELD", help="Search only documents whose metadata FIELD equals the query's."
)
@click.option("--leave-out-identical", is_flag=True, help="Leave out documents with the query's id or text.")
@click.option(
    "--run-out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write each ranking to DIR as a TREC run, with its scores.",
)
@click.option("--report", "report_file", type=FILE, metavar="FILE", help="Write an HTML page that opens offline.")
@json_option
def evaluate(
    *,
    directory: Path,
    embedder: str | None,
    language: str | None,
    keep: Path | None,
    split: str,
    qrels_file: Path | None,
    chunk: bool | None,
    run_out: Path | None,
    report_file: Path | None,
    as_json: bool,
    **search: Any,
) -> None:
    """Measure search on the collection in DIR, in every mode.

    DIR has the BEIR layout, plain or gzipped: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv. Its documents go into a
    temporary index, or into --keep FILE, and every judged query is searched. Runs written with --run-out can be
    compared by `hybridstore compare`.
    """
    from hybridstore.evaluation import Collection, pairs, read_qrels
    from hybridstore.evaluation.kept_reports import keep_report
    from hybridstore.evaluation.metrics import STANDARD
    from hybridstore.store import open as open_store

    search["modes"] = search["modes"] or (("keyword",) if embedder == "none" else MODES)
    search["metrics"] = search["metrics"] or STANDARD
    search["legs"] = [[name.strip() for name in names.split(",")] for names in search["legs"]]
    collection = Collection(directory)
    _check_search(search)
    qrels = collection.qrels(split) if qrels_file is None else read_qrels(qrels_file)
    search["split"] = split if qrels_file is None else qrels_file.name
    with tempfile.TemporaryDirectory(prefix="hybridstore-") as temporary:
        path = keep or Path(temporary) / "evaluate.db"
        with open_store(path, embedder=embedder, language=language, key=os.environ.get(KEY) or None) as store:
            report, result, seconds = _measure(store, path, collection, chunk=chunk, qrels=qrels, **search)
            about = _about(store, result, search, seconds, chunk=chunk)
    differences = pairs(result, result.metrics if report_file else result.metrics[:1])
    if keep is not None:
        keep_report(str(keep), result, differences, about)
    if run_out is not None:
        _write_runs(result, run_out)
    if report_file is not None:
        from hybridstore.evaluation.evaluation_report import documents_shown, evaluation_report

        documents = collection.documents(documents_shown(result))
        write_page(evaluation_report(result, differences, about=about, documents=documents), report_file)
    main = [pair for pair in differences if pair.metric == result.metrics[0]]
    if as_json:
        rows = [{"a": pair.a, "b": pair.b, "metric": pair.metric, **asdict(pair.comparison)} for pair in main]
        print_json({**result.to_dict(), "differences": rows, "documents": asdict(report), "seconds": seconds})
    else:
        _print_evaluation(result, main, seconds)


def _check_search(search: Mapping[str, Any]) -> None:
    """Reject impossible modes, fusions and metrics before an index is built."""
    from hybridstore.evaluation import metric, ways

    ways(search["modes"], search["fusions"])
    for name in search["metrics"]:
        metric(name)


def _measure(
    store: Store, path: Path, collection: Collection, *, chunk: bool | None, **search: Any
) -> tuple[AddReport, Evaluation, dict[str, float]]:
    """Index the collection and search it; return both reports, and the seconds each took."""
    from hybridstore.evaluation import evaluate, index

    with steps() as show:

        def show_indexing(report: AddReport) -> None:
            documents = report.added + report.replaced + report.unchanged
            show(f"Indexing {collection.name}", documents, 0, f"{documents:,} documents, {report.chunks:,} chunks")

        def show_searching(mode: str, done: int, total: int) -> None:
            show(f"Searching, {mode}", done, total)

        started = time.perf_counter()
        report = index(store, collection, chunk=chunk, progress=show_indexing)
        indexed = time.perf_counter()
        _check_only_collection(path, store.count(), report)
        result = evaluate(store, collection, progress=show_searching, **search)
    return report, result, {"index": indexed - started, "search": time.perf_counter() - indexed}


def _about(
    store: Store, result: Evaluation, search: Mapping[str, Any], seconds: Mapping[str, float], *, chunk: bool | None
) -> dict[str, str]:
    """Return what the numbers depend on, for people who want to reproduce them."""
    from datetime import UTC, datetime

    from hybridstore import __version__

    stats = store.stats()
    fusions = dict.fromkeys(result.measured(name).fusion or "unknown" for name in result.hybrids)
    about = {
        "documents": f"{stats.documents:,}, {_HOW[chunk]}",
        "embedder": "none" if stats.embedding is None else stats.embedding.fingerprint,
        "language": stats.language,
        "fusion": ", ".join(fusions) or "none",
        "documents per query": f"{search['limit']:,}",
        "only the first queries": "" if search["queries"] is None else f"{search['queries']:,}",
        "only documents of the query's": search["where_group"] or "",
        "identical documents": "left out" if search["leave_out_identical"] else "",
        "hybridstore": __version__,
        "measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "took": f"indexing {seconds['index']:.1f} s, searching {seconds['search']:.1f} s",
    }
    return {name: value for name, value in about.items() if value}


def _write_runs(result: Evaluation, folder: Path) -> None:
    from hybridstore.errors import InputError
    from hybridstore.evaluation import write_run

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be created: {error.strerror}") from error
    for name in result.modes:
        # "hybrid (rrf)" is hybrid-rrf in a file name, "keyword + organisation/model" keyword+organisation_model.
        tag = name.replace(" (", "-").rstrip(")").replace(" + ", "+").replace("/", "_")
        write_run(result.run(name), folder / f"{result.collection}-{result.split}-{tag}.run", tag=tag)


def _check_only_collection(path: Path, count: int, report: AddReport) -> None:
    from hybridstore.errors import InputError

    if others := count - report.added - report.replaced - report.unchanged:
        raise InputError(
            f"{path} contains {others} documents that are not in this collection, and they would be found too; keep "
            "one file for each collection"
        )


def _print_evaluation(result: Evaluation, differences: Sequence[Pair], seconds: Mapping[str, float]) -> None:
    """Print a row for each mode, hybrid's differences from the legs, and what was left out."""
    from hybridstore.evaluation.metrics import heading

    rows = table("mode", right=(*map(heading, result.metrics), "p50 ms"), title=f"{result.collection}, {result.split}")
    for mode, measured in result.modes.items():
        numbers = (f"{result.mean(mode, name):.4f}" for name in result.metrics)
        rows.add_row(mode, *numbers, f"{1000 * measured.latency(50):.1f}")
    terminal = console()
    terminal.print(rows)
    terminal.print(
        f"n = {result.n} queries; indexed in {seconds['index']:.1f} s, searched in {seconds['search']:.1f} s"
    )
    for pair in differences:
        result_of = pair.comparison
        chance = "" if result_of.significant else "; it may be chance"
        terminal.print(
            f"{heading(pair.metric)}, {pair.b} - {pair.a}: {result_of.difference:+.4f} "
            f"(95 % between {result_of.low:+.4f} and {result_of.high:+.4f}){chance}",
            soft_wrap=True,
        )
    for number, what in (
        (len(result.left_out), "judged queries have no relevant document and are left out"),
        (len(result.unknown_queries), "judged queries have no text in queries.jsonl and are left out"),
        (len(result.unknown_documents), "judged documents are not in the corpus and count as not found"),
    ):
        if number:
            terminal.print(f"{number} {what}")
