"""BM25 summed by the server over tables distributed by document, by the statistics of all; `python shards.py URL`.

The URL is of a database with Citus, which no package registry has: without one the script says so and ends. It makes
two tables in a schema of its own, distributes them, compares rankings with those of a store, and counts how often a
reader sees half of a transaction that wrote to two shards. `test_shards.py` runs the same statements without Citus.
"""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Sequence

import psycopg

from hybridstore.backends.in_memory import MemoryBackend
from hybridstore.backends.keyword_scoring import K1, B, idf, weighted_frequencies
from hybridstore.backends.values import Entry, Restriction
from hybridstore.records import Chunk, CorpusStatistics, Document, KeywordQuery
from hybridstore.text.analysis import Analyser

SCHEMA, SHARDS, DEPTH = "hybridstore_shards", 4, 100
TABLES = """
    CREATE TABLE chunks (document bigint, chunk bigint, length int NOT NULL, PRIMARY KEY (document, chunk));
    CREATE TABLE postings (document bigint, word bytea, chunk bigint, weighted float8 NOT NULL,
                           PRIMARY KEY (document, word, chunk))"""
DISTRIBUTED = (
    f"SELECT create_distributed_table('chunks', 'document', shard_count => {SHARDS})",
    "SELECT create_distributed_table('postings', 'document', colocate_with => 'chunks')",
)
STATISTICS = "SELECT count(*), coalesce(sum(length), 0)::bigint FROM chunks"
FREQUENCIES = "SELECT word, count(*) FROM postings WHERE word = ANY(%s::bytea[]) GROUP BY word"
# Grouped by the distribution column, sums and LIMIT are worked out in each shard. Joins that are not by it are not.
RANKED = f"""
    SELECT document, chunk,
           sum((%(weights)s::float8[])[array_position(%(words)s::bytea[], word)] * weighted
               / (weighted + {K1} * ({1 - B} + {B} * length / %(average)s::float8))) AS score
    FROM postings JOIN chunks USING (document, chunk) WHERE word = ANY(%(words)s::bytea[])
    GROUP BY document, chunk ORDER BY score DESC, chunk LIMIT {DEPTH}"""

Connection = psycopg.Connection
Ranking = list[tuple[int, float]]  # chunks and scores, best first


def made(count: int) -> list[str]:
    """Return texts whose words are distributed as in language; those of even and of odd numbers differ in part."""
    rng = random.Random(5)
    common = [f"word{n}" for n in range(60)]
    weights = [1 / (n + 1) for n in range(60)]
    return [
        " ".join([*rng.choices(common, weights, k=rng.randint(2, 40)), f"word{rng.randint(20, 39) + 20 * (n % 2)}"])
        for n in range(1, count + 1)
    ]


def fill(connection: Connection, numbered: Iterable[tuple[int, str]]) -> None:
    """Write texts as documents of one chunk, which has the document's number."""
    analyser = Analyser("english")
    with connection.transaction(), connection.cursor() as cursor:
        for number, text in numbered:
            length, words = weighted_frequencies(analyser, "", "", text)
            cursor.execute("INSERT INTO chunks VALUES (%s, %s, %s)", (number, number, length))
            rows = [(number, word.encode(), number, weighted) for word, weighted in words.items()]
            cursor.executemany("INSERT INTO postings VALUES (%s, %s, %s, %s)", rows)


def statistics(connection: Connection, words: Sequence[str]) -> CorpusStatistics:
    """Return what BM25 needs to know about all that a connection sees, for these words."""
    chunks, tokens = connection.execute(STATISTICS).fetchone()
    found = connection.execute(FREQUENCIES, ([word.encode() for word in words],)).fetchall()
    return CorpusStatistics(chunks, tokens, {(bytes(word).decode(),): count for word, count in found})


