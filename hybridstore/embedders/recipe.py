"""Recipes: a model's prefixes, window and pooling, read from its card or from the files in its folder."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridstore.errors import ModelUnavailable

if TYPE_CHECKING:
    from hybridstore.embedders.catalog import ModelCard

DATA = Path(__file__).parent / "data"
OURS = "hybridstore.json"
POOLINGS = ("mean", "cls", "inside")
GRAPHS = ("model.onnx", "onnx/model.onnx")
# The small files with a model's configuration; a download includes those that exist.
CONFIGURATION = (
    OURS,
    "config.json",
    "modules.json",
    "tokenizer_config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
)
_LARGEST = 16 << 20  # bytes of a file with configuration; the largest seen has 20 kB
# If no file gives the window: BERT's, which nearly every small encoder has.
_WINDOW = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a model turns text into vectors.

    `graph` is the ONNX file's path in the folder and `sha256` its required checksum (None: any); `dense` are folders of
    layers applied after pooling, `without` is a file of directions (k, dim) that are then taken out of every vector:
    docs/generate_common_directions.py says which and why. `batch_texts` limits the texts of one run: an int8 graph
    scales its activations over the whole batch, so a text always gets the same vector only if it runs alone.
    """

    name: str
    graph: str
    max_tokens: int
    pooling: str
    query_prefix: str = ""
    document_prefix: str = ""
    dense: tuple[str, ...] = ()
    without: Path | None = None
    sha256: str | None = None
    dim: int | None = None
    batch_texts: int | None = None


def of_card(card: ModelCard) -> Recipe:
    """Return the recipe of a catalog model."""
    return Recipe(
        name=card.name,
        graph=card.files[0].path,
        max_tokens=card.max_tokens,
        pooling=card.pooling,
        query_prefix=card.query_prefix,
        document_prefix=card.document_prefix,
        dense=card.dense,
        without=DATA / card.without if card.without else None,
        sha256=card.files[0].sha256,
        dim=card.dim,
    )


def of_folder(folder: Path, name: str | None = None) -> Recipe:
    """Return the recipe of a folder that hybridstore exported or that has the layout of sentence-transformers.

    Raises ModelUnavailable if there is no ONNX graph, a file cannot be read, or the pooling is not supported.
    """
    name = name or folder.name
    exported = read(folder / OURS, name)
    if exported:
        return _of_export(exported, name)
    graph = next((path for path in GRAPHS if (folder / path).is_file()), None)
    if graph is None:
        raise ModelUnavailable(
            name, f"{folder} has no {' or '.join(GRAPHS)}; make one with `hybridstore model export {folder}`"
        )
    pooling, dense = modules(folder, name)
    query, document = prompts(folder, name)
    return Recipe(
        name=name,
        graph=graph,
        max_tokens=window(folder, name),
        pooling=pooling,
        query_prefix=query,
        document_prefix=document,
        dense=dense,
    )


def _of_export(exported: dict[str, Any], name: str) -> Recipe:
    try:
        recipe = Recipe(
            name=str(exported["name"]),
            graph=inside(str(exported.get("model", GRAPHS[0])), name),
            max_tokens=int(exported["max_tokens"]),
            pooling=str(exported["pooling"]),
            query_prefix=str(exported.get("query_prefix", "")),
            document_prefix=str(exported.get("document_prefix", "")),
            sha256=exported.get("sha256"),
            dim=int(exported["dim"]),
            batch_texts=exported.get("batch_texts"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelUnavailable(name, f"its {OURS} lacks or has an invalid {error}; export it again") from error
    if recipe.pooling not in POOLINGS:
        raise ModelUnavailable(name, f"its pooling {recipe.pooling!r} is not one of {', '.join(POOLINGS)}")
    return recipe


def modules(folder: Path, name: str) -> tuple[str, tuple[str, ...]]:
    """Return the pooling and the folders of dense layers, from modules.json; ("mean", ()) without one."""
    pooling, dense = "mean", []
    for module in read(folder / "modules.json", name) or []:
        kind, path = str(module.get("type", "")).rpartition(".")[2], inside(str(module.get("path", "")), name)
        if kind == "Pooling":
            pooling = _pooling(read(folder / path / "config.json", name) or {}, name)
        elif kind == "Dense":
            dense.append(path)
        elif kind not in ("Transformer", "Normalize"):
            raise ModelUnavailable(name, f"its module {kind!r} is not supported, only Transformer, Pooling and Dense")
    return pooling, tuple(dense)


def _pooling(config: dict[str, Any], name: str) -> str:
    mode = config.get("pooling_mode")  # newer files name the mode, older ones have a switch for each
    if mode is None:
        switches = {
            key.removeprefix("pooling_mode_") for key, on in config.items() if key.startswith("pooling_mode_") and on
        }
        mode = next(iter(switches), "mean") if len(switches) < 2 else "+".join(sorted(switches))
    pooling = {"mean_tokens": "mean", "mean": "mean", "cls_token": "cls", "cls": "cls"}.get(str(mode))
    if pooling is None:
        raise ModelUnavailable(name, f"its pooling {mode!r} is not supported, only mean and cls")
    return pooling


def prompts(folder: Path, name: str) -> tuple[str, str]:
    """Return the query and document prefixes, from config_sentence_transformers.json; empty without one."""
    prompts = (read(folder / "config_sentence_transformers.json", name) or {}).get("prompts") or {}
    return str(prompts.get("query") or ""), str(prompts.get("document") or prompts.get("passage") or "")


def window(folder: Path, name: str) -> int:
    """Return the longest input in tokens that sentence-transformers, the tokenizer and the positions all allow."""
    limits = [
        (read(folder / "sentence_bert_config.json", name) or {}).get("max_seq_length"),
        (read(folder / "tokenizer_config.json", name) or {}).get("model_max_length"),
        (read(folder / "config.json", name) or {}).get("max_position_embeddings"),
    ]
    # A tokenizer without a limit has 10^30.
    known = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < 1 << 20]
    return min(known) if known else _WINDOW


def read(path: Path, name: str) -> Any:
    """Return a JSON file's content, None if there is no such file; raises ModelUnavailable if it cannot be read."""
    try:
        if path.stat().st_size > _LARGEST:
            raise ModelUnavailable(name, f"{path} is larger than {_LARGEST >> 20} MiB, which no configuration is")
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelUnavailable(name, f"{path} cannot be read: {error}") from error


def inside(path: str, name: str) -> str:
    """Return a path that a model's file gives if it stays in the model's folder; raises ModelUnavailable."""
    parts = path.replace("\\", "/").split("/")
    if path.startswith(("/", "\\")) or ".." in parts or "\0" in path or ":" in parts[0]:
        raise ModelUnavailable(name, f"it names the file {path!r}, which is outside its folder")
    return path


def is_repository(name: str) -> bool:
    """Return whether a name has the form of a repository on the hub, "organisation/name"."""
    return re.fullmatch(r"[\w.-]+/[\w.-]+", name) is not None and not name.startswith(".")
