"""Make the corpus for benchmarks/speed.py: passages, their vectors, and real queries.

    python benchmarks/corpus.py STORE.db ... --queries FOLDER ... --size 50000 --out CORPUS
    python benchmarks/corpus.py --made-up --size 50000 --out CORPUS

The stores are hybridstore files of real text with real vectors; the queries come from folders in BEIR layout and
are embedded here with the same model. Up to their number the passages are real ones, drawn without replacement. Past
that number the rest is **recombined, not written by anybody**: whole sentences of two to four real passages of one
store, the partners being among the nearest neighbours of the first, in turn until a length is reached that is drawn
from the real lengths between 60 and 200 words; the vector is the normalised mean of theirs, weighted by words, plus
Gaussian noise with the store's own spread in each dimension (it ends at a cosine of about 0.93 to the mean). So
words keep their real frequencies, stay with the company they keep, and vectors keep real neighbourhoods; but the
vocabulary does not grow past that of the real passages, which makes the rare words of a million passages more
frequent than they would be in a million written ones, and neighbourhoods are denser. Both are hard on an index.

`--made-up` needs no store and no model: words drawn by Zipf's law, vectors around random centres. It is there so that
the suite runs anywhere; figures from it say little about real text.

A corpus is a folder: `texts.bin` and `offsets.npy` (all texts as UTF-8, end to end), `vectors.npy` (float32, unit
norm, to be memory-mapped), `metadata.npy`, `queries.json` and `queries.npy`, `about.json`. It is the same for the
same arguments.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import passages
import synthetic
from numpy.typing import NDArray
from passages import AT_ONCE, DIM, Vectors

SEED = 11
SHARES = {"permille": 0.001, "percent": 0.01, "tenth": 0.1, "half": 0.5}  # what {field: 1} selects, at random
TAGS = ("atlas", "birch", "cedar", "delta", "ember", "fjord", "grove", "haven", "islet", "jetty", "knoll", "larch")


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus opened for reading; nothing of it is held in memory but what is asked for."""

    folder: Path
    offsets: NDArray[np.int64]
    vectors: Vectors
    metadata: NDArray[Any]

    def __len__(self) -> int:
        return len(self.vectors)

    def passage(self, n: int) -> tuple[str, Vectors]:
        """Return one passage's text and vector."""
        with (self.folder / "texts.bin").open("rb") as texts:
            texts.seek(int(self.offsets[n]))
            return texts.read(int(self.offsets[n + 1] - self.offsets[n])).decode(), np.array(self.vectors[n])

    def batches(
        self, size: int = AT_ONCE
    ) -> Iterator[tuple[list[str], list[str], Vectors, list[dict[str, int | str]]]]:
        """Yield (ids, texts, vectors, metadata) of this many passages at a time."""
        with (self.folder / "texts.bin").open("rb") as texts:
            for first in range(0, len(self), size):
                ends = self.offsets[first : first + size + 1]
                block = texts.read(int(ends[-1] - ends[0]))
                cuts = (ends - ends[0]).tolist()
                yield (
                    [f"p{n}" for n in range(first, first + len(cuts) - 1)],
                    [block[start:end].decode() for start, end in pairwise(cuts)],
                    np.array(self.vectors[first : first + size]),
                    [
                        {**{name: int(row[name]) for name in SHARES}, "year": int(row["year"]), "tag": TAGS[row["tag"]]}
                        for row in self.metadata[first : first + size]
                    ],
                )


def load(folder: Path) -> Corpus:
    """Open a corpus."""
    return Corpus(
        folder,
        np.load(folder / "offsets.npy", mmap_mode="r"),
        np.load(folder / "vectors.npy", mmap_mode="r"),
        np.load(folder / "metadata.npy", mmap_mode="r"),
    )


def load_queries(folder: Path) -> list[tuple[str, Vectors]]:
    """Return a corpus's queries with their vectors."""
    texts = json.loads((folder / "queries.json").read_text())
    return list(zip(texts, np.load(folder / "queries.npy"), strict=True))


def metadata(count: int, seed: int = SEED) -> NDArray[Any]:
    """Return each passage's fields, which are independent of its text, so that a filter selects at random."""
    random = np.random.default_rng([seed, 1])
    made = np.empty(count, [*((name, "u1") for name in SHARES), ("year", "u2"), ("tag", "u1")])
    for name, share in SHARES.items():
        made[name] = 0
        made[name][random.permutation(count)[: max(1, round(share * count))]] = 1
    made["year"] = random.integers(1950, 2026, count)
    made["tag"] = random.integers(0, len(TAGS), count)
    return made


def write(
    folder: Path,
    size: int,
    blocks: Iterator[tuple[list[str], Vectors]],
    queries: tuple[list[str], Vectors],
    about: dict[str, Any],
) -> None:
    """Write a corpus, a block at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "exact.npz").unlink(missing_ok=True)  # of the corpus that was here before
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, (size, DIM))
    offsets, row, words = np.zeros(size + 1, np.int64), 0, 0
    with (folder / "texts.bin").open("wb") as out:
        for texts, block in blocks:
            for n, text in enumerate(texts, row):
                offsets[n + 1] = offsets[n] + out.write(text.encode())
                words += text.count(" ") + 1
            vectors[row : row + len(texts)] = block
            row += len(texts)
    vectors.flush()
    np.save(folder / "offsets.npy", offsets)
    np.save(folder / "metadata.npy", metadata(size, about["seed"]))
    np.save(folder / "queries.npy", queries[1])
    (folder / "queries.json").write_text(json.dumps(queries[0], ensure_ascii=False, indent=0))
    result = {**about, "size": size, "words": words, "dim": DIM, "queries": len(queries[0])}
    (folder / "about.json").write_text(json.dumps(result, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stores", type=Path, nargs="*")
    parser.add_argument("--queries", type=Path, nargs="+", default=[])
    parser.add_argument("--count", type=int, default=300, help="how many queries")
    parser.add_argument("--made-up", action="store_true")
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    if options.made_up == bool(options.stores) or bool(options.stores) != bool(options.queries):
        parser.error("give stores and --queries, or --made-up")
    if options.made_up:
        about = {"kind": "made up", "seed": options.seed}
        queries = synthetic.queries(options.count, options.seed)
        write(options.out, options.size, synthetic.passages(options.size, options.seed), queries, about)
        return
    sources = [passages.read(path) for path in options.stores]
    real = min(options.size, sum(len(source.texts) for source in sources))
    about = {"kind": "real and recombined", "seed": options.seed, "real": real, "stores": len(sources)}
    queries = passages.asked(options.queries, options.count, options.seed)
    write(options.out, options.size, passages.drawn(sources, options.size, options.seed), queries, about)


if __name__ == "__main__":
    main()
