"""`tune`: an adapter or a whole encoder trained on the store's text and questions, accepted only if it is better."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.shared_options import Target, examples, json_option, number_option, pass_target, quiet_option
from hybridstore.cli.terminal import console, print_json, printable, say, steps, table, write_page

if TYPE_CHECKING:
    from rich.console import Console

    from hybridstore.store import Store
    from hybridstore.tuning.adapter_tuning import ChangedRanking, Progress, TuneReport
    from hybridstore.tuning.user_questions import HarvestSummary

_OF_METHOD = {
    "adapter": ("most", "rank", "anchor"),
    "full": ("base", "out", "rate", "blend", "precision", "device"),
}
# What to say when the command is stopped.
_HARVESTED = "The triples collected so far are kept; queries are answered as before."
_TRAINED = "Queries are answered as before; the same command continues from the last checkpoint."
_CHANGING = "The change may be complete; `hybridstore model history` shows the active version."

_TEXT_SHOWN = 90  # characters of a question
_DOCUMENTS_SHOWN = 3  # of each ranking of an example


@click.command(
    epilog=examples(
        "hybridstore tune --auto",
        "hybridstore tune --labelled judged.jsonl --report tuned.html",
        "hybridstore tune --method full --dry-run",
    )
)
@click.option(
    "--method",
    default="adapter",
    type=click.Choice(tuple(_OF_METHOD)),
    help="adapter: adapts query vectors, takes seconds on a CPU, leaves stored vectors unchanged. full: fine-tunes the "
    "embedder and embeds everything again; needs pip install 'hybridstore[train]'.",
)
@click.option(
    "--auto",
    is_flag=True,
    help="First harvest the query log, the feedback, and 500 questions made of the store's text.",
)
@click.option(
    "--labelled",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help='First harvest questions with judgments: JSON lines {"query", "document", "relevant"}, or a BEIR folder.',
)
@click.option("--dry-run", is_flag=True, help="Leave an accepted version for `hybridstore model promote`.")
@number_option("--questions", "The most questions to evaluate a version on.")
@number_option("--most", "adapter: questions to make of the store's text.")
@number_option("--rank", "adapter: its rank; a higher one can learn more.")
@click.option(
    "--anchor", type=click.FloatRange(0), metavar="X", help="adapter: a higher value is safer and gains less."
)
@click.option("--base", metavar="NAME", help="full: the encoder to start from; default: the store's embedder.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER", help="full: output folder.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), metavar="X", help="full: the highest learning rate.")
@click.option("--blend", type=click.FloatRange(0, 1), metavar="X", help="full: the share of the learned weights.")
@click.option("--precision", type=click.Choice(("fp32", "int8", "fp16")), help="full: precision of the exported model.")
@click.option("--device", type=click.Choice(("auto", "cpu", "cuda")), help="full: where to train.")
@number_option("--epochs", "Passes over the questions.")
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Selects other questions and other first weights.")
@click.option(
    "--report",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write an HTML page, with questions and their documents before and after.",
)
@quiet_option
@json_option
@pass_target
def tune(
    target: Target,
    /,
    *,
    method: str,
    auto: bool,
    labelled: Path | None,
    dry_run: bool,
    questions: int | None,
    page: Path | None,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train on the store's own language, and keep the result only if it is better on documents it never saw.

    Trains on questions made of the store's text and on its triples (`hybridstore harvest`). A fifth of the documents is
    held out; questions about them are evaluated before and after, and a version is rejected unless it is significantly
    better and no kind of question gets worse. Searches continue meanwhile; the change is one step, and `hybridstore
    model rollback` undoes it. The exit code is 0 whether the version is accepted or rejected. Nothing leaves this
    machine.
    """
    options = {name: value for name, value in options.items() if value is not None}
    _check_options(method, options, page)

    def on_step(step: str) -> None:
        from hybridstore.tuning.adapter_tuning import PROMOTING

        if step == PROMOTING:
            target.if_stopped = _CHANGING

    with target.open() as store, steps(quiet=quiet, on_step=on_step) as show:
        harvested = None
        if auto or labelled:
            target.if_stopped = _HARVESTED
            harvested = _harvest(store, labelled, auto=auto, seed=options.get("seed", 0), progress=show)
        common = {"dry_run": dry_run, "progress": show} | ({"gate_questions": questions} if questions else {})
        if method == "full":
            target.if_stopped = _TRAINED
            report = _tune_full(store, options, common, quiet=quiet)
        else:
            report = _tune_adapter(store, options, common)
        titles = _titles(store, report) if page else {}
    if as_json:
        print_json({"method": method, "harvested": harvested and asdict(harvested), **report.to_dict()})
    else:
        _print_report(report, harvested)
    if page:
        from hybridstore.tuning.tuning_report import tune_report

        about = {"store": target.shown, "method": method}
        write_page(tune_report(report, about=about, titles=titles, harvested=harvested), page)


