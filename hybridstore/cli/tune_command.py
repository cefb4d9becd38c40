"""`tune`: an adapter or a whole encoder trained on the store's own text and questions, and let in or refused."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.evaluation_output import write_page
from hybridstore.cli.shared_options import examples, json_option
from hybridstore.cli.store_option import Target, pass_target
from hybridstore.cli.terminal import print_json, say
from hybridstore.cli.tuning_output import print_tuned, steps

if TYPE_CHECKING:
    from hybridstore.store import Store
    from hybridstore.tuning.adapter_tuning import Progress, TuneReport
    from hybridstore.tuning.training_sources import Gathered

_OF_METHOD = {"adapter": ("most", "rank", "anchor"), "full": ("base", "out", "rate", "blend", "precision", "device")}
# What is left when it is stopped.
_HARVESTED = "The triples that were made are kept; questions are answered as before."
_TRAINED = "Questions are answered as before; the same command goes on from the last checkpoint."
_CHANGING = "The change may have been made; `hybridstore model history` says which version is active."


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
    show_default=True,
    type=click.Choice(tuple(_OF_METHOD)),
    help="adapter: turns questions, seconds on a CPU, no vector changes. full: fine-tunes the embedder and embeds "
    "everything anew; needs pip install 'hybridstore[train]'.",
)
@click.option(
    "--auto", is_flag=True, help="First harvest the store's log, its feedback, and 500 questions of its own text."
)
@click.option(
    "--labelled",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help='First harvest questions with judgments: JSON lines {"query", "document", "relevant"}, or a folder in BEIR '
    "layout.",
)
@click.option("--dry-run", is_flag=True, help="A version that is accepted waits for `hybridstore model promote`.")
@click.option("--questions", type=click.IntRange(1), metavar="N", help="Questions of the gate, at most.")
@click.option("--most", type=click.IntRange(1), metavar="N", help="adapter: questions of the store's own text.")
@click.option("--rank", type=click.IntRange(1), metavar="N", help="adapter: its rank; more can learn more.")
@click.option("--anchor", type=click.FloatRange(0), metavar="X", help="adapter: more is safer, and gains less.")
@click.option("--base", metavar="NAME", help="full: the encoder to start from; without it the store's own embedder.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER", help="full: where to.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), metavar="X", help="full: the highest learning rate.")
@click.option(
    "--blend", type=click.FloatRange(0, 1), metavar="X", help="full: the learned weights' share, from 0 to 1."
)
@click.option("--precision", type=click.Choice(("fp32", "int8", "fp16")), help="full: of the model that is made.")
@click.option("--device", type=click.Choice(("auto", "cpu", "cuda")), help="full: what it is trained on.")
@click.option("--epochs", type=click.IntRange(1), metavar="N", help="Times over the questions.")
@click.option(
    "--seed", type=click.IntRange(0), metavar="N", help="Another one draws other questions and other first weights."
)
@click.option(
    "--report",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a page of HTML, with questions and documents before and after.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
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
    """Teach the store its own language, and take it only if it is better on documents it never saw.

    Learns from questions made of the store's text and from its triples (`hybridstore harvest`). A fifth of the
    documents is never trained on; questions about these are asked before and after, and a version is refused unless
    it is better beyond chance and no kind of question loses. Searches go on meanwhile; the change is one step, and
    `hybridstore model rollback` undoes it. Accepted or refused, the exit code is 0. Nothing leaves this machine.
    """
    given = {name: value for name, value in options.items() if value is not None}
    _refuse(method, given, page)

    def begun(step: str) -> None:
        from hybridstore.tuning.adapter_tuning import PROMOTING

        if step == PROMOTING:
            target.kept = _CHANGING

    with target.open() as store, steps(quiet=quiet, begun=begun) as told:
        gathered = None
        if auto or labelled:
            target.kept = _HARVESTED
            gathered = _gathered(store, labelled, auto=auto, seed=given.get("seed", 0), told=told)
        common = {"change": not dry_run, "progress": told} | ({"asked": questions} if questions else {})
        if method == "full":
            target.kept = _TRAINED
            report = _full(store, given, common, quiet=quiet)
        else:
            report = _adapter(store, given, common)
        titles = _titles(store, report) if page else {}
    if as_json:
        print_json({"method": method, "harvested": gathered and asdict(gathered), **report.told()})
    else:
        print_tuned(report, gathered)
    if page:
        _write(page, report, titles, gathered, {"store": target.path, "method": method})


def _refuse(method: str, given: dict[str, Any], page: Path | None) -> None:
    """Refuse before the work what would be of no use, or fail, after it."""
    from hybridstore.errors import InputError

    for other, names in _OF_METHOD.items():
        for name in names:
            if other != method and name in given:
                raise click.UsageError(f"--{name} is for --method {other}")
    if page and not page.absolute().parent.is_dir():
        raise InputError(f"{page} cannot be written: there is no folder {page.absolute().parent}")


def _gathered(store: Store, labelled: Path | None, *, auto: bool, seed: int, told: Progress) -> Gathered:
    from hybridstore.tuning.adapter_tuning import embedding_of
    from hybridstore.tuning.training_sources import gather

    embedding_of(store)  # raises before the harvest what would be raised after it
    return gather(store, labelled=labelled, own=auto, seed=seed, progress=lambda done, of: told("Harvesting", done, of))


def _adapter(store: Store, given: dict[str, Any], common: dict[str, Any]) -> TuneReport:
    from hybridstore.tuning import adapter_tuning
    from hybridstore.tuning.adapter import AdapterSettings

    most = {"most": given.pop("most")} if "most" in given else {}
    return adapter_tuning.tune(store, settings=AdapterSettings(**given), **most, **common)


def _full(store: Store, given: dict[str, Any], common: dict[str, Any], *, quiet: bool) -> TuneReport:
    from hybridstore.tuning import full_tuning

    base, out = given.pop("base", None), given.pop("out", None)
    options = replace(full_tuning.OPTIONS, **given)
    return full_tuning.tune_full(store, options=options, base=base, out=out, notify=None if quiet else say, **common)


def _titles(store: Store, report: TuneReport) -> dict[str, str]:
    """Give the titles of the documents that the page names, as far as they are still there."""
    from hybridstore.errors import NotFound
    from hybridstore.tuning.tuning_report import documents_shown

    titles = {}
    for identifier in documents_shown(report):
        try:
            titles[identifier] = store.get(identifier).title
        except NotFound:  # removed meanwhile
            continue
    return titles


def _write(
    page: Path, report: TuneReport, titles: dict[str, str], gathered: Gathered | None, about: dict[str, str]
) -> None:
    from hybridstore.tuning.tuning_report import tune_report

    write_page(tune_report(report, about=about, titles=titles, gathered=gathered), page)
