"""The embedder of all systems: a model whose vectors for the notes and questions are computed beforehand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import hybridstore.embedders as models
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.embedders.protocol import Embedder, ManyQueries

HASHING = "hashing"  # no model: for trying it out

_TEXTS, _VECTORS = "texts.json", "vectors.npy"


def loaded(name: str | None, threads: int) -> Embedder:
    """Load an embedder by its name, the default model for None."""
    return HashingEmbedder() if name == HASHING else models.load(name or models.DEFAULT, threads=threads)


def embedded(folder: Path, model: Embedder, notes: Sequence[str], questions: Sequence[str]) -> None:
    """Embed all texts, and keep their vectors in the folder."""
    vectors = np.concatenate([model.embed_documents(notes), *(model.embed_query(text)[None] for text in questions)])
    np.save(folder / _VECTORS, vectors)
    (folder / _TEXTS).write_text(json.dumps([*notes, *questions]), encoding="utf-8")


class CachedEmbedder:
    """The embedder, from whose folder vectors are looked up; what it does not know the model embeds.

    So a note or a question costs no model, in any system; what a system embeds besides of its own accord does.
    """

    def __init__(self, folder: Path, model: Embedder) -> None:
        texts = json.loads((folder / _TEXTS).read_text(encoding="utf-8"))
        self._rows = dict(zip(texts, np.load(folder / _VECTORS), strict=True))
        self._model = model
        self.dim, self.max_tokens, self.fingerprint = model.dim, model.max_tokens, model.fingerprint

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if all(text in self._rows for text in texts):
            return np.stack([self._rows[text] for text in texts])
        return self._model.embed_documents(texts)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        known = self._rows.get(text)
        return self._model.embed_query(text) if known is None else known

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if isinstance(self._model, ManyQueries) and not any(text in self._rows for text in texts):
            return self._model.embed_queries(texts)
        return np.stack([self.embed_query(text) for text in texts])

    def token_starts(self, text: str) -> Sequence[int]:
        return self._model.token_starts(text)
