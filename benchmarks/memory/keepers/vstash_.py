"""vstash's Memory, as documented: `remember` for a text, `search` for recalling; otherwise with its defaults.

The embedder goes in by `register_encoder_resolver`, its documented hook, under a name that its configuration file gives
to the model. A Memory has a collection, "default", and a search in it makes SQLite ask FTS5 anew for every note, which
takes .3 s at 1,000 notes and grows: `VstashDefault` does so. `Vstash` searches with `collection=None`,
which its documentation calls "no filter", and finds the same here. Its searches drop what is far from the best hit and
diversify the rest, so they may give fewer than asked for. Where the standard library's sqlite3 cannot load extensions,
and so cannot run vstash, pysqlite3 stands in for it.

It counts tokens with tiktoken's cl100k_base, fetched when it is first used; without the net, TIKTOKEN_CACHE_DIR names
a folder that has it, as `llama_index/core/_static/tiktoken_cache` does where llama-index-core is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from hybridstore.embedders.protocol import Embedder

from .base import ITEMS, Keeper

MODEL = "given"


class _Encoder:
    """An embedder as vstash wants it; it encodes notes and questions alike, and so does the default model."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedding_dim = embedder.dim
        self._embedder = embedder

    def encode(self, texts: Sequence[str]) -> Any:
        return self._embedder.embed_documents(texts)


class Vstash(Keeper):
    title = "vstash, collection=None"
    needs = ("vstash",)
    packages = ("vstash", "sqlite-vec", "pysqlite3-binary")
    searched: ClassVar[Mapping[str, Any]] = {"collection": None}

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        import sqlite3

        if not hasattr(sqlite3.Connection, "enable_load_extension"):
            import pysqlite3

            sys.modules["sqlite3"] = pysqlite3
        from vstash import Memory
        from vstash.embed import register_encoder_resolver

        encoder = _Encoder(embedder)
        register_encoder_resolver(lambda name: encoder if name == MODEL else None)
        config = folder / "vstash.toml"
        config.write_text(f'[embeddings]\nmodel = "{MODEL}"\n')
        self._memory = Memory(config=config, db=folder / "memory.db")

    def remember(self, note: str) -> None:
        kept = self._memory.remember(note)
        if kept.status != "ok":
            raise RuntimeError(f"vstash did not keep {note!r}: {kept.status}")

    def recall(self, query: str) -> list[str]:
        return [hit.text for hit in self._memory.search(query, top_k=ITEMS, **self.searched)]

    def close(self) -> None:
        self._memory.close()


class VstashDefault(Vstash):
    title = "vstash"
    most = 2_000
    searched: ClassVar[Mapping[str, Any]] = {}
