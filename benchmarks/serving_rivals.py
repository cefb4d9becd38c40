"""Servers of other projects for benchmarks/serving.py, filled with the same passages, vectors and fields.

Chroma's server searches by vectors alone and embeds nothing, so its clients send vectors that are ready made, while
hybridstore embeds each question and searches by words as well. No package with a server
of Meilisearch, Typesense, Qdrant, Weaviate or Milvus was found on PyPI.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import corpus

_AT_ONCE = 500  # passages of a request
_BASE = "/api/v2/tenants/default_tenant/databases/default_database/collections"

Request = tuple[str, dict[str, Any] | None]


@contextmanager
def chroma(command: str, folder: Path, data: Path, port: int) -> Iterator[tuple[tuple[int, int], list[Request]]]:
    """Start Chroma's server with a corpus in it; yield its process and port, and the requests of the questions."""
    with subprocess.Popen(
        [command, "run", "--path", str(data), "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            _wait(lambda: _send(port, "/api/v2/heartbeat"))
            made = _send(port, _BASE, {"name": "corpus", "configuration": {"hnsw": {"space": "cosine"}}})
            place = f"{_BASE}/{made['id']}"
            for ids, texts, vectors, metadata in corpus.load(folder).batches():
                for at in range(0, len(ids), _AT_ONCE):
                    part = slice(at, at + _AT_ONCE)
                    rows = {"ids": ids[part], "documents": texts[part], "embeddings": vectors[part].tolist()}
                    _send(port, f"{place}/add", rows | {"metadatas": metadata[part]})
            requests: list[Request] = [
                (f"{place}/query", {"query_embeddings": [vector.tolist()], "n_results": 10})
                for _, vector in corpus.load_queries(folder)
            ]
            yield (server.pid, port), requests
        finally:
            server.terminate()


def _send(port: int, path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    url = f"http://127.0.0.1:{port}{path}"
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
        return json.loads(answer.read())


def _wait(ask: Callable[[], Any], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            ask()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
        else:
            return
