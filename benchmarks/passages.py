"""Passages for a benchmark corpus: real ones from stores, then recombined ones if there are too few."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DIM = 384
LONGEST = 400  # words; what a sentence embedder reads of a longer text is its beginning, so that is what is kept
CUT = 300
SHORTEST = 5
QUERY_WORDS = 40  # longer queries are unusual and are measured separately
PARTNERS = 48  # nearest neighbours among which the partners of a passage are drawn
NOISE = 0.4  # length of the noise next to a vector of length 1
AT_ONCE = 10_000

Vectors = NDArray[np.float32]


# Real passages


@dataclass(frozen=True, slots=True)
class Source:
    """One store's passages, cut into sentences, with their vectors."""

    texts: list[str]
    sentences: list[list[str]]
    vectors: Vectors


def read(path: Path) -> Source:
    """Read a store's passages: title and text in one line, long ones cut, the shortest left out."""
    import hybridstore as hs

    texts, vectors = [], []
    with hs.open(path, create=False) as store:
        for stored in store.scan(vectors=True):
            for chunk, vector in zip(stored.chunks, stored.vectors if stored.vectors is not None else (), strict=True):
                text = stored.document.text[chunk.start : chunk.end]
                words = (f"{stored.document.title}. {text}" if stored.document.title else text).split()
                if len(words) >= SHORTEST:
                    texts.append(" ".join(words if len(words) <= LONGEST else words[:CUT]))
                    vectors.append(vector)
    return Source(texts, [sentences(text) for text in texts], np.array(vectors, np.float32).reshape(-1, DIM))


def sentences(text: str) -> list[str]:
    """Cut a text at the ends of its sentences, and one that never ends after 25 words."""
    found = []
    for sentence in re.split(r"(?<=[.!?])\s+", text):
        words = sentence.split()
        if len(words) <= 45:
            found.append(sentence)
        else:
            found += [" ".join(words[n : n + 25]) for n in range(0, len(words), 25)]
    return [sentence for sentence in found if sentence]


def neighbours(vectors: Vectors) -> NDArray[np.int64]:
    """Return each row's nearest other rows, at most PARTNERS of them."""
    count = min(PARTNERS, len(vectors) - 1)
    found = np.empty((len(vectors), count), np.int64)
    for first in range(0, len(vectors), 1_000):
        near = vectors[first : first + 1_000] @ vectors.T
        near[np.arange(len(near)), np.arange(first, first + len(near))] = -2  # not itself
        found[first : first + 1_000] = np.argpartition(near, -count, axis=1)[:, -count:]
    return found


# Recombined passages


def interleaved(parts: list[list[str]], words: int) -> tuple[str, list[int]]:
    """Take the parts' sentences in turn up to this many words; return the text and each part's number of words."""
    taken, counts, left = [], [0] * len(parts), words
    for turn in range(max(map(len, parts))):
        for n, part in enumerate(parts):
            if turn < len(part) and left > 0:
                taken.append(part[turn])
                length = part[turn].count(" ") + 1
                counts[n] += length
                left -= length
    return " ".join(taken), counts


class Recombiner:
    """Makes passages of real ones, as the module's docstring says."""

    def __init__(self, sources: list[Source], seed: int) -> None:
        self.sources = [source for source in sources if len(source.texts) > 3]
        self.random = np.random.default_rng([seed, 2])
        self.near = [neighbours(source.vectors) for source in self.sources]
        self.spread = [source.vectors.std(axis=0) for source in self.sources]
        lengths = np.array([text.count(" ") + 1 for source in self.sources for text in source.texts])
        self.lengths = lengths[(lengths >= 60) & (lengths <= 200)]
        if not len(self.lengths):
            self.lengths = np.arange(60, 201)
        sizes = np.array([len(source.texts) for source in self.sources], float)
        self.shares = sizes / sizes.sum()

    def make(self, count: int) -> tuple[list[str], Vectors]:
        random = self.random
        texts, vectors = [], np.empty((count, DIM), np.float32)
        noise = random.standard_normal((count, DIM), np.float32)
        whence = random.choice(len(self.sources), count, p=self.shares).tolist()
        lengths = random.choice(self.lengths, count).tolist()
        uniform = random.random((count, 4)).tolist()
        offsets = random.random((count, 3)).tolist()
        for n in range(count):
            source, near = self.sources[whence[n]], self.near[whence[n]]
            first = int(uniform[n][0] * len(source.texts))
            row = near[first]
            chosen = [first, *dict.fromkeys(int(row[int(u * len(row))]) for u in uniform[n][1:3])]
            # Two or three as a rule; a fourth where passages are so short that three do not reach the length.
            if sum(len(source.texts[one]) for one in chosen) < 6 * lengths[n]:
                fourth = int(row[int(uniform[n][3] * len(row))])
                chosen += [fourth] if fourth not in chosen else []
            elif uniform[n][3] < 0.5 and len(chosen) > 2:
                chosen.pop()
            parts = []
            for one, offset in zip(chosen, [*offsets[n], 0.0], strict=False):
                cut = source.sentences[one]
                start = int(offset * len(cut))
                parts.append(cut[start:] + cut[:start])  # from any sentence on, so that one pair makes many
            text, words = interleaved(parts, lengths[n])
            texts.append(text)
            mean = np.asarray(words, np.float32) @ source.vectors[chosen]
            vectors[n] = mean / np.linalg.norm(mean)
            noise[n] *= self.spread[whence[n]]
        noise *= NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
        vectors += noise
        return texts, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def drawn(sources: list[Source], size: int, seed: int) -> Iterator[tuple[list[str], Vectors]]:
    """Yield the passages of a corpus in blocks: real ones while there are any, then recombined ones."""
    texts = [text for source in sources for text in source.texts]
    vectors = np.concatenate([source.vectors for source in sources])
    order = np.random.default_rng([seed, 3]).permutation(len(texts))[:size]
    for first in range(0, len(order), AT_ONCE):
        rows = order[first : first + AT_ONCE]
        yield [texts[row] for row in rows], vectors[rows]
    left = size - len(order)
    maker = Recombiner(sources, seed) if left else None
    while maker and left:
        yield maker.make(min(AT_ONCE, left))
        left -= min(AT_ONCE, left)


def asked(folders: list[Path], count: int, seed: int) -> tuple[list[str], Vectors]:
    """Draw queries from collections, about as many from each, and embed them."""
    from hybridstore import embedders

    random = np.random.default_rng([seed, 4])
    pools = []
    for folder in folders:
        path = next(one for one in (folder / "queries.jsonl.gz", folder / "queries.jsonl") if one.exists())
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            words = [json.loads(line)["text"].split() for line in lines]
        found = [" ".join(each) for each in words if 1 < len(each) <= QUERY_WORDS]
        pools.append([found[n] for n in random.permutation(len(found))])
    texts: list[str] = []
    while len(texts) < count and any(pools):
        for pool in pools:
            texts += [pool.pop()] if pool and len(texts) < count else []
    texts = [texts[n] for n in random.permutation(len(texts))]
    embedder = embedders.load("all-MiniLM-L6-v2")
    return texts, np.array([embedder.embed_query(text) for text in texts], np.float32)
