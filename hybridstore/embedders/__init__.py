"""Embedders, which turn text into unit vectors: the `Embedder` protocol, and `load` for models."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from hybridstore.embedders.catalog import DEFAULT
from hybridstore.embedders.protocol import Embedder

if TYPE_CHECKING:
    from hybridstore.embedders.onnx import OnnxEmbedder

__all__ = ["DEFAULT", "Embedder", "load", "shared"]


def load(
    name: str | Path = DEFAULT,
    *,
    threads: int | None = None,
    device: str = "auto",
    cache: Path | None = None,
    recorded: bool = False,
) -> OnnxEmbedder:
    """Load an embedder by its name in the catalog, a local folder, or "organisation/name" on the Hugging Face hub.

    Files are looked for as a path, in the cache (`cache`, else $HYBRIDSTORE_CACHE, else ~/.cache/hybridstore/models),
    in an installed weights package, and last on the hub; all known checksums are verified. `threads` None uses all
    cores available to this process; `device` is "auto", "cpu" or "cuda".

    `recorded` says that the name stands in a store's file, which anybody may have written: it is then loaded only if it
    is in the catalog, or was loaded on this machine before without `recorded`; only the catalog's are then fetched.

    Raises:
        ModelUnavailable: there is no such model, its files are missing or fail verification, or only a file names it.
        MissingExtra: onnxruntime, tokenizers or huggingface_hub is needed and not installed.
        InputError: an unknown device, "cuda" without a GPU, or fewer threads than one.

    """
    from hybridstore.embedders import locate
    from hybridstore.embedders.onnx import OnnxEmbedder

    located = locate.locate_recorded(str(name), cache) if recorded else locate.locate(name, cache)
    embedder = OnnxEmbedder(located, threads=threads, device=device)
    if not recorded:
        locate.remember(located, cache)
    return embedder


@lru_cache(maxsize=4)  # models, of which each takes some 100 MB
def shared(name: str | Path, *, threads: int | None = None, device: str = "auto") -> OnnxEmbedder:
    """Return the embedder of a name, loaded once in this process: for workers that are called batch by batch.

    The arguments and errors are those of `load`.
    """
    return load(name, threads=threads, device=device)
