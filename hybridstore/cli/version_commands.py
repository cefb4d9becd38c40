"""`model history`, `promote`, `rollback` and `drift`: the versions of what stands between questions and vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.progress_display import Rate, progress
from hybridstore.cli.shared_options import examples, json_option
from hybridstore.cli.store_option import Target, pass_target
from hybridstore.cli.terminal import console, print_json, print_json_list, printable, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from hybridstore.backends.learning import ModelVersion
    from hybridstore.store import Store

_PLAIN = "plain"
_PLAIN_ANSWERS = "The plain embedder answers questions now."
_EMBEDDED = (
    "Questions are answered as before, unless the change was made already (`hybridstore model history` says); vectors "
    "made so far are kept, and the same command goes on from there."
)


@click.command(
    short_help="List the versions that the store has learned.",
    epilog=examples("hybridstore model history", "hybridstore model history --json"),
)
@json_option
@pass_target
def history(target: Target, /, *, as_json: bool) -> None:
    """List the versions that the store has learned: which one is active, and what was measured about each."""
    with target.open(embedder="none") as store:
        models = store.learning.models()
    if as_json:
        print_json_list(_facts(model) for model in models)
        return
    terminal = console()
    if not models:
        terminal.print("The store has learned nothing yet; `hybridstore tune --auto` makes a first version.")
        return
    from rich.table import Table

    table = Table("", "version", "kind", "state", "made", "embedder", "measured", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for column in table.columns[:5]:
        column.no_wrap = True
    table.columns[-1].ratio, table.expand = 1, True
    for model in models:
        mark, made = "*" if model.state == "active" else " ", model.made.replace("T", " ")[:16]
        cells = mark, str(model.number), model.kind, model.state, made, model.source.partition("@")[0], measured(model)
        table.add_row(*map(printable, cells), style="bold" if model.state == "active" else None)
    terminal.print(table)
    terminal.print(_answers(next((model for model in models if model.state == "active"), None)), style="dim")


def measured(model: ModelVersion) -> str:
    """Say what was measured about a version, by the gate or of a map; "" where nothing was."""
    report: Any = model.report
    if isinstance(verdict := report.get("verdict"), dict):
        return str(verdict.get("reason", ""))
    if "agreement" in report:
        return (
            f"{report['agreement']:.0%} of the ten nearest stay so, mean cosine {report['cosine']:.2f}, "
            f"on {report['held_out']:,} held-out chunks"
        )
    return ""


@click.command(
    short_help="Make a version the one that answers.",
    epilog=examples("hybridstore model promote", "hybridstore model promote 3", "hybridstore model promote plain"),
)
@click.argument("version", required=False, metavar="[NUMBER|plain]")
@click.option("--force", is_flag=True, help="Also a version that was refused.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
@pass_target
def promote(target: Target, /, *, version: str | None, force: bool, quiet: bool, as_json: bool) -> None:
    """Make a version the one that answers: that NUMBER, the plain embedder, or the newest that was accepted and waits.

    The change is one step; `hybridstore model rollback` goes back to the version before. A version that is another
    embedder gets its vectors first; searches go on with the old ones meanwhile.
    """
    from hybridstore.tuning import model_versions

    with target.open() as store:
        number = _number(store, version, force=force)
        now = store.learning.model()
        if number == (now and now.number):
            say("It is in use already; nothing was changed.")
        else:
            target.kept = _EMBEDDED
            now = _changed(lambda told: model_versions.promote(store, number, progress=told), quiet=quiet)
        _tell(now, as_json=as_json)


@click.command(short_help="Go back to the version before.", epilog=examples("hybridstore model rollback"))
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
@pass_target
def rollback(target: Target, /, *, quiet: bool, as_json: bool) -> None:
    """Go back to the version that answered before the active one, or to the plain embedder; repeated, further back."""
    from hybridstore.tuning import model_versions

    with target.open() as store:
        target.kept = _EMBEDDED
        now = _changed(lambda told: model_versions.rollback(store, progress=told), quiet=quiet)
        _tell(now, as_json=as_json)


@click.command(
    short_help="Ask with another embedder over the vectors there are.",
    epilog=examples("hybridstore model drift multilingual-e5-small", "hybridstore model drift ./my-encoder-onnx"),
)
@click.argument("name", metavar="NAME-OR-FOLDER")
@click.option("--sample", type=click.IntRange(1), metavar="N", help="Chunks that the map is estimated from.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
@pass_target
def drift(target: Target, /, *, name: str, sample: int | None, quiet: bool, as_json: bool) -> None:
    """Embed questions by another model from now on, over the old one's vectors, through a map between the two.

    The map is estimated from a sample of the store's chunks, and how good it is from others. Documents stay as they
    are; `hybridstore reembed --embedder` changes them too, and ends it. A map that keeps too little is refused.
    """
    from hybridstore import embedders
    from hybridstore.tuning.drift import compensate

    rate = Rate("chunks")
    with target.open() as store, progress("Embedding a sample", quiet=quiet) as update:
        model = compensate(
            store,
            embedders.load(name),
            **({"sample": sample} if sample else {}),
            progress=lambda done, of: update(done, of, f"{done:,}/{of:,} chunks", rate.of(done)),
        )
    if as_json:
        print_json(_facts(model))
        return
    exactly = f"`hybridstore reembed --embedder {name}` makes it exact"
    if model.state == "refused":
        click.echo(
            f"Refused: {measured(model)}; {model.report['least_agreement']:.0%} are needed. Nothing was changed, "
            f"version {model.number} stays in the history; {exactly}."
        )
    else:
        click.echo(
            f"Version {model.number} answers now: {measured(model)}. {exactly}, `hybridstore model rollback` undoes it."
        )


def _facts(model: ModelVersion) -> dict[str, Any]:
    return {
        "number": model.number,
        "kind": model.kind,
        "state": model.state,
        "active": model.state == "active",
        "made": model.made,
        "previous": model.previous,
        "source": model.source,
        "target": model.target,
        "reference": model.reference,
        "report": dict(model.report),
    }


def _number(store: Store, version: str | None, *, force: bool) -> int | None:
    """Give the version's number that is meant, None for the plain embedder; raises InputError, NotFound."""
    from hybridstore.errors import InputError, NotFound

    if version == _PLAIN:
        return None
    models = {model.number: model for model in store.learning.models()}
    if version is None:
        waiting = [model.number for model in models.values() if model.state == "candidate"]
        if not waiting:
            raise InputError("no version waits to be promoted; `hybridstore model history` lists what there is")
        return waiting[-1]
    if not version.isdecimal():
        raise click.UsageError(f"a version is a number, or {_PLAIN!r} for the plain embedder, not {version!r}")
    number = int(version)
    if number not in models:
        raise NotFound(version, f"there is no version {version}; `hybridstore model history` lists what there is")
    if models[number].state == "refused":
        why = f"version {number} was refused: {measured(models[number])}"
        if not force:
            raise InputError(f"{why}; --force promotes it all the same")
        say(f"Careful: {why}.")
    return number


def _changed(
    change: Callable[[Callable[[int, int], None]], ModelVersion | None], *, quiet: bool
) -> ModelVersion | None:
    """Make a change with progress; where an embedder is not to be had, nothing changes, and what to do is added."""
    from hybridstore.errors import ModelUnavailable

    rate = Rate("chunks")
    try:
        with progress("Embedding", quiet=quiet) as update:
            return change(lambda done, of: update(done, of, f"{done:,}/{of:,} chunks", rate.of(done)))
    except ModelUnavailable as error:
        told = "nothing was changed; put its files back, or promote another version of `hybridstore model history`"
        raise ModelUnavailable(error.model, f"{error.reason}; {told}") from error


def _tell(now: ModelVersion | None, *, as_json: bool) -> None:
    if as_json:
        print_json({"active": _facts(now) if now else None})
    else:
        click.echo(_answers(now))


def _answers(now: ModelVersion | None) -> str:
    return _PLAIN_ANSWERS if now is None else f"Version {now.number} ({now.kind}) answers questions now."
