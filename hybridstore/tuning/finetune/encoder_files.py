"""An encoder's weights on the disk, laid out as sentence-transformers and `encoder.find` read them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridstore.embedders import checksums
from hybridstore.embedders.tokenizer import from_file
from hybridstore.errors import ModelUnavailable
from hybridstore.tuning.onnx_tracing import hushed

if TYPE_CHECKING:
    from hybridstore.tuning.encoder import EncoderSource

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
_WEIGHTS = ("*.safetensors", "*.bin")
_KIND = "sentence_transformers.models."


def write(module: Any, source: EncoderSource, name: str, folder: Path) -> EncoderSource:
    """Write a trained encoder with its tokenizer and how it is used into a new folder; give it as a source."""
    import torch
    import transformers
    from safetensors.torch import save_file  # type: ignore[import-not-found, unused-ignore]

    folder.mkdir(parents=True)
    transformers.logging.disable_progress_bar()
    try:
        with hushed():
            module.inner.save_pretrained(folder)
    finally:
        transformers.logging.enable_progress_bar()
    for file in _TOKENIZER:
        if (source.folder / file).is_file():
            shutil.copy(source.folder / file, folder / file)
    layers = [("Transformer", ""), ("Pooling", "1_Pooling"), *(("Dense", each) for each in source.dense)]
    _json(folder / "modules.json", [
        {"idx": n, "name": str(n), "path": path, "type": _KIND + kind}
        for n, (kind, path) in enumerate([*layers, ("Normalize", f"{len(layers)}_Normalize")])
    ])  # fmt: skip
    width = module.inner.config.hidden_size
    mode = {
        "word_embedding_dimension": width,
        f"pooling_mode_{source.pooling}_token{'s' * (source.pooling == 'mean')}": True,
    }
    (folder / "1_Pooling").mkdir()
    _json(folder / "1_Pooling" / "config.json", mode)
    linear = [each for each in module.layers if isinstance(each, torch.nn.Linear)]
    for path, each in zip(source.dense, linear, strict=True):
        (folder / path).mkdir(parents=True)
        shutil.copy(source.folder / path / "config.json", folder / path / "config.json")
        tensors = {f"linear.{key}": value.detach().cpu().contiguous() for key, value in each.named_parameters()}
        save_file(tensors, str(folder / path / "model.safetensors"))
    prompts = {"query": source.query_prefix, "document": source.document_prefix}
    _json(folder / "config_sentence_transformers.json", {"prompts": prompts})
    _json(folder / "sentence_bert_config.json", {"max_seq_length": source.max_tokens, "do_lower_case": False})
    return replace(source, folder=folder, name=name)


def digest(source: EncoderSource) -> str:
    """Give the SHA-256s of the weights and tokenizer: the same for the same encoder, wherever it lies."""
    files = sorted(path for pattern in _WEIGHTS for path in source.folder.glob(pattern))
    if not files:
        raise ModelUnavailable(source.name, f"{source.folder} holds no weights that PyTorch can read")
    from_file(source.folder / "tokenizer.json", source.name)  # says what is wrong with it, if anything
    dense = [source.folder / each / "model.safetensors" for each in source.dense]
    cache = checksums.cache_folder()
    return " ".join(checksums.sha256(path, cache) for path in [*files, source.folder / "tokenizer.json", *dense])


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