def _check_options(method: str, options: dict[str, Any], page: Path | None) -> None:
    """Reject, before the work begins, options that do not fit or would fail after it."""
    from hybridstore.errors import InputError

    for other, names in _OF_METHOD.items():
        for name in names:
            if other != method and name in options:
                raise click.UsageError(f"--{name} is for --method {other}")
    if page and not page.absolute().parent.is_dir():
        raise InputError(f"{page} cannot be written: there is no folder {page.absolute().parent}")


def _harvest(store: Store, labelled: Path | None, *, auto: bool, seed: int, progress: Progress) -> HarvestSummary:
    from hybridstore.tuning.adapter_tuning import embedding_of
    from hybridstore.tuning.user_questions import harvest_sources

    embedding_of(store)  # raises before the harvest what would be raised after it
    show = lambda done, of: progress("Harvesting", done, of)  # noqa: E731
    return harvest_sources(store, labelled=labelled, own=auto, seed=seed, progress=show)


def _tune_adapter(store: Store, options: dict[str, Any], common: dict[str, Any]) -> TuneReport:
    from hybridstore.tuning import adapter_tuning
    from hybridstore.tuning.adapter import AdapterSettings

    most = {"most": options.pop("most")} if "most" in options else {}
    return adapter_tuning.tune(store, settings=AdapterSettings(**options), **most, **common)


def _tune_full(store: Store, options: dict[str, Any], common: dict[str, Any], *, quiet: bool) -> TuneReport:
    from hybridstore.tuning import full_tuning

    base, out = options.pop("base", None), options.pop("out", None)
    settings = replace(full_tuning.DEFAULTS, **options)
    return full_tuning.tune_full(store, options=settings, base=base, out=out, notify=None if quiet else say, **common)


def _titles(store: Store, report: TuneReport) -> dict[str, str]:
    """Return the titles of the documents that the page names, if they still exist."""
    from hybridstore.errors import NotFound
    from hybridstore.tuning.tuning_report import documents_shown

    titles = {}
    for identifier in documents_shown(report):
        try:
            titles[identifier] = store.get(identifier).title
        except NotFound:  # removed meanwhile
            continue
    return titles


def _print_report(report: TuneReport, harvested: HarvestSummary | None) -> None:
    """Print the comparison before and after, a few questions with their documents, and the verdict last."""
    from hybridstore.tuning.tuning_report import disagreement, outcome

    terminal = console()
    if harvested is not None:
        terminal.print(f"Harvested: {disagreement(harvested)}.", style="dim")
    total = sum(report.questions.values())
    kinds = ", ".join(f"{kind} {number:,}" for kind, number in sorted(report.questions.items()))
    seconds = ", ".join(f"{step} {duration:.1f} s" for step, duration in report.seconds.items())
    terminal.print(f"Trained on {total:,} questions ({kinds}): {seconds}.", style="dim", soft_wrap=True)
    _print_gate(terminal, report)
    for example in report.examples:
        _print_example(terminal, example)
    for broken in report.broken:
        terminal.print(printable(f"breaks  {broken}"), style="yellow", soft_wrap=True)
    terminal.print(printable(outcome(report)), style="green" if report.verdict.accepted else "yellow", soft_wrap=True)


def _print_gate(terminal: Console, report: TuneReport) -> None:
    from hybridstore.tuning.tuning_report import comparisons

    rows = comparisons(report.verdict)
    if not rows:
        return
    shown = table("nDCG@10", right=("documents", "before", "after", "change", "95 % between"))
    for name, comparison in rows.items():
        style = "green" if comparison.low > 0 else "yellow" if comparison.high < 0 else None
        means = f"{comparison.mean_a:.4f}", f"{comparison.mean_b:.4f}", f"{comparison.difference:+.4f}"
        interval = f"{comparison.low:+.4f} and {comparison.high:+.4f}"
        shown.add_row(printable(name), f"{comparison.n:,}", *means, interval, style=style)
    terminal.print(shown)


def _print_example(terminal: Console, example: ChangedRanking) -> None:
    text = " ".join(example.query.split())
    cut = f"{text[:_TEXT_SHOWN]}…" if len(text) > _TEXT_SHOWN else text
    terminal.print(printable(f"{cut}  ({example.kind})"), style="bold", soft_wrap=True)
    for when, documents in (("before", example.before), ("after ", example.after)):
        named = (f"{document} ✓" if document == example.answer else document for document in documents)
        shown = " · ".join([*named][:_DOCUMENTS_SHOWN])
        terminal.print(printable(f"  {when}  {shown}"), style="dim", soft_wrap=True)
