"""Transforms of a query's vector: the formulas, their weights in the file, and the vectors they apply to."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridstore.backends.learning import ModelVersion
from hybridstore.backends.values import Embedding
from hybridstore.errors import EmbedderMismatch, InputError, ModelUnavailable
from hybridstore.search.transforms import Adapter, Affine, applicable_version, read, write

OLD, NEW = "old@1", "new@1"


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def adapter(d=6, r=2):
    return Adapter(OLD, drawn(d, r), drawn(r, d, seed=1))


def affine(d_in=5, d_out=7):
    return Affine(NEW, OLD, drawn(d_in, d_out), drawn(d_out, seed=1))


def model(transform, weights=None, number=3):
    return ModelVersion(
        kind="adapter" if transform.source == transform.target else "drift",
        source=transform.source,
        target=transform.target,
        reference="any",
        weights=write(transform) if weights is None else weights,
        number=number,
    )


def test_an_adapter_adds_a_low_rank_residual():
    """unit(v + (v · down) · up)."""
    made, vector = adapter(), drawn(6, seed=2)
    assert made(vector) == pytest.approx(unit(vector + vector @ made.down @ made.up), abs=1e-6)
    assert (made.source, made.target) == (OLD, OLD)


def test_an_adapter_without_residual_changes_nothing():
    vector = unit(drawn(6, seed=2))
    assert Adapter(OLD, drawn(6, 2), np.zeros((2, 6), np.float32))(vector) == pytest.approx(vector, abs=1e-7)


def test_a_map_multiplies_and_shifts_into_the_other_space():
    """unit(v · matrix + offset)."""
    made, vector = affine(), drawn(5, seed=2)
    assert made(vector) == pytest.approx(unit(vector @ made.matrix + made.offset), abs=1e-6)
    assert made(vector).shape == (7,)


@pytest.mark.parametrize("made", [adapter(), affine(), affine(7, 3)], ids=["adapter", "wider", "narrower"])
def test_many_transforms_rows_as_one_by_one_in_float32(made):
    vectors = drawn(9, len(made.down if isinstance(made, Adapter) else made.matrix), seed=2)
    vectors[4] = 0.0
    together = made.many(vectors)
    assert together == pytest.approx(np.array([made(vector) for vector in vectors]), abs=1e-6)
    assert np.linalg.norm(together, axis=1) == pytest.approx([1, 1, 1, 1, 0, 1, 1, 1, 1], abs=1e-6)
    assert together.dtype == made(vectors[0]).dtype == made(vectors[4]).dtype == np.float32
    assert made.many(vectors[:0]).shape == (0, together.shape[1])


@pytest.mark.parametrize("made", [adapter(), affine()], ids=["adapter", "map"])
def test_a_vector_of_another_length_is_rejected(made):
    with pytest.raises(InputError, match=r"shape \(4,\); [56] dimensions are needed"):
        made(drawn(4))
    with pytest.raises(InputError, match="dimensions are needed"):
        made.many(drawn(2, 4))


def test_arrays_of_mismatched_shapes_are_rejected():
    for down, up in [((6, 2), (2, 5)), ((6, 2), (6, 2)), ((6, 0), (0, 6)), ((6,), (6,))]:
        with pytest.raises(InputError, match="an adapter takes arrays"):
            Adapter(OLD, np.zeros(down, np.float32), np.zeros(up, np.float32))
    for matrix, offset in [((5, 7), (5,)), ((5, 0), (0,)), ((5,), (5,))]:
        with pytest.raises(InputError, match="a map takes arrays"):
            Affine(NEW, OLD, np.zeros(matrix, np.float32), np.zeros(offset, np.float32))
    with pytest.raises(InputError, match="must be finite"):
        Affine(NEW, OLD, np.full((5, 7), np.nan, np.float32), np.zeros(7, np.float32))
    with pytest.raises(InputError, match="must be finite"):
        Adapter(OLD, drawn(6, 2), np.full((2, 6), np.inf, np.float32))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_weights_are_read_exactly_as_written(rows, columns, seed):
    for made in (
        Adapter(OLD, drawn(rows, columns, seed=seed), drawn(columns, rows, seed=seed + 1)),
        Affine(NEW, OLD, drawn(rows, columns, seed=seed), drawn(columns, seed=seed + 1)),
    ):
        again = read(model(made))
        assert type(again) is type(made)
        for name in made.__slots__:
            assert np.array_equal(getattr(again, name), getattr(made, name))


def test_a_decoded_version_is_cached():
    asked = model(adapter())
    assert read(asked) is read(asked)


def test_versions_of_the_same_number_in_two_files_are_distinguished():
    one, other = model(adapter(), number=1), model(Adapter(OLD, drawn(6, 2, seed=8), drawn(2, 6)), number=1)
    assert not np.array_equal(read(one).down, read(other).down)


@pytest.mark.parametrize("made", [adapter(), affine()], ids=["adapter", "map"])
def test_damaged_weights_are_an_error(made):
    whole = write(made)
    damaged = [whole[:length] for length in range(len(whole))]
    damaged += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(len(whole))]
    for weights in [*damaged, whole + b"\0", b"nonsense" * 9]:
        with pytest.raises(ModelUnavailable, match=r"version 3.*cannot be read.*model rollback"):
            read(model(made, weights))


def test_weights_that_are_empty_or_not_finite_are_an_error():
    body = np.full(12, np.nan, np.float32).tobytes()
    weights = struct.pack("<4sIII", b"adpt", 6, 1, zlib.crc32(body)) + body
    with pytest.raises(ModelUnavailable, match="must be finite"):
        read(model(adapter(), weights))
    with pytest.raises(ModelUnavailable, match="takes arrays"):
        read(model(adapter(), struct.pack("<4sIII", b"adpt", 6, 0, 0)))


def test_an_adapter_between_two_embedders_is_an_error():
    with pytest.raises(ModelUnavailable, match="an adapter's source and target must be equal"):
        read(ModelVersion(kind="drift", source=NEW, target=OLD, reference="any", weights=write(adapter())))


def test_an_adapter_applies_to_the_files_embedder_and_to_callers_vectors():
    searched, active = Embedding(OLD, "old", 6), model(adapter())
    assert applicable_version(active, searched, OLD) is active
    assert applicable_version(active, searched, None) is active
    with pytest.raises(EmbedderMismatch):
        applicable_version(active, searched, NEW)


def test_a_map_applies_only_to_the_new_embedders_queries():
    searched, active = Embedding(OLD, "old", 7), model(affine())
    assert applicable_version(active, searched, NEW) is active
    assert applicable_version(active, searched, OLD) is None
    assert applicable_version(active, searched, None) is None
    with pytest.raises(EmbedderMismatch):
        applicable_version(active, searched, "third@1")


def test_a_version_for_other_vectors_or_without_weights_does_not_apply():
    searched = Embedding(NEW, "new", 6)
    assert applicable_version(model(adapter()), searched, NEW) is None
    assert applicable_version(model(adapter()), searched, None) is None
    retrained = ModelVersion(kind="embedder", source=NEW, target=NEW, reference="new", number=1)
    assert applicable_version(retrained, searched, NEW) is None
    assert applicable_version(None, searched, NEW) is None
    assert applicable_version(model(adapter()), None, OLD) is None
