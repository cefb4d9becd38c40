"""`model`: the known embedders, their export from transformers encoders, and the versions that a store has learned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli import version_commands
from hybridstore.cli.shared_options import examples, json_option
from hybridstore.cli.terminal import console, print_facts, print_json, say, table

if TYPE_CHECKING:
    from hybridstore.embedders.catalog import ModelCard

_COMMON = ("name", "dim", "max_tokens", "pooling", "query_prefix", "document_prefix")  # facts of every model


@click.group(
    commands=(
        version_commands.history,
        version_commands.promote,
        version_commands.rollback,
        version_commands.drift,
        version_commands.drop,
    ),
    epilog=examples(
        "hybridstore model list",
        "hybridstore model export ./my-encoder ./my-encoder-onnx --precision int8",
        "hybridstore model history",
    ),
)
def model() -> None:
    """List, inspect and export embedders; promote and roll back what the store has learned."""


@model.command(name="list", short_help="List the known models.", epilog=examples("hybridstore model list"))
@json_option
def list_(*, as_json: bool) -> None:
    """List the models that are known by name: languages, size, licence, and where each comes from.

    Any folder with an ONNX encoder, and any "organisation/name" on the Hugging Face hub, can be used as well.
    """
    from hybridstore.embedders.catalog import DEFAULT, MODELS

    facts = [_facts(card) for card in MODELS]
    if as_json:
        print_json(facts)
        return
    terminal = console()
    shown = table("model", "dim", "window", "langs", "MB", "licence", "from")
    for column in (1, 2, 4):
        shown.columns[column].justify = "right"
    shown.columns[0].no_wrap = True
    for card, fact in zip(MODELS, facts, strict=True):
        languages = "100" if card.languages == ("mul",) else ", ".join(card.languages)
        numbers = str(card.dim), str(card.max_tokens), languages, f"{fact['package_mb'] or card.size:,}"
        shown.add_row(card.name, *numbers, card.licence, _source(fact))
    terminal.print(shown)
    terminal.print(
        f"\nThe default is {DEFAULT}, for English. An extra brings a model as a package: pip install "
        "'hybridstore[multilingual]'. Models on the hub are downloaded when first used.",
        style="dim",
        markup=False,
    )


@model.command(
    short_help="Show the facts of a model.",
    epilog=examples("hybridstore model info multilingual-e5-small", "hybridstore model info ./my-encoder-onnx"),
)
@click.argument("name")
@json_option
def info(*, name: str, as_json: bool) -> None:
    """Show the facts of a model: a known NAME, or a folder. Nothing is downloaded."""
    facts = _known(name)
    if as_json:
        print_json(facts)
        return

    def text(fact: str, value: Any) -> str:
        return ", ".join(value) if isinstance(value, list) else f"{value!r}" if "prefix" in fact else str(value)

    shown = {fact: value for fact, value in facts.items() if value not in (None, "", [])}
    print_facts((fact.replace("_", " "), text(fact, value)) for fact, value in shown.items())


@model.command(
    short_help="Convert a transformers encoder to ONNX.",
    epilog=examples(
        "hybridstore model export ./my-encoder ./my-encoder-onnx --precision int8",
        "hybridstore add ~/notes --embedder ./my-encoder-onnx",
    ),
)
@click.argument("source", metavar="NAME-OR-FOLDER")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--device", default="cpu", type=click.Choice(("cpu", "cuda")), help="The device it will run on.")
@click.option(
    "--precision",
    default="fp32",
    type=click.Choice(("fp32", "fp16", "int8")),
    help="fp16 is for a GPU, int8 for a CPU.",
)
def export(*, source: str, out: Path, device: str, precision: str) -> None:
    """Convert a transformers encoder to an ONNX model in the folder OUT, including pooling and normalisation.

    Nothing is saved unless its vectors match those of PyTorch. Needs pip install 'hybridstore[train]'.
    """
    from hybridstore.tuning.export import export as export_model

    report = export_model(source, out, device=device, precision=precision, progress=say)
    left = f", {' and '.join(report.left_float)} left in float32" if report.left_float else ""
    say(
        f"Wrote {out}: {report.name}, {report.precision}{left}, {report.dim} dimensions, "
        f"{report.size / 1e6:,.0f} MB, in {report.seconds:.0f} s.\n"
        f"The lowest cosine to PyTorch's vectors, over {report.parity.sentences} sentences, is "
        f"{report.parity.minimum:.4f}. Use it with --embedder {out}."
    )


def _source(fact: dict[str, Any]) -> str:
    """Say in a few words where a model is, or would come from."""
    if fact["here"]:
        return "here"
    return f"[{fact['extra']}]" if fact["extra"] else "hub"


def _known(name: str) -> dict[str, Any]:
    from hybridstore.embedders import catalog, locate
    from hybridstore.errors import ModelUnavailable

    card = catalog.find(name)
    if card is not None:
        return _facts(card)
    folder = Path(name).expanduser()
    if not folder.is_dir():
        known = ", ".join(card.name for card in catalog.MODELS)
        raise ModelUnavailable(name, f"is not a known model and not a folder; known models are {known}")
    located = locate.locate(folder)
    facts = {name: getattr(located.recipe, name) for name in _COMMON}
    return {**facts, "fingerprint": located.fingerprint, "here": str(located.model)}


def _facts(card: ModelCard) -> dict[str, Any]:
    from hybridstore.embedders import locate

    here = locate.model_file(card)
    return {
        **{name: getattr(card, name) for name in _COMMON},
        "languages": list(card.languages),
        "licence": card.licence,
        "source": card.repo,
        "revision": card.revision,
        "download_mb": card.size,
        "package": card.package.distribution if card.package else None,
        "extra": card.package.extra if card.package else None,
        "package_mb": card.package.size if card.package else None,
        "here": str(here) if here else None,
        "note": card.note,
    }
