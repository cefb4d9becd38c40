"""The contract of what a store knows about its own vectors: a sample of them, and what was measured with it."""

import dataclasses
import math

import numpy as np
import pytest
from made import DIM, EMBEDDING, OTHER, all_chunks, chunks_of, entry, units

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Calibration

MEASURED = Calibration(fingerprint=EMBEDDING.fingerprint, chunks=9, power=3.5, chance=0.25, spread=0.125)


class SamplingContract:
    @pytest.fixture
    def pears(self, backend):
        backend.put(_many(0, 40), embedding=EMBEDDING)
        return backend

    def test_indexed_counts_the_chunks(self, backend):
        assert backend.state().chunks == 0
        backend.put([entry("a", "plum fig kiwi", spans=[(0, 4), (5, 8), (9, 13)]), entry("b", "")])
        assert backend.state().chunks == backend.stats().chunks == 4
        backend.put([entry("a", "plum")])
        assert backend.state().chunks == 2
        backend.remove(["a", "b"])
        assert backend.state().chunks == 0

    def test_a_small_store_is_its_own_sample(self, pears):
        chunks, vectors = pears.sample()
        assert chunks.tolist() == sorted(all_chunks(pears))
        assert (vectors.dtype, vectors.shape) == (np.float32, (40, DIM))
        assert np.array_equal(vectors, pears.vectors(chunks.tolist()))

    def test_without_vectors_the_sample_is_empty(self, backend):
        assert [len(part) for part in backend.sample()] == [0, 0]
        backend.put([entry("a", "plum")])
        assert [len(part) for part in backend.sample()] == [0, 0]
        vector = units(np.random.default_rng(25), 1)
        backend.put([entry("b", "fig", vectors=vector)], embedding=EMBEDDING)
        assert backend.sample()[0].tolist() == chunks_of(backend, "b")
        backend.remove(["b"])
        assert len(backend.sample()[0]) == 0

    def test_a_sample_is_some_hundred_chunks_spread_over_the_store(self, backend):
        for count in (300, 1_000, 2_000):
            backend.put(_many(backend.state().chunks, count), embedding=EMBEDDING)
            chunks, vectors = backend.sample()
            assert 100 <= len(chunks) <= 256
            assert (np.diff(chunks) > 0).all()
            assert np.diff([0, *chunks.tolist(), count]).max() <= count / 50
            assert np.array_equal(vectors, backend.vectors(chunks.tolist()))
            assert np.array_equal(backend.sample()[0], chunks)

    def test_a_sample_goes_by_what_is_stored_alone(self, open_backend):
        one, two = open_backend(), open_backend()
        one.put(_many(0, 700), embedding=EMBEDDING)
        one.sample()
        one.remove([f"d{n}" for n in range(0, 600, 7)])
        one.sample()
        one.put(_many(700, 760), embedding=EMBEDDING)
        for ours, theirs in zip(one.sample(), two.sample(), strict=True):  # the other one never sampled before
            assert np.array_equal(ours, theirs)

    def test_one_more_chunk_hardly_changes_the_sample(self, backend):
        backend.put(_many(0, 600), embedding=EMBEDDING)
        before = backend.sample()[0]
        for n in range(600, 612):
            backend.put(_many(n, n + 1), embedding=EMBEDDING)
            after = backend.sample()[0]
            assert len(np.setxor1d(before, after)) <= 1
            before = after

    def test_a_sample_that_grows_too_large_loses_chunks_and_takes_no_others(self, backend):
        backend.put(_many(0, 505), embedding=EMBEDDING)
        before = backend.sample()[0]
        for n in range(505, 520):
            backend.put(_many(n, n + 1), embedding=EMBEDDING)
        after = backend.sample()[0]
        assert len(after) < len(before)
        assert len(np.setdiff1d(after, before)) <= 8
        assert after[-1] >= 515

    def test_a_removed_chunk_is_not_in_the_sample(self, backend):
        backend.put(_many(0, 600), embedding=EMBEDDING)
        before = backend.sample()[0]
        gone = [f"d{n - 1}" for n in before[::2].tolist()]  # ids count from 1 in a new store
        there = {chunk for name in gone for chunk in chunks_of(backend, name)}
        assert there == set(before[::2].tolist())
        backend.remove(gone)
        chunks, vectors = backend.sample()
        assert not there & set(chunks.tolist())
        assert set(before[1::2].tolist()) <= set(chunks.tolist())
        assert np.array_equal(vectors, backend.vectors(chunks.tolist()))

    def test_a_sample_is_as_large_where_most_chunks_are_gone(self, backend):
        for first in range(0, 4_000, 400):
            backend.put(_many(first, first + 400), embedding=EMBEDDING)
            backend.remove([f"d{n}" for n in range(first + 1, first + 400) if first < 3_600])
        assert backend.state().chunks == 409
        chunks, vectors = backend.sample()
        assert 100 <= len(chunks) <= 256
        assert np.diff(chunks[-100:]).max() <= 4
        assert np.array_equal(vectors, backend.vectors(chunks.tolist()))

    def test_another_embedders_vectors_are_sampled_from_the_switch_on(self, pears):
        before = pears.sample()
        pears.begin(OTHER)
        _fill(pears)
        assert all(np.array_equal(now, then) for now, then in zip(pears.sample(), before, strict=True))
        assert pears.switch() is True
        chunks, vectors = pears.sample()
        assert np.array_equal(chunks, before[0])
        assert vectors.shape == (40, OTHER.dim)
        assert np.array_equal(vectors, pears.vectors(chunks.tolist()))

    def test_within_a_snapshot_the_sample_and_the_count_stay(self, open_backend):
        one, two = open_backend(), open_backend()
        one.put(_many(0, 20), embedding=EMBEDDING)
        with one.snapshot():
            before = one.sample()[0].tolist()
            two.put(_many(20, 30), embedding=EMBEDDING)
            assert two.state().chunks == len(two.sample()[0]) == 30
            assert one.sample()[0].tolist() == before
            assert one.state().chunks == 20
        assert one.state().chunks == len(one.sample()[0]) == 30

    # what was measured

    def test_what_was_measured_is_kept_and_shared(self, open_backend, pears):
        assert pears.state().calibration is None
        pears.calibrate(MEASURED)
        assert pears.state().calibration == open_backend().state().calibration == MEASURED
        later = dataclasses.replace(MEASURED, chunks=20, power=-math.pi, chance=1 / 3)
        pears.calibrate(later)
        assert open_backend().state().calibration == later

    def test_what_was_measured_stays_when_chunks_come_and_go(self, pears):
        pears.calibrate(MEASURED)
        pears.remove(["d1"])
        pears.put([entry("new", "plum", vectors=units(np.random.default_rng(26), 1))], embedding=EMBEDDING)
        assert pears.state().calibration == MEASURED

    def test_what_was_measured_of_other_vectors_is_not_given(self, backend, pears):
        pears.calibrate(dataclasses.replace(MEASURED, fingerprint=OTHER.fingerprint))
        assert pears.state().calibration is None
        pears.calibrate(MEASURED)
        pears.begin(OTHER)
        _fill(pears)
        assert pears.state().calibration == MEASURED
        pears.switch()
        assert pears.state().calibration is None

    def test_nothing_measured_is_given_while_there_are_no_vectors(self, backend):
        backend.calibrate(MEASURED)
        assert backend.state().calibration is None

    def test_measuring_is_no_change_of_the_store(self, pears):
        before = pears.state().revision
        pears.calibrate(MEASURED)
        assert pears.state().revision == before
        assert pears.check() == []


def _many(first: int, last: int) -> list:
    vectors = units(np.random.default_rng(first), last - first)
    return [entry(f"d{n}", f"text {n}", vectors=vectors[n - first : n - first + 1]) for n in range(first, last)]


def _fill(backend: Backend) -> None:
    while some := backend.pending(100):
        made = units(np.random.default_rng(27), len(some), OTHER.dim)
        backend.fill(OTHER, [passage.chunk for passage in some], made)
