"""`model history`, `promote`, `rollback` and `drift`: the versions of the model that adapts queries to the vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.shared_options import Target, examples, json_option, number_option, pass_target, quiet_option
from hybridstore.cli.terminal import console, counting, print_json, print_json_list, printable, say, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from hybridstore.backends.learning import ModelVersion
    from hybridstore.store import Store

_PLAIN = "plain"
_IF_STOPPED = (
    "Queries are answered as before, unless the change was complete (`hybridstore model history` shows it); vectors "
    "made so far are kept, and the same command continues."
)


@click.command(
    short_help="List the versions that the store has learned.",
    epilog=examples("hybridstore model history", "hybridstore model history --json"),
)
@json_option
@pass_target
def history(target: Target, /, *, as_json: bool) -> None:
    """List the versions that the store has learned: which one is active, and how each was evaluated."""
    with target.open(embedder="none") as store:
        models = store.learning.models()
    if as_json:
        print_json_list(_facts(model) for model in models)
        return
    terminal = console()
    if not models:
        terminal.print("The store has learned nothing yet; `hybridstore tune --auto` trains a first version.")
        return
    shown = table("", "version", "kind", "state", "made", "embedder", "evaluation", expand=True)
    shown.columns[1].justify = "right"
    for column in shown.columns[:5]:
        column.no_wrap = True
    shown.columns[-1].ratio = 1
    for model in models:
        mark, made = "*" if model.state == "active" else " ", model.made.replace("T", " ")[:16]
        embedder = model.source.partition("@")[0]
        cells = mark, str(model.number), model.kind, model.state, made, embedder, _evaluation(model)
        shown.add_row(*map(printable, cells), style="bold" if model.state == "active" else None)
    terminal.print(shown)
    terminal.print(_active(next((model for model in models if model.state == "active"), None)), style="dim")


@click.command(
    short_help="Make a version the active one.",
    epilog=examples("hybridstore model promote", "hybridstore model promote 3", "hybridstore model promote plain"),
)
@click.argument("version", required=False, metavar="[NUMBER|plain]")
@click.option("--force", is_flag=True, help="Allow a version that was rejected, or breaks expectations.")
@quiet_option
@json_option
@pass_target
def promote(target: Target, /, *, version: str | None, force: bool, quiet: bool, as_json: bool) -> None:
    """Make a version active: the one of that NUMBER, the plain embedder, or the newest accepted one that is waiting.

    The change is one step; `hybridstore model rollback` returns to the version before. A version that is another
    embedder gets its vectors first; searches use the old ones meanwhile.
    """
    from hybridstore.tuning import model_versions

    with target.open() as store:
        number = _number(store, version, force=force)
        active = store.learning.model()
        if number == (active and active.number):
            say("It is active already; nothing was changed.")
        else:
            target.if_stopped = _IF_STOPPED
            active = _changed(
                lambda show: model_versions.promote(store, number, force=force, progress=show), quiet=quiet
            )
        _print_active(active, as_json=as_json)


@click.command(short_help="Return to the version before.", epilog=examples("hybridstore model rollback"))
@click.option("--force", is_flag=True, help="Even if it breaks expectations.")
@quiet_option
@json_option
@pass_target
def rollback(target: Target, /, *, force: bool, quiet: bool, as_json: bool) -> None:
    """Return to the version before the active one, or to the plain embedder; can be repeated."""
    from hybridstore.tuning import model_versions

    with target.open() as store:
        target.if_stopped = _IF_STOPPED
        active = _changed(lambda show: model_versions.rollback(store, force=force, progress=show), quiet=quiet)
        _print_active(active, as_json=as_json)


@click.command(
    short_help="Embed queries with another model, over the existing vectors.",
    epilog=examples("hybridstore model drift multilingual-e5-small", "hybridstore model drift ./my-encoder-onnx"),
)
@click.argument("name", metavar="NAME-OR-FOLDER")
@number_option("--sample", "Chunks that the map is estimated from.")
@quiet_option
@json_option
@pass_target
def drift(target: Target, /, *, name: str, sample: int | None, quiet: bool, as_json: bool) -> None:
    """Embed queries with another model from now on, over the old model's vectors, through a map between the two.

    The map is estimated from a sample of the store's chunks and evaluated on others; one that preserves too little is
    rejected. Documents keep their vectors until `hybridstore reembed --embedder` replaces them, which ends the map.
    """
    from hybridstore import embedders
    from hybridstore.tuning.drift import compensate

    settings = {"sample": sample} if sample else {}
    with target.open() as store, counting("Embedding a sample", "chunks", quiet=quiet) as counter:
        model = compensate(store, embedders.load(name), **settings, progress=counter)
    if as_json:
        print_json(_facts(model))
        return
    exact = f"`hybridstore reembed --embedder {name}` makes it exact"
    if model.state == "refused":
        click.echo(
            f"Rejected: {_evaluation(model)}; {model.report['least_agreement']:.0%} are needed. Nothing was changed, "
            f"version {model.number} stays in the history; {exact}."
        )
    else:
        click.echo(
            f"Version {model.number} is active now: {_evaluation(model)}. {exact}, "
            "`hybridstore model rollback` undoes it."
        )


@click.command(
    short_help="Take an added embedder's vectors away.",
    epilog=examples("hybridstore model drop multilingual-e5-small"),
)
@click.argument("name")
@pass_target
def drop(target: Target, /, *, name: str) -> None:
    """Take away the vectors of an embedder that was added with `hybridstore reembed --add`."""
    with target.open(embedder="none") as store:
        dropped = store.drop_leg(name)
    say(f"The vectors of {dropped} are gone; the store is searched without them.")


def _facts(model: ModelVersion) -> dict[str, Any]:
    names = ("number", "kind", "state", "made", "previous", "source", "target", "reference")
    facts = {name: getattr(model, name) for name in names}
    return {**facts, "active": model.state == "active", "report": dict(model.report)}


def _evaluation(model: ModelVersion) -> str:
    """Say how a version, or a map, was evaluated; "" where it was not."""
    report: Any = model.report
    if isinstance(verdict := report.get("verdict"), dict):
        return str(verdict.get("reason", ""))
    if "agreement" in report:
        return (
            f"{report['agreement']:.0%} of the ten nearest neighbours stay the same, mean cosine "
            f"{report['cosine']:.2f}, on {report['held_out']:,} held-out chunks"
        )
    return ""


def _number(store: Store, version: str | None, *, force: bool) -> int | None:
    """Return the number of the version to promote, None for the plain embedder; raises InputError, NotFound."""
    from hybridstore.errors import InputError, NotFound

    if version == _PLAIN:
        return None
    models = {model.number: model for model in store.learning.models()}
    if version is None:
        waiting = [model.number for model in models.values() if model.state == "candidate"]
        if not waiting:
            raise InputError("no version is waiting to be promoted; `hybridstore model history` lists all versions")
        return waiting[-1]
    if not version.isdecimal():
        raise click.UsageError(f"a version is a number, or {_PLAIN!r} for the plain embedder, not {version!r}")
    number = int(version)
    if number not in models:
        raise NotFound(version, f"there is no version {version}; `hybridstore model history` lists all versions")
    if models[number].state == "refused":
        why = f"version {number} was rejected: {_evaluation(models[number])}"
        if not force:
            raise InputError(f"{why}; --force promotes it anyway")
        say(f"Warning: {why}.")
    return number


def _changed(
    change: Callable[[Callable[[int, int], None]], ModelVersion | None], *, quiet: bool
) -> ModelVersion | None:
    """Change the active version, showing progress; a missing embedder is an error that says what to do."""
    from hybridstore.errors import ModelUnavailable

    try:
        with counting("Embedding", "chunks", quiet=quiet) as counter:
            return change(counter)
    except ModelUnavailable as error:
        remedy = "nothing was changed; restore its files, or promote another version of `hybridstore model history`"
        raise ModelUnavailable(error.model, f"{error.reason}; {remedy}") from error


def _print_active(active: ModelVersion | None, *, as_json: bool) -> None:
    if as_json:
        print_json({"active": _facts(active) if active else None})
    else:
        click.echo(_active(active))


def _active(model: ModelVersion | None) -> str:
    if model is None:
        return "The plain embedder is active now."
    return f"Version {model.number} ({model.kind}) is active now."
