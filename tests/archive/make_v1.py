"""Makes v1.db, a store as version 1 wrote it: run it once per file version, keep the file for ever.

    python tests/archive/make_v1.py tests/archive/v1.db

It needs nothing but the package at that version. The vectors are hashes of words, so the file is small and any
machine can ask it questions; `vector_of` must stay as it is.
"""

from __future__ import annotations

import hashlib
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

DIM = 16
DOCUMENTS = [
    (
        "tides",
        "Tides",
        "The pull of the Moon raises two bulges of water, so most coasts see two tides a day.",
        {"field": "sea", "year": 2001},
    ),
    (
        "waves",
        "Waves",
        "Wind raises waves; a wave carries energy, the water itself only goes round in circles.",
        {"field": "sea", "year": 2003},
    ),
    (
        "moon",
        "The Moon",
        "The Moon turns once on its axis for each time it goes round the Earth.",
        {"field": "sky", "year": 1999},
    ),
    (
        "comet",
        "Comets",
        "A comet grows its tail near the Sun. Its ice turns to gas.",
        {"field": "sky", "year": 2010},
    ),
    ("bread", "Bread", "Knead flour, water, salt and yeast; let it rest; bake it hot.", {"field": "kitchen"}),
    (
        "broth",
        "Broth",
        "Simmer bones and onions in water for hours, never boil.",
        {"field": "kitchen", "year": 2010},
    ),
    ("muenchen", "München", "Die U-Bahn in München fährt seit 1971.", {"lang": "de"}),
    ("tokyo", "東京", "東京都は日本の首都です。", {"lang": "ja"}),
    ("mir", "Мир", "Миру мир, а ёжику грибы.", {"lang": "ru"}),
    (
        "error",
        "Error codes",
        "E4012: the pump runs dry. See src/pumps/dry_run.py and version v1.2.3.",
        {"code": True},
    ),
    (
        "pump",
        "Pump",
        "Prime the pump before use. If the pump runs dry, stop it at once. Wait ten minutes.",
        {"code": None},
    ),
    ("note", "", "Zero\0width and 🙂 emoji.", {}),
]


def vector_of(text: str) -> np.ndarray:
    """Give a unit vector (16,) of a text: each word adds one to or takes one from one place."""
    vector = np.zeros(DIM, np.float32)
    vector[0] = 0.5
    for word in text.lower().split():
        digest = hashlib.sha256(word.encode()).digest()
        vector[digest[0] % DIM] += 1.0 if digest[1] % 2 else -1.0
    return vector / np.linalg.norm(vector)


def main(path: str) -> None:
    """Write the file, with a document replaced, one removed, a source, and a re-embedding begun."""
    from hybridstore.backends.sqlite import SQLiteBackend
    from hybridstore.backends.values import Embedding, Entry
    from hybridstore.records import Chunk, Document, Source

    def entry(id_: str, title: str, text: str, metadata: dict[str, object], source: str | None = None) -> Entry:
        cuts = [
            0,
            *(at + 1 for at, sign in enumerate(text[:-1]) if sign in ".;" and text[at + 1] == " "),
            len(text),
        ]
        chunks = [Chunk(a, b, f"{title} > Part" if title else "") for a, b in pairwise(cuts)]
        parts = [text[chunk.start : chunk.end] for chunk in chunks]
        vectors = np.stack([vector_of(f"{title} {part}") for part in parts])
        digests = [hashlib.sha256(part.encode()).digest()[:16] for part in parts]
        whole = hashlib.sha256(repr((title, text, metadata)).encode()).digest()[:16]
        return Entry(
            Document(id=id_, title=title, text=text, metadata=metadata), whole, chunks, digests, vectors, source
        )

    embedding = Embedding("archive@1", "archive", DIM)
    backend = SQLiteBackend(path, language="english")
    backend.put(
        [entry("tides", "Tides", "An older text about tides.", {}), entry("gone", "Gone", "Removed.", {})],
        embedding=embedding,
    )
    backend.remove(["gone"])
    read = Source("/notes/kitchen.md", "0" * 64, 123, 1_000_000_000)
    in_kitchen = {"bread", "broth"}
    backend.put(
        [entry(*each, source=read.key if each[0] in in_kitchen else None) for each in DOCUMENTS],
        embedding=embedding,
        finished={read: frozenset(in_kitchen)},
    )
    backend.begin(Embedding("next@1", "next", 4))
    some = backend.pending(3)
    backend.fill(Embedding("next@1", "next", 4), [p.chunk for p in some], np.eye(4, dtype=np.float32)[:3])
    copy = Path(path).with_suffix(".compact")
    backend.backup(str(copy))
    backend.close()
    copy.replace(path)  # a backup is compact, and has no write-ahead log beside it


if __name__ == "__main__":
    main(sys.argv[1])
