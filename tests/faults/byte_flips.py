"""Single bytes of a sound store changed: each change is told by `check`, refused, or changes no answer.

    python tests/faults/byte_flips.py [COUNT [SEED]]

prints a table. Only pages that are in use are changed, and every part of the file gets its share of the changes.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import numpy as np

import hybridstore as hs
from hybridstore.backends.learning import Negative, Triple
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import HybridstoreError

_PAGE = 8192
_GIVEN_UP = 60  # seconds after which a process is ended
_WORDS = ["valve", "pump", "leak", "pressure", "inlet", "hall", "Müller", "東京", "E4012", "foo_bar", "C++", "seal"]


def made(path: Path) -> None:
    """Make a store with something in every table."""
    rng = random.Random(1)
    with hs.open(path, embedder=HashingEmbedder(32), log_queries=True) as store:
        for n in range(60):
            text = "\n\n".join(f"# Part {part}\n\n" + " ".join(rng.choices(_WORDS, k=60)) for part in range(1 + n % 3))
            store.add(
                hs.Document(
                    id=f"d{n}", title=f"About {rng.choice(_WORDS)} {n}", text=text, uri=f"file:///{n}.md",
                    format="markdown", metadata={"n": n, "tag": rng.choice(_WORDS)},
                )
            )  # fmt: skip
        store.remove(["d5", "d6"])
        hits = list(store.search("valve pump", limit=4))
        store.feedback("valve pump", hits[0], used=True)
        negative = Negative(chunk=hits[1].chunk_id, leg="keyword", score=0.25)
        store.learning.add_triples(
            [Triple(query=f"seal {n}", kind="log", positive=hits[0].chunk_id, score=0.5, negatives=(negative,))
             for n in range(3)]
        )  # fmt: skip


def answers(path: Path) -> Any:
    """Return everything that a store answers: searches, documents with chunks and vectors, what it learned."""
    rng = np.random.default_rng(0)
    found: list[Any] = []
    with hs.open(path, embedder=HashingEmbedder(32), create=False) as store:
        for query in (*_WORDS, "the pump in the hall", '"pump leak"', "title:valve", "pres*"):
            for mode in ("hybrid", "keyword", "vector"):
                results = store.search(query, mode=mode, limit=30, syntax="advanced" if "*" in query else "simple")
                found.append([(hit.document_id, hit.text, hit.heading, hit.score, hit.relevance) for hit in results])
        found += [
            [(hit.document_id, hit.score) for hit in store.search("x", vector=vector, limit=60)]
            for vector in rng.normal(size=(5, 32))
        ]
        found += [
            [hit.document_id for hit in store.search("pump", where=where, limit=60)]
            for where in ({"n": {"$gte": 30}}, {"tag": "seal"})
        ]
        for stored in store.scan(vectors=True):
            vectors = None if stored.vectors is None else stored.vectors.tobytes().hex()
            found.append((repr(stored.document), repr(stored.chunks), stored.source, stored.changed, vectors))
        stats = store.stats()
        found.append((stats.documents, stats.chunks, stats.vectors, stats.revision, stats.language, stats.created))
        found.append((repr(stats.background), repr(stats.embedding), repr(store.sources())))
        found.append((repr(list(store.learning.triples())), repr(store.learning.feedback()), repr(store.query_log())))
    return json.loads(json.dumps(found))


def pages(data: bytes, root: int) -> Iterator[tuple[int, set[int]]]:
    """Yield the pages of a table's or index's tree, each with the offsets in it that are in use."""
    start = (root - 1) * _PAGE
    header = start + 100 if root == 1 else start
    kind, count = data[header], int.from_bytes(data[header + 3 : header + 5], "big")
    content = int.from_bytes(data[header + 5 : header + 7], "big") or 65536
    pointers = header + (12 if kind in (2, 5) else 8)
    used = {*range(start, pointers + 2 * count), *range(start + content, start + _PAGE)}
    yield root, used
    cells = [start + int.from_bytes(data[at : at + 2], "big") for at in range(pointers, pointers + 2 * count, 2)]
    if kind in (2, 5):
        for child in [*cells, header + 8]:
            yield from pages(data, int.from_bytes(data[child : child + 4], "big"))


def places(path: Path, count: int, rng: random.Random) -> list[tuple[str, int]]:
    """Return offsets of bytes in use with the table or index they are in, evenly over these."""
    data = path.read_bytes()
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_schema WHERE rootpage").fetchall())
    used = {name: sorted(set().union(*(some for _, some in pages(data, root)))) for name, root in roots.items()}
    used["sqlite_schema"] = sorted(set().union(*(some for _, some in pages(data, 1))))
    inside = set().union(*used.values())
    used["overflow"] = [at for at in range(len(data)) if data[at] and at // _PAGE * _PAGE not in inside]
    names = sorted(name for name in used if used[name])
    return [(names[n % len(names)], rng.choice(used[names[n % len(names)]])) for n in range(count)]


def tried(path: Path, expected: Any) -> str:
    """Say what comes of a changed file: "told", "refused", "no answer changed", or what should not be."""
    problems: list[Any] = []
    try:
        with hs.open(path, embedder=HashingEmbedder(32), create=False) as store:
            problems = store.check()
    except HybridstoreError:
        return "refused"
    except Exception as error:  # noqa: BLE001 - what should not happen is to be seen
        return f"RAW in check: {type(error).__name__}: {error}"
    try:
        same = answers(path) == expected
    except HybridstoreError as error:
        return "told" if problems else f"refused when asked: {error}"
    except Exception as error:  # noqa: BLE001
        return f"RAW in answers: {type(error).__name__}: {error}"
    return "told" if problems else "no answer changed" if same else "WRONG ANSWER"


def run(folder: Path, count: int, seed: int) -> Iterator[tuple[str, int, str]]:
    """Change a byte, try the file in a process of its own, change it back; yield name, offset and outcome."""
    rng = random.Random(seed)
    path = folder / "store.db"
    made(path)
    expected, data = answers(path), path.read_bytes()
    if expected != answers(path):
        raise RuntimeError("a sound store does not answer the same twice")
    for name, offset in places(path, count, rng):
        changed = bytearray(data)
        changed[offset] ^= 1 << rng.randrange(8) if rng.random() < 0.5 else rng.randrange(1, 256)
        path.write_bytes(changed)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            signal.alarm(_GIVEN_UP)
            os.write(writing, tried(path, expected)[:3000].encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, errors="replace") as pipe:
            outcome = pipe.read()
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        yield name, offset, outcome or ("HANG" if ended == -signal.SIGALRM else f"CRASH {ended}")
        for side in ("-wal", "-shm", "-journal"):
            Path(f"{path}{side}").unlink(missing_ok=True)


def main() -> None:
    """Print each change that should not be, and how many there were of each outcome."""
    count, seed = (*map(int, sys.argv[1:3]), *(200, 1)[len(sys.argv) - 1 :])
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for name, offset, outcome in run(Path(folder), count, seed):
            outcomes[outcome.split(":")[0]] += 1
            if outcome[0].isupper():
                sys.stdout.write(f"{name} at {offset}: {outcome}\n")
                sys.stdout.flush()
    sys.stdout.write(json.dumps(outcomes) + "\n")


if __name__ == "__main__":
    main()
