"""The two best libraries side by side: tantivy's keyword index and usearch's HNSW, fused by RRF over 100 of each.

No store: two files that nothing keeps together, and an approximate vector leg with usearch's defaults (connectivity
16, expansion 64 and 128, bfloat16). Stemmed English text in tantivy, the query's words joined by OR; the hits' texts
come from tantivy. usearch has no filter in Python, so there is none.
"""

# ruff: noqa: ARG002 - the signature is the one that all share

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .base import Baseline, Fields, Vector, Where, rrf

DEPTH = 100


class TantivyUsearch(Baseline):
    name = "tantivy + usearch"
    packages = ("tantivy", "usearch")
    exact = False
    filters = False

    @classmethod
    def imports(cls) -> None:
        import tantivy  # noqa: F401
        import usearch.index  # noqa: F401

    def __init__(self, path: Path) -> None:
        import tantivy
        from usearch.index import Index

        builder = tantivy.SchemaBuilder()
        builder.add_text_field("id", stored=True, tokenizer_name="raw")
        builder.add_text_field("text", stored=True, tokenizer_name="en_stem")
        folder = path / "words"
        folder.mkdir(parents=True, exist_ok=True)
        self.tantivy, self.schema = tantivy, builder.build()
        self.words = tantivy.Index(self.schema, path=str(folder))
        self.searcher = self.words.searcher()
        self.file = path / "vectors.usearch"
        self.near = Index(ndim=384, metric="cos")
        if self.file.exists():
            self.near.load(str(self.file))
        self.writer: Any = None

    def add(self, ids: Sequence[str], texts: Sequence[str], vectors: Vector, metadata: Sequence[Fields]) -> None:
        self.writer = self.writer or self.words.writer()
        for id_, text in zip(ids, texts, strict=True):
            self.writer.add_document(self.tantivy.Document(id=id_, text=text))
        self.near.add(np.array([number(id_) for id_ in ids]), vectors)

    def finish(self) -> None:
        self.writer.commit()
        self.words.reload()
        self.searcher = self.words.searcher()
        self.near.save(str(self.file))

    def write_one(self, id_: str, text: str, vector: Vector, metadata: Fields) -> None:
        super().write_one(id_, text, vector, metadata)
        self.finish()

    def _matching(self, text: str, limit: int) -> list[str]:
        query = self.words.parse_query(" ".join(re.findall(r"\w+", text.lower())), ["text"])
        found = self.searcher.search(query, limit, count=False).hits
        return [self.searcher.doc(address)["id"][0] for _, address in found]

    def _fetched(self, ids: list[str]) -> list[str]:
        for id_ in ids:
            query = self.tantivy.Query.term_query(self.schema, "id", id_)
            address = self.searcher.search(query, 1, count=False).hits[0][1]
            self.searcher.doc(address)["text"]
        return ids

    def _nearest(self, vector: Vector, limit: int) -> list[str]:
        return [f"p{key}" for key in self.near.search(vector, limit).keys.tolist()]

    def search(self, text: str, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        return self._fetched(rrf([self._matching(text, DEPTH), self._nearest(vector, DEPTH)], limit))

    def keyword(self, text: str, *, limit: int = 10, where: Where = None) -> list[str]:
        return self._matching(text, limit)

    def vector(self, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        return self._fetched(self._nearest(vector, limit))

    def close(self) -> None:
        self.writer = None


def number(id_: str) -> int:
    return int(id_[1:])
