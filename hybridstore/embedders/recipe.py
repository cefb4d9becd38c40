"""How a model wants its text and gives its vectors, read from its card or from the files in its folder."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridstore.errors import ModelUnavailable

if TYPE_CHECKING:
    from hybridstore.embedders.catalog import ModelCard

OURS = "hybridstore.json"
POOLINGS = ("mean", "cls", "inside")
GRAPHS = ("model.onnx", "onnx/model.onnx")
# The small files that say how a model is used; a download takes those of them that there are.
DESCRIPTIONS = (
    OURS,
    "config.json",
    "modules.json",
    "tokenizer_config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
)
# Where no file names the window: BERT's, which nearly every small encoder keeps.
_WINDOW = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The way of a text through a model.

    `graph` is the ONNX file's path in the folder and `sha256` what it must hash to (None: anything); `dense` are
    folders of layers applied after pooling. `batch_texts` bounds the texts of one run: an int8 graph scales its
    activations over the whole batch, so only alone does a text always get the same vector.
    """

    name: str
    graph: str
    max_tokens: int
    pooling: str
    query_prefix: str = ""
    document_prefix: str = ""
    dense: tuple[str, ...] = ()
    sha256: str | None = None
    dim: int | None = None
    batch_texts: int | None = None


def of_card(card: ModelCard) -> Recipe:
    """Give the recipe of a model from the catalog."""
    return Recipe(
        name=card.name,
        graph=card.files[0].path,
        max_tokens=card.max_tokens,
        pooling=card.pooling,
        query_prefix=card.query_prefix,
        document_prefix=card.document_prefix,
        dense=card.dense,
        sha256=card.files[0].sha256,
        dim=card.dim,
    )


def of_folder(folder: Path, name: str | None = None) -> Recipe:
    """Give the recipe of a folder: our own export's, or one laid out as sentence-transformers lays it out.

    Raises:
        ModelUnavailable: no ONNX graph, a file that cannot be read, or a pooling that is not supported.

    """
    name = name or folder.name
    ours = read(folder / OURS, name)
    if ours:
        return _of_ours(ours, name)
    graph = next((path for path in GRAPHS if (folder / path).is_file()), None)
    if graph is None:
        raise ModelUnavailable(
            name, f"{folder} holds no {' or '.join(GRAPHS)}; make one with `hybridstore model export {folder}`"
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


def _of_ours(ours: dict[str, Any], name: str) -> Recipe:
    try:
        recipe = Recipe(
            name=str(ours["name"]),
            graph=str(ours.get("model", GRAPHS[0])),
            max_tokens=int(ours["max_tokens"]),
            pooling=str(ours["pooling"]),
            query_prefix=str(ours.get("query_prefix", "")),
            document_prefix=str(ours.get("document_prefix", "")),
            sha256=ours.get("sha256"),
            dim=int(ours["dim"]),
            batch_texts=ours.get("batch_texts"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelUnavailable(name, f"its {OURS} lacks or garbles {error}; export the model again") from error
    if recipe.pooling not in POOLINGS:
        raise ModelUnavailable(name, f"its pooling {recipe.pooling!r} is none of {', '.join(POOLINGS)}")
    return recipe


def modules(folder: Path, name: str) -> tuple[str, tuple[str, ...]]:
    """Give the pooling and the folders of the dense layers after it, by modules.json; ("mean", ()) without one."""
    pooling, dense = "mean", []
    for module in read(folder / "modules.json", name) or []:
        kind, path = str(module.get("type", "")).rpartition(".")[2], str(module.get("path", ""))
        if kind == "Pooling":
            pooling = _pooling(read(folder / path / "config.json", name) or {}, name)
        elif kind == "Dense":
            dense.append(path)
        elif kind not in ("Transformer", "Normalize"):
            raise ModelUnavailable(name, f"its module {kind!r} is not supported, only Transformer, Pooling and Dense")
    return pooling, tuple(dense)


def _pooling(config: dict[str, Any], name: str) -> str:
    chosen = config.get("pooling_mode")  # newer files name the mode, older ones have a switch for each
    if chosen is None:
        switches = {
            key.removeprefix("pooling_mode_") for key, on in config.items() if key.startswith("pooling_mode_") and on
        }
        chosen = next(iter(switches), "mean") if len(switches) < 2 else "+".join(sorted(switches))
    pooling = {"mean_tokens": "mean", "mean": "mean", "cls_token": "cls", "cls": "cls"}.get(str(chosen))
    if pooling is None:
        raise ModelUnavailable(name, f"its pooling {chosen!r} is not supported, only mean and cls")
    return pooling


def prompts(folder: Path, name: str) -> tuple[str, str]:
    """Give the query and the document prefix, by config_sentence_transformers.json; empty without one."""
    named = (read(folder / "config_sentence_transformers.json", name) or {}).get("prompts") or {}
    return str(named.get("query") or ""), str(named.get("document") or named.get("passage") or "")


def window(folder: Path, name: str) -> int:
    """Give the longest input in tokens that sentence-transformers, the tokenizer and the positions all allow."""
    limits = [
        (read(folder / "sentence_bert_config.json", name) or {}).get("max_seq_length"),
        (read(folder / "tokenizer_config.json", name) or {}).get("model_max_length"),
        (read(folder / "config.json", name) or {}).get("max_position_embeddings"),
    ]
    # A tokenizer without a limit says 10^30.
    known = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < 1 << 20]
    return min(known) if known else _WINDOW


def read(path: Path, name: str) -> Any:
    """Give a JSON file's content, None where there is no such file.

    Raises:
        ModelUnavailable: the file is there but cannot be read.

    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelUnavailable(name, f"{path} cannot be read: {error}") from error


def is_repository(name: str) -> bool:
    """Tell whether a name is written as the hub writes repositories: "organisation/name"."""
    return re.fullmatch(r"[\w.-]+/[\w.-]+", name) is not None and not name.startswith(".")
