"""Which store `open` opens: a path, a URL of a known scheme, or memory."""

import os

import pytest

import hybridstore as hs
from hybridstore.backends.sqlite import file_identity


@pytest.mark.parametrize("scheme", ["", "sqlite://", "file://", "SQLite://"])
def test_a_path_or_a_url_of_a_file_opens_sqlite(scheme, tmp_path):
    with hs.open(f"{scheme}{tmp_path / 'a.db'}", embedder="none") as store:
        store.add("some words")
    assert (tmp_path / "a.db").read_bytes().startswith(b"SQLite format 3")
    assert store.location == str(tmp_path / "a.db")


@pytest.mark.skipif(os.name == "nt", reason="file names have no colon on Windows")
@pytest.mark.parametrize("name", ["notes:1.db", "C:notes.db", "a:b/notes.db", ":memory:.db"])
def test_a_path_with_a_colon_is_still_a_path(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    hs.open(name, embedder="none").close()
    assert (tmp_path / name).is_file()


def test_memory_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with hs.open(":memory:", embedder="none") as store:
        store.add("some words")
        assert store.location == ":memory:"
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_scheme_is_an_error_that_names_the_known_ones():
    with pytest.raises(hs.InputError, match=r"sqlite://PATH.*':memory:'"):
        hs.open("mongodb://somewhere/notes")


def test_a_file_is_opened_while_its_last_user_closes_it(tmp_path, monkeypatch):
    """Its log is there when it is looked for, and gone when it is read."""
    path = tmp_path / "a.db"
    with hs.open(path, embedder="none") as store:
        store.add("text")
    monkeypatch.setattr(file_identity, "_has_frames", lambda log: True)
    with hs.open(path, embedder="none") as store:
        assert store.count() == 1
