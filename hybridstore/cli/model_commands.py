"""`model`: embedders that are known, and what makes them from transformers encoders; a store's versions beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli import version_commands
from hybridstore.cli.shared_options import examples, json_option
from hybridstore.cli.terminal import console, print_json, printable, say

if TYPE_CHECKING:
    from hybridstore.embedders.catalog import ModelCard


@click.group(
    commands=(version_commands.history, version_commands.promote, version_commands.rollback, version_commands.drift),
    epilog=examples(
        "hybridstore model list",
        "hybridstore model export ./my-encoder ./my-encoder-onnx --precision int8",
        "hybridstore model history",
    ),
)
def model() -> None:
    """List, inspect and export embedders; promote what the store has learned, and take it back."""


@model.command(name="list", short_help="List the models that are known.", epilog=examples("hybridstore model list"))
@json_option
def list_(*, as_json: bool) -> None:
    """List the models that are known by name, and which of them are on this machine.

    Any folder with an ONNX encoder, and any "organisation/name" on the Hugging Face hub, serves as well.
    """
    from hybridstore.embedders.catalog import DEFAULT, MODELS

    facts = [_facts(card) for card in MODELS]
    if as_json:
        print_json(facts)
        return
    from rich.table import Table

    terminal = console()
    table = Table("model", "dim", "window", "languages", "MB", "licence", "here", box=None, pad_edge=False)
    for column in (1, 2, 4):
        table.columns[column].justify = "right"
    table.columns[0].no_wrap = True
    for card, fact in zip(MODELS, facts, strict=True):
        here = "yes" if fact["here"] else "no"
        size = f"{card.size:,}"
        table.add_row(card.name, str(card.dim), str(card.max_tokens), _languages(card), size, card.licence, here)
    terminal.print(table)
    terminal.print(f"\nThe default is {DEFAULT}. Those that are not here are fetched when they are used.", style="dim")


@model.command(
    short_help="Say what a model is.",
    epilog=examples("hybridstore model info multilingual-e5-small", "hybridstore model info ./my-encoder-onnx"),
)
@click.argument("name")
@json_option
def info(*, name: str, as_json: bool) -> None:
    """Say what a model is: one that is known by NAME, or in the folder of that name. Nothing is fetched."""
    facts = _known(name)
    if as_json:
        print_json(facts)
        return
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    for fact, value in facts.items():
        if value not in (None, "", []):
            told = ", ".join(value) if isinstance(value, list) else f"{value!r}" if "prefix" in fact else str(value)
            table.add_row(fact.replace("_", " "), printable(told))
    table.columns[0].style = "dim"
    table.columns[1].overflow = "fold"
    console().print(table)


@model.command(
    short_help="Make an ONNX model of a transformers encoder.",
    epilog=examples(
        "hybridstore model export ./my-encoder ./my-encoder-onnx --precision int8",
        "hybridstore add ~/notes --embedder ./my-encoder-onnx",
    ),
)
@click.argument("source", metavar="NAME-OR-FOLDER")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--device", default="cpu", show_default=True, type=click.Choice(("cpu", "cuda")), help="What it is for.")
@click.option(
    "--precision",
    default="fp32",
    show_default=True,
    type=click.Choice(("fp32", "fp16", "int8")),
    help="fp16 is for a GPU, int8 for a CPU.",
)
def export(*, source: str, out: Path, device: str, precision: str) -> None:
    """Turn a transformers encoder into an ONNX model in the folder OUT, with pooling and normalisation inside.

    Nothing is saved unless its vectors match those of PyTorch. Needs pip install 'hybridstore[train]'.
    """
    from hybridstore.tuning.export import export as export_model

    report = export_model(source, out, device=device, precision=precision, progress=say)
    left = f", {' and '.join(report.left_float)} left in float32" if report.left_float else ""
    say(
        f"Wrote {out}: {report.name}, {report.precision}{left}, {report.dim} dimensions, "
        f"{report.size / 1e6:,.0f} MB, in {report.seconds:.0f} s.\n"
        f"The least cosine to PyTorch's vectors, over {report.parity.sentences} sentences, is "
        f"{report.parity.minimum:.4f}. Use it with --embedder {out}."
    )


def _known(name: str) -> dict[str, Any]:
    from hybridstore.embedders import catalog, locate
    from hybridstore.errors import ModelUnavailable

    card = catalog.find(name)
    if card is not None:
        return _facts(card)
    folder = Path(name).expanduser()
    if not folder.is_dir():
        known = ", ".join(each.name for each in catalog.MODELS)
        raise ModelUnavailable(name, f"is not known by name and no folder; known are {known}")
    found = locate.locate(folder)
    return {
        "name": found.recipe.name,
        "dim": found.recipe.dim,
        "max_tokens": found.recipe.max_tokens,
        "pooling": found.recipe.pooling,
        "query_prefix": found.recipe.query_prefix,
        "document_prefix": found.recipe.document_prefix,
        "fingerprint": found.fingerprint,
        "here": str(found.model),
    }


def _facts(card: ModelCard) -> dict[str, Any]:
    from hybridstore.embedders import locate

    here = locate.model_file(card)
    return {
        "name": card.name,
        "dim": card.dim,
        "max_tokens": card.max_tokens,
        "pooling": card.pooling,
        "query_prefix": card.query_prefix,
        "document_prefix": card.document_prefix,
        "languages": list(card.languages),
        "licence": card.licence,
        "source": card.repo,
        "revision": card.revision,
        "download_mb": card.size,
        "package": card.package.distribution if card.package else None,
        "here": str(here) if here else None,
        "note": card.note,
    }


def _languages(card: ModelCard) -> str:
    return "about 100" if card.languages == ("mul",) else ", ".join(card.languages)