def ranked(connection: Connection, words: Sequence[str], corpus: CorpusStatistics) -> Ranking:
    """Rank by BM25 with the statistics of a corpus."""
    counts = Counter(words)
    weights = [n * (K1 + 1) * idf(corpus.chunks, corpus.frequencies.get((word,), 0)) for word, n in counts.items()]
    values = {"words": [word.encode() for word in counts], "weights": weights, "average": corpus.average}
    return [(chunk, score) for _, chunk, score in connection.execute(RANKED, values)]


def expected(texts: Sequence[str], queries: Sequence[Sequence[str]]) -> list[Ranking]:
    """Return how one store ranks the texts, which are its chunks from 1 on."""
    store = MemoryBackend()
    entries = [
        Entry(Document(id=str(n), text=text), str(n).encode(), [Chunk(0, len(text), "")], [str(n).encode()])
        for n, text in enumerate(texts, start=1)
    ]
    store.put(entries)
    found = [store.match(KeywordQuery(tuple(query), (), ()), DEPTH, Restriction())[0] for query in queries]
    return [list(zip(each.chunks.tolist(), each.scores.tolist(), strict=True)) for each in found]


def questions(count: int) -> list[list[str]]:
    """Return queries of a few words."""
    rng = random.Random(6)
    return [[f"word{rng.randint(0, 59)}" for _ in range(rng.randint(1, 6))] for _ in range(count)]


def same(one: Ranking, other: Ranking) -> bool:
    """Return whether two rankings have equal scores, and the same chunks but for ties at their end."""
    scores = [score for _, score in one]
    if len(one) != len(other) or any(abs(a - b) > 1e-4 for a, b in zip(scores, (s for _, s in other), strict=True)):
        return False
    last = min(scores, default=0.0) + 1e-4
    return {chunk for chunk, s in one if s > last} == {chunk for chunk, s in other if s > last}


def halves_seen(url: str, writes: int) -> tuple[int, int]:
    """Write pairs of documents, each pair in a transaction; return how many reads there were, and saw half of one."""
    done, reads, halves = threading.Event(), 0, 0

    def write() -> None:
        with psycopg.connect(url, options=f"-c search_path={SCHEMA}") as connection:
            for n in range(writes):
                first = 10**9 + 2 * n
                fill(connection, [(first, f"pair{n}"), (first + 1, f"pair{n}")])
                connection.commit()
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    with psycopg.connect(url, options=f"-c search_path={SCHEMA}", autocommit=True) as connection:
        while not done.is_set():
            odd = connection.execute("SELECT count(*) FROM chunks WHERE document >= 1000000000").fetchone()[0] % 2
            reads, halves = reads + 1, halves + odd
    thread.join()
    return reads, halves


def prove(url: str, *, distribute: bool = True, count: int = 2_000) -> tuple[int, tuple[int, int]]:
    """Return how many of 50 rankings are those of a store, and what readers saw of transactions over two shards."""
    texts, queries = made(count), questions(50)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
        connection.execute(f"SET search_path TO {SCHEMA}, public")
        connection.execute(TABLES)
        for statement in DISTRIBUTED if distribute else ():
            connection.execute(statement)
        fill(connection, enumerate(texts, start=1))
        found = [ranked(connection, query, statistics(connection, query)) for query in queries]
        seen = halves_seen(url, count // 10)
        connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    return sum(map(same, found, expected(texts, queries))), seen


def main(arguments: Sequence[str]) -> int:
    if not arguments:
        print("SKIPPED: name the URL of a database with Citus, such as that of its own image: postgresql://…")
        return 0
    with psycopg.connect(arguments[0]) as connection:
        if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'citus'").fetchone() is None:
            print("SKIPPED: this database has no Citus: CREATE EXTENSION citus")
            return 0
    equal, (reads, halves) = prove(arguments[0])
    print(f"{equal} of 50 rankings are those of one store; {halves} of {reads} reads saw half of a transaction.")
    return 0 if equal == 50 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
