"""The contract of statistics: parts of a corpus rank as the whole does where they share its statistics."""

from dataclasses import replace

import numpy as np
import pytest
from made import ALL, EMBEDDING, chunks_of, entry, ids_of, restriction, units

from hybridstore.records import CorpusStatistics, KeywordQuery

WORDS = ("plum", "fig", "kiwi", "melon", "mango", "lemon")
COMMON = "apple"  # in nearly all chunks of the first part


def of_parts() -> list[list]:
    rng = np.random.default_rng(18)
    texts = [" ".join(rng.choice(WORDS, int(rng.integers(1, 4 + 9 * (n > 30))))) for n in range(60)]
    texts = [f"{COMMON} {text}" if n < 28 else text for n, text in enumerate(texts)]
    entries = [
        entry(f"d{n}", text, title="Fig" if n % 7 == 0 else "", metadata={"n": n}) for n, text in enumerate(texts)
    ]
    return [entries[:30], entries[30:50], entries[50:], []]


QUERIES = [
    KeywordQuery(("fig", "mango", "mango", "absent")),
    KeywordQuery((COMMON, "kiwi")),
    KeywordQuery(("plum",), phrases=(("fig", "kiwi"),)),
    KeywordQuery(("m*", "fig")),
    KeywordQuery((COMMON,)),
    KeywordQuery(),
]


class StatisticsContract:
    @pytest.fixture
    def parts(self, open_backend):
        """Return a backend with everything, and several with a part each."""
        backends = [open_backend(f"part{n}") for n in range(4)]
        for backend, entries in zip(backends, of_parts(), strict=True):
            backend.put(entries)
        whole = open_backend("whole")
        for entries in of_parts():
            whole.put(entries)
        return whole, backends

    @pytest.mark.parametrize("query", QUERIES)
    def test_the_statistics_of_parts_add_up_to_those_of_the_whole(self, parts, query):
        whole, backends = parts
        total = sum((backend.statistics(query) for backend in backends), CorpusStatistics())
        assert total == whole.statistics(query)
        assert total.chunks == 60
        assert total.tokens == sum(
            len(f"{each.document.title} {each.document.text}".split()) for part in of_parts() for each in part
        )

    @pytest.mark.parametrize("where", [None, {"n": {"$gte": 20}}])
    @pytest.mark.parametrize("query", QUERIES)
    def test_parts_rank_as_the_whole(self, parts, query, where):
        whole, backends = parts
        limits = replace(restriction(whole, where), phrases=query.phrases)
        expected, terms = whole.match(query, 100, limits)
        corpus = whole.statistics(query)
        found = []
        for backend in backends:
            alone = backend.match(query, 100, limits)
            ranking, same = backend.match(replace(query, corpus=corpus), 100, limits)
            assert same == terms
            found += zip(ids_of(backend, ranking.chunks), ranking.scores.tolist(), strict=True)
            again = backend.match(query, 100, limits)  # what was worked out for others changes nothing
            assert again[0].scores == pytest.approx(alone[0].scores, abs=1e-4)
        known = dict(zip(ids_of(whole, expected.chunks), expected.scores.tolist(), strict=True))
        assert dict(found) == pytest.approx(known, abs=2e-4, rel=1e-4)

    def test_impacts_are_those_of_another_average(self, parts):
        whole, backends = parts
        query = KeywordQuery(("fig", "kiwi", "m*"))
        corpus, terms = whole.statistics(query), whole.match(query, 10, ALL)[1]
        everything = whole.match(KeywordQuery((*WORDS, COMMON)), 100, ALL)[0].chunks
        impacts = whole.evidence(everything, terms, None)[0].tolist()
        known = dict(zip(ids_of(whole, everything), impacts, strict=True))
        for backend in backends:
            chunks = backend.match(KeywordQuery((*WORDS, COMMON)), 100, ALL)[0].chunks
            found = backend.evidence(chunks, terms, None, corpus.average)[0]
            expected = np.array([known[id_] for id_ in ids_of(backend, chunks)]).reshape(found.shape)
            assert found == pytest.approx(expected, abs=2e-4)

    @pytest.mark.parametrize("step", [1, 4, 16])
    @pytest.mark.parametrize("shift", [0, 5, 100])
    def test_the_first_vectors_of_runs_of_ids_are_told(self, backend, step, shift):
        assert backend.last_chunk() == 0
        assert backend.first_vectors(step, 9, shift).tolist() == []
        vectors = units(np.random.default_rng(1), 40)
        backend.put([entry(f"d{n}", "fig", vectors=vectors[n : n + 1]) for n in range(40)], embedding=EMBEDDING)
        backend.remove([f"d{n}" for n in (0, 8, 9, 10, 11, 12, 39)])
        chunks = sorted(chunk for id_ in backend.ids() for chunk in chunks_of(backend, id_))
        first = {(chunk + shift) // step: chunk for chunk in reversed(chunks)}
        assert backend.first_vectors(step, 100, shift).tolist() == sorted(first.values())
        assert backend.first_vectors(step, 3, shift).tolist() == sorted(first.values())[:3]
        assert backend.last_chunk() == chunks[-1]
