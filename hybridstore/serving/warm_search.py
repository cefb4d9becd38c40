"""A search as the command line shows it, and the socket beside a store through which a running server answers it.

A command that searches spends most of its time on imports and on loading the model. A server has both; only the owner
of the socket, who can read the file anyway, may connect to it. Nothing heavy is imported here.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridstore.records import Document, Hit
    from hybridstore.store import Store

SUFFIX = "-serve"
PATH = "/command/search"
_SECONDS = 20.0  # for an answer; then the command searches itself

# What `search --json` prints.
FIELDS = ("query", "mode", "fusion", "legs", "confidence", "hits", "timings", "notes", "filled", "path", "rewriting")


def search(store: Store, query: str, how: Mapping[str, Any]) -> dict[str, Any]:
    """Search, and return what the command line shows, ready for JSON; `how` are the options of `Store.search`.

    To the fields of a Hit, `shown` adds the `line` or `page` that it is on, where its text begins after front matter
    (`body`), the `spans` of matched words, and whether it is `worth` showing. `reason` says why nothing was found,
    `path` which passage led where, `rewriting` what became of the question.
    """
    from hybridstore.ingest.places import body_start
    from hybridstore.search.snippets import worth_showing
    from hybridstore.search.trace_text import ANSWERED, describe_path, describe_rewriting

    results = store.search(query, **how)
    trace, confidence = results.trace, results.confidence
    fields = trace.to_dict()
    fields["legs"] = [{name: fact for name, fact in leg.items() if name != "ranking"} for leg in fields["legs"]]
    terms, worth = {term.text for term in trace.terms}, {hit.chunk_id for hit in worth_showing(trace)}
    documents: dict[str, Document | None] = {}
    shown = []
    for hit in trace.hits:
        body = body_start(hit.text, hit.metadata.get("type"))
        spans = store.analyser.spans(hit.text.replace("\f", " "), terms)
        line, page = _place(store, documents, hit, body)
        shown.append({"line": line, "page": page, "body": body, "spans": spans, "worth": hit.chunk_id in worth})
    reason = "relevance" if len(trace.fused) else "filter" if how.get("where") is not None else "words"
    if reason == "words" and (trace.excluded or trace.phrases or trace.matching):
        reason = "syntax"
    elif reason == "words" and not (trace.mode == "keyword" or trace.vector is None):
        reason = "unknown"
    return {
        "fields": {name: fields[name] for name in FIELDS},
        "shown": shown,
        "path": describe_path(trace),
        # A note tells already why a rewriter did not answer.
        "rewriting": [] if trace.rewriting is not None and trace.rewriting.error else describe_rewriting(trace),
        "reason": reason if store.count() else "empty",
        "unsure": confidence is not None and confidence < ANSWERED,
    }


def _place(store: Store, documents: dict[str, Document | None], hit: Hit, body: int) -> tuple[int | None, str | None]:
    from hybridstore.errors import NotFound
    from hybridstore.ingest.places import line, place

    if hit.document_id not in documents:
        documents[hit.document_id] = None
        with suppress(NotFound):  # removed since the search
            documents[hit.document_id] = store.get(hit.document_id)
    document = documents[hit.document_id]
    if document is None:
        return None, None
    number = line(document, hit.start + body)
    return number, None if number else place(document, hit.start, hit.end) or None


def asked(path: str, query: str, conditions: list[str], how: Mapping[str, Any]) -> dict[str, Any] | None:
    """Let the server of a store's file search; None where there is none, or it cannot: then the caller searches."""
    try:
        kind = os.lstat(path + SUFFIX)
    except (OSError, ValueError):
        return None
    if not hasattr(socket, "AF_UNIX") or not stat.S_ISSOCK(kind.st_mode) or kind.st_uid != os.getuid():
        return None
    connection = HTTPConnection("localhost", timeout=_SECONDS)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(_SECONDS)
    try:
        connection.sock.connect(path + SUFFIX)
        body = json.dumps({"query": query, "conditions": conditions, "how": dict(how)})
        connection.request("POST", PATH, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        found: dict[str, Any] = json.loads(answer.read())
    except (OSError, HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return found if answer.status == 200 else None


@contextmanager
def listening_beside(path: str) -> Iterator[list[socket.socket]]:
    """Yield the socket beside a file, for its owner alone, in a list; [] where there can be none, or there is one."""
    name = path + SUFFIX
    server = _bound(name)
    if server is None:
        yield []
        return
    inode = os.lstat(name).st_ino
    try:
        yield [server]
    finally:
        server.close()
        with suppress(OSError):
            there = os.lstat(name)
            if stat.S_ISSOCK(there.st_mode) and there.st_ino == inode:
                os.unlink(name)  # noqa: PTH108 - as above, where any name of a store may stand


def _bound(name: str) -> socket.socket | None:
    if not hasattr(socket, "AF_UNIX"):
        return None
    server = socket.socket(socket.AF_UNIX)
    try:
        if os.path.lexists(name):
            with socket.socket(socket.AF_UNIX) as other:
                if not stat.S_ISSOCK(os.lstat(name).st_mode) or other.connect_ex(name) == 0:
                    raise FileExistsError(name)
            os.unlink(name)  # noqa: PTH108 - of a server that was killed
        server.bind(name)
        os.chmod(name, 0o600)  # noqa: PTH101 - nobody can connect before it listens
        server.listen()
    except OSError:  # another server's, a folder that cannot be written, a name that is too long
        server.close()
        return None
    return server
