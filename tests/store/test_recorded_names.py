"""A name that stands only in a store's file, which anybody may have written, has nothing fetched, read or loaded."""

import json
import shutil
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from click.testing import CliRunner

import hybridstore as hs
from hybridstore import embedders
from hybridstore.backends.learning import ModelVersion
from hybridstore.backends.sqlite import checksums
from hybridstore.cli.app import app
from hybridstore.embedders import locate, model_cache, onnx
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import ModelUnavailable
from hybridstore.store.embedder_choice import identify
from hybridstore.tuning.model_versions import promote, rollback

OWN, OTHER = HashingEmbedder(32), HashingEmbedder(48)


class Asked(Exception):  # noqa: N818
    """The hub was asked, or a file of a folder was opened."""


@pytest.fixture(autouse=True)
def traps(monkeypatch, tmp_path):
    """Raise where anything is fetched, or a model's files are read."""

    def trap(*arguments, **_):
        raise Asked(arguments)

    monkeypatch.setenv(model_cache.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv("HYBRIDSTORE_EMBEDDER", raising=False)
    monkeypatch.setattr(model_cache, "fetch", trap)
    monkeypatch.setattr(locate, "_in_folder", trap)
    monkeypatch.setattr(locate, "_of_repository", trap)


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a model's files that is not to be touched."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("model.onnx", "tokenizer.json"):
        (folder / name).write_text("{}")
    return folder


@pytest.fixture(params=["someone/small-model", "folder", "relative", "hashing-32", "file:///etc/passwd", "..", "~"])
def recorded(request, folder, monkeypatch):
    """Return what a file may name: a repository, folders however written, and nonsense."""
    monkeypatch.chdir(folder.parent)
    return {"folder": str(folder), "relative": folder.name}.get(request.param, request.param)


def written(path, reference, **state):
    """Make a store whose file gives its embedder this name, with the row's checksum, which anybody can compute."""
    with hs.open(path, embedder=OWN) as store:
        store.add(["The harbour is closed.", "The mill is open."])
        for change in state.values():
            change(store)
    with closing(apsw.Connection(str(path))) as connection:
        checksums.register(connection)
        connection.execute(checksums.change("embeddings", reference="?1"), (reference,))
    return path


OPERATIONS = {
    "search": lambda store: store.search("harbour"),
    "explain": lambda store: store.explain("harbour"),
    "add": lambda store: store.add("The dairy is new."),
    "embedder": lambda store: store.embedder(),
    "calibrate": lambda store: store.calibrate(),
    "reembed": lambda store: store.reembed(),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_store_that_only_names_its_embedder_itself_is_refused_with_a_sentence(tmp_path, recorded, name):
    path = written(tmp_path / "theirs.db", recorded)
    with hs.open(path) as store, pytest.raises(ModelUnavailable, match="only the store's file names it") as caught:
        OPERATIONS[name](store)
    assert f"embedder={recorded!r}" in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_words_and_documents_are_there_all_the_same(tmp_path, recorded):
    with hs.open(written(tmp_path / "theirs.db", recorded)) as store:
        assert store.search("harbour", mode="keyword")[0].text == "The harbour is closed."
        assert len(list(store.documents())) == 2
        assert store.check() == []


def test_an_interrupted_change_of_embedder_is_not_continued_by_the_files_name(tmp_path, recorded):
    path = written(tmp_path / "theirs.db", recorded, begun=lambda store: store._backend.begin(identify(OTHER)))
    with hs.open(path) as store, pytest.raises(ModelUnavailable, match="only the store's file"):
        store.reembed()


@pytest.mark.parametrize("kind", ["drift", "embedder"])
def test_a_model_version_does_not_choose_an_embedder(tmp_path, recorded, kind):
    def propose(store):
        store.learning.propose(
            ModelVersion(kind=kind, source=OTHER.fingerprint, target=OTHER.fingerprint, reference=recorded)
        )

    path = written(tmp_path / "theirs.db", recorded, propose=propose)
    with hs.open(path) as store, pytest.raises(hs.HybridstoreError) as caught:
        promote(store, 1)
    assert kind == "drift" or "only the store's file" in str(caught.value)


def test_going_back_does_not_load_what_the_file_says_was_before(tmp_path, recorded):
    def promoted(store):
        before = {"fingerprint": OWN.fingerprint, "reference": recorded, "dim": OWN.dim}
        model = ModelVersion(
            kind="embedder",
            source=OTHER.fingerprint,
            target=OTHER.fingerprint,
            reference=recorded,
            report={"before": before},
        )
        store.reembed(OTHER, keep=True, promote=store.learning.propose(model))

    path = written(tmp_path / "theirs.db", recorded, promoted=promoted)
    with hs.open(path, embedder=OTHER) as store, pytest.raises(ModelUnavailable, match="only the store's file"):
        rollback(store)


def test_an_export_does_not_choose_an_embedder_either(tmp_path, recorded):
    export = tmp_path / "theirs.jsonl"
    assert (
        CliRunner().invoke(app, ["--db", str(written(tmp_path / "t.db", recorded)), "export", str(export)]).exit_code
        == 0
    )
    result = CliRunner().invoke(app, ["--db", str(tmp_path / "mine.db"), "import", str(export)])
    assert result.exit_code == 1
    assert "only the store's file names it" in result.stderr


@pytest.mark.parametrize("command", [("search", "harbour"), ("tune",), ("tune", "--method", "full"), ("recall", "x"),
                                     ("remember", "x"), ("harvest",), ("reembed",)])  # fmt: skip
def test_commands_end_with_the_sentence(tmp_path, folder, command):
    path = written(tmp_path / "theirs.db", str(folder))
    result = CliRunner().invoke(app, ["--db", str(path), *command])
    assert result.exit_code in (0, 1)
    assert not isinstance(result.exception, Asked)
    if result.exit_code:
        assert isinstance(result.exception, SystemExit)


async def test_a_server_answers_with_the_sentence(tmp_path, folder):
    pytest.importorskip("mcp", reason="the server is made with the MCP SDK: pip install 'hybridstore[mcp]'")
    from mcp import Client

    from hybridstore.memory import Memory
    from hybridstore.serving.mcp_server import server

    with hs.open(written(tmp_path / "theirs.db", str(folder))) as store:
        async with Client(server(Memory(store, count_tokens=len), budget=2000)) as client:
            answer = await client.call_tool("search", {"query": "harbour"})
    assert answer.is_error
    assert "embedder cannot be loaded" in answer.content[0].text  # clients are not told paths of the machine


class Fake(HashingEmbedder):
    """Stands in for a model that was located."""

    def __init__(self, located, **_):
        super().__init__(OWN.dim)
        self.reference, self.fingerprint = located.reference, OWN.fingerprint


@pytest.fixture
def fakes(monkeypatch, folder):
    """Let models be located, without their files being looked at; return the names that were fetched."""
    fetched = []

    def located(name, *_, **__):
        recipe = locate.recipe.Recipe(name="m", graph="model.onnx", max_tokens=8, pooling="mean")
        return locate.Located(
            recipe=recipe, model=folder, tokenizer=folder, dense=(), digest="", fingerprint="", reference=str(name),
            origin="path",
        )  # fmt: skip

    def fetch(repo, *_):
        fetched.append(repo)
        (model_cache.cache_folder() / "there").mkdir(parents=True, exist_ok=True)
        return model_cache.Pinned(folder, "f" * 40, {})

    there = model_cache.cache_folder() / "there"
    pinned = model_cache.Pinned(folder, "f" * 40, {})
    monkeypatch.setattr(model_cache, "fetch", fetch)
    monkeypatch.setattr(model_cache, "cached", lambda *_: pinned if there.exists() else None)
    monkeypatch.setattr(locate, "_in_folder", located)
    monkeypatch.setattr(locate, "_of_repository", located)
    monkeypatch.setattr(onnx, "OnnxEmbedder", Fake)
    return fetched


@pytest.mark.parametrize("kind", ["folder", "repository"])
def test_a_model_that_was_named_once_is_found_again_but_never_fetched_again(tmp_path, folder, fakes, kind):
    name = str(folder) if kind == "folder" else "someone/small-model"
    with hs.open(tmp_path / "mine.db", embedder=name) as store:
        store.add("The harbour is closed.")
    assert fakes == ([] if kind == "folder" else [name])
    with hs.open(tmp_path / "mine.db") as store:
        assert store.search("harbour")[0].vector_score is not None
    shutil.rmtree(folder if kind == "folder" else model_cache.cache_folder() / "there")
    with hs.open(tmp_path / "mine.db") as store, pytest.raises(ModelUnavailable, match="only the store's file"):
        store.search("harbour")
    assert fakes == ([] if kind == "folder" else [name])


def test_a_command_names_it_by_a_variable(tmp_path, folder, fakes):
    path = written(tmp_path / "theirs.db", str(folder))
    assert CliRunner().invoke(app, ["--db", str(path), "search", "harbour", "--json"]).exit_code == 1
    named = {"HYBRIDSTORE_EMBEDDER": str(folder)}
    result = CliRunner().invoke(app, ["--db", str(path), "search", "harbour", "--json"], env=named)
    assert json.loads(result.stdout)
    assert CliRunner().invoke(app, ["--db", str(path), "search", "harbour", "--json"]).exit_code == 0


def test_a_name_of_the_catalog_never_becomes_a_folder_of_the_same_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "BAAI/bge-small-en-v1.5"
    Path(name).mkdir(parents=True)
    with pytest.raises(Asked) as caught:
        embedders.load(name, recorded=True)
    assert caught.value.args[0][0] == name  # asked of the hub, at the catalog's revision, with its checksums
