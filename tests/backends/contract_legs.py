"""The contract of vector legs: added beside the store's own vectors, filled, searched, dropped."""

import numpy as np
import pytest
from contract_embedding import other_vectors
from made import ALL, EMBEDDING, OTHER, chunks_of, entry, near, units

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import MOST_LEGS, Calibration, Embedding, Embeddings
from hybridstore.errors import InputError

LEG = OTHER.fingerprint
MEASURED = Calibration(
    fingerprint=LEG, chunks=10, power=3.5, chance=0.25, spread=0.125, agreement={EMBEDDING.fingerprint: 0.5}
)


def fill_leg(backend: Backend) -> int:
    made = 0
    while some := backend.pending(4, LEG):
        backend.fill(OTHER, [passage.chunk for passage in some], other_vectors(some))
        made += len(some)
    return made


class LegsContract:
    @pytest.fixture
    def several(self, backend):
        vectors = units(np.random.default_rng(31), 10)
        backend.put([entry(f"d{n}", f"text {n}", vectors=vectors[n : n + 1]) for n in range(10)], embedding=EMBEDDING)
        backend.add_leg(OTHER)
        return backend

    def test_a_leg_is_filled_beside_what_is_searched(self, several):
        query = units(np.random.default_rng(12), 1)[0]
        before = near(several, query)
        assert several.embeddings() == Embeddings(EMBEDDING, added=(OTHER,))
        assert (several.pending_count(), several.pending_count(LEG)) == (0, 10)
        assert fill_leg(several) == 10
        assert several.pending(1, LEG) == []
        assert near(several, query) == before
        passage = several.passages(chunks_of(several, "d3"))[0]
        vector = other_vectors([passage])[0]
        ranking = several.nearest(vector, 1, ALL, LEG)
        assert ranking.chunks.tolist() == [passage.chunk]
        assert ranking.scores[0] == pytest.approx(1.0)
        assert np.array_equal(several.vectors([passage.chunk], LEG)[0], vector)
        assert several.check() == []

    def test_a_leg_is_searched_once_it_is_calibrated(self, several):
        fill_leg(several)
        assert several.state().legs == ()
        revision = several.state().revision
        several.calibrate(MEASURED)
        (leg,) = several.state().legs
        assert (leg.embedding, leg.calibration) == (OTHER, MEASURED)
        assert several.state().calibration is None  # that of the store's own vectors
        assert several.state().revision == revision
        (leg,) = several.stats().legs
        assert (leg.embedding, leg.vectors, leg.calibration) == (OTHER, 10, MEASURED)

    def test_cosines_of_a_leg_are_its_own(self, several):
        fill_leg(several)
        chunks = np.array([chunks_of(several, id_)[0] for id_ in ("d7", "d2", "d5")], np.int64)
        query = units(np.random.default_rng(3), 1, OTHER.dim)[0]
        expected = several.vectors(chunks.tolist(), LEG) @ query
        assert several.cosines(chunks, query, LEG) == pytest.approx(expected, abs=0.01)
        ids, sampled = several.sample(LEG)
        assert np.array_equal(ids, several.sample()[0])
        assert np.array_equal(sampled, several.vectors(ids.tolist(), LEG))

    def test_what_comes_later_is_pending_and_has_no_cosine(self, several):
        fill_leg(several)
        several.calibrate(MEASURED)
        query = units(np.random.default_rng(3), 1, OTHER.dim)[0]
        several.nearest(query, 5, ALL, LEG)
        several.nearest(units(np.random.default_rng(3), 1)[0], 5, ALL)
        vector = units(np.random.default_rng(13), 1)
        several.put([entry("new", "new text", vectors=vector)], embedding=EMBEDDING)
        (chunk,) = chunks_of(several, "new")
        assert np.isnan(several.cosines(np.array([chunk], np.int64), query, LEG)).all()
        assert chunk not in several.nearest(query, 100, ALL, LEG).chunks
        assert near(several, vector[0], 1) == ["new"]
        assert any("without a vector" in problem.what for problem in several.check())
        assert fill_leg(several) == 1
        assert chunk in several.nearest(query, 100, ALL, LEG).chunks
        assert near(several, vector[0], 1) == ["new"]
        assert several.check() == []

    def test_removing_a_document_takes_it_out_of_every_leg(self, several):
        fill_leg(several)
        several.remove(["d0", "d1"])
        query = units(np.random.default_rng(3), 1, OTHER.dim)[0]
        assert len(several.nearest(query, 100, ALL, LEG)) == 8
        assert several.check() == []
        several.put([entry("d0", "text", vectors=units(np.random.default_rng(1), 1))], embedding=EMBEDDING)
        assert several.pending_count(LEG) == 1

    def test_a_dropped_leg_leaves_nothing(self, several):
        fill_leg(several)
        several.calibrate(MEASURED)
        assert several.drop_leg(LEG) is True
        assert several.drop_leg(LEG) is False
        assert several.embeddings() == Embeddings(EMBEDDING)
        assert several.state().legs == several.stats().legs == ()
        assert several.pending(1, LEG) == []
        query = units(np.random.default_rng(3), 1, OTHER.dim)[0]
        assert len(several.nearest(query, 5, ALL, LEG)) == 0
        several.add_leg(OTHER)
        assert several.state().legs == ()  # what was measured before went with it
        assert several.pending_count(LEG) == 10
        assert several.check() == []

    def test_adding_a_leg_twice_changes_nothing(self, several):
        fill_leg(several)
        several.calibrate(MEASURED)
        several.add_leg(OTHER)
        assert several.pending_count(LEG) == 0
        assert len(several.state().legs) == 1

    def test_what_cannot_be_a_leg_is_refused(self, several, open_backend):
        with pytest.raises(InputError, match="already"):
            several.add_leg(EMBEDDING)
        with pytest.raises(InputError, match="dimensions"):
            several.add_leg(Embedding(LEG, "other", OTHER.dim + 1))
        for n in range(MOST_LEGS - 1):
            several.add_leg(Embedding(f"more{n}@1", f"more{n}", 3))
        with pytest.raises(InputError, match="model drop"):
            several.add_leg(Embedding("toomany@1", "toomany", 3))
        with pytest.raises(InputError, match="no vectors"):
            open_backend("without").add_leg(OTHER)

    def test_kept_vectors_become_a_leg(self, several):
        third = Embedding("third@1", "third", 3)
        several.begin(third)
        several.fill(third, [p.chunk for p in several.pending(10)], units(np.random.default_rng(5), 10, 3))
        assert several.switch(keep=True)
        several.add_leg(EMBEDDING)
        there = several.embeddings()
        assert (there.active, set(there.added), there.kept) == (third, {OTHER, EMBEDDING}, None)
        assert several.pending_count(EMBEDDING.fingerprint) == 0

    def test_a_leg_becomes_the_stores_own_vectors(self, several):
        fill_leg(several)
        several.calibrate(MEASURED)
        several.begin(OTHER)
        assert several.pending_count() == 0
        assert several.switch() is True
        assert several.embeddings() == Embeddings(OTHER)
        assert several.state().legs == ()
        assert several.check() == []

    def test_a_leg_outlives_a_change_of_the_stores_own_vectors(self, several):
        fill_leg(several)
        several.calibrate(MEASURED)
        third = Embedding("third@1", "third", 3)
        several.begin(third)
        several.fill(third, [p.chunk for p in several.pending(10)], units(np.random.default_rng(5), 10, 3))
        assert several.switch()
        assert several.embeddings() == Embeddings(third, added=(OTHER,))
        assert len(several.state().legs) == 1

    def test_a_backup_has_the_legs(self, several, tmp_path):
        if several.capabilities.backup:
            pytest.skip(several.capabilities.backup)
        from hybridstore.backends.sqlite import SQLiteBackend

        fill_leg(several)
        several.calibrate(MEASURED)
        several.backup(str(tmp_path / "copy.db"))
        copy = SQLiteBackend(str(tmp_path / "copy.db"))
        assert copy.embeddings() == several.embeddings()
        assert [leg.calibration for leg in copy.state().legs] == [MEASURED]
        assert copy.pending_count(LEG) == 0
        assert copy.check() == []
        copy.close()

    def test_a_purge_reaches_every_leg(self, several):
        fill_leg(several)
        report = several.purge(["d4"])
        assert report.clean is not False
        assert len(several.nearest(units(np.random.default_rng(3), 1, OTHER.dim)[0], 100, ALL, LEG)) == 9

    def test_another_handle_follows_a_leg(self, several, open_backend):
        fill_leg(several)
        other = open_backend()
        query = units(np.random.default_rng(3), 1, OTHER.dim)[0]
        assert len(other.nearest(query, 100, ALL, LEG)) == 10
        several.put([entry("new", "new", vectors=units(np.random.default_rng(1), 1))], embedding=EMBEDDING)
        assert len(other.nearest(query, 100, ALL, LEG)) == 10
        assert fill_leg(several) == 1
        assert len(other.nearest(query, 100, ALL, LEG)) == 11
        several.drop_leg(LEG)
        assert len(other.nearest(query, 100, ALL, LEG)) == 0
        other.close()
