"""The ways to keep vectors that benchmarks/storage.py tries, and its page."""

from pathlib import Path

import numpy as np
import pytest

from hybridstore.codecs.kept_vectors import CODECS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def storage(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.syspath_prepend(str(BENCHMARKS / "quality"))
    import storage

    return storage


@pytest.fixture
def vectors():
    made = np.random.default_rng(1).standard_normal((400, 32)).astype(np.float32)
    made[:, 16:] *= 0.05  # most of it lies in half of the dimensions
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def kept_cosine(vectors, fitted):
    kept, asked = fitted[0](vectors), fitted[1](vectors)
    return float((kept * asked).sum(axis=1).mean())


def test_each_way_keeps_more_with_more_bytes(storage, vectors):
    cosines = [kept_cosine(vectors, storage.binary(vectors, None, bits=bits)) for bits in (1, 2, 3, 6)]
    assert cosines == sorted(cosines)
    assert cosines[-1] > 0.98
    books = [kept_cosine(vectors, storage.product(vectors, None, size=size)) for size in (4, 8, 16)]
    assert books == sorted(books)
    # As many centres as vectors: nothing is lost.
    assert kept_cosine(vectors, storage.product(vectors[:200], None, size=8)) > 0.7
    assert kept_cosine(vectors[:200], storage.product(vectors[:200], None, size=8)) == pytest.approx(1, abs=1e-3)


def test_principal_axes_keep_the_cosines_that_the_first_dimensions_lose(storage, vectors):
    turned = vectors @ np.linalg.qr(np.random.default_rng(2).standard_normal((32, 32)))[0].astype(np.float32)
    exact = turned @ turned.T

    def error(fitted):
        return np.abs(fitted[0](turned) @ fitted[1](turned).T - exact).max()

    assert error(storage.reduced(turned, None, dim=16)) < 0.05 < error(storage.truncated(turned, None, dim=16))
    common = turned[:40]
    assert error(storage.reduced(turned, common, dim=16, filtered=True)) > error(storage.reduced(turned, None, dim=16))


def test_the_page_has_a_row_for_each_way(storage):
    names = [way.name for way in storage.ways(32)]
    assert names[: len(CODECS)] == list(CODECS)
    searched = {"recall@10": 1.0, "recall@100": 1.0, "ms": 1.0, "file": 900.0}
    found = {
        collection: {
            name: {"bytes": 10.0, **searched, "hybrid": {"q": 0.5 - lost}, "vector": {"q": 0.4}}
            for name, lost in zip(names, [0, *[0.1] * (len(names) - 1)], strict=True)
        }
        for collection in ("one", "two")
    }
    rows = storage.summed_up(found)
    assert (rows[0]["worst"], rows[1]["worst"]) == (0, pytest.approx(-0.1))
    text = storage.page({"queries": 5, "models": {"a model": {"collections": list(found), "rows": rows}}})
    assert "| float16 | 10 | 900 | 1.0000 | 1.0000 | -0.1000 (-0.1000 to -0.1000) | -0.1000 |" in text
    assert f"| *{names[-1]}* | 10 |  |" in text
