"""Files are read below the allowed folders, and nowhere else."""

import os

import pytest

from hybridstore.errors import InputError
from hybridstore.serving.access import Folders


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    (root / "sub" / ".private").mkdir(parents=True)
    (root / "a.txt").write_text("The harbour is closed.")
    (root / "sub" / "b.txt").write_text("The harbour is open.")
    (root / "sub" / ".private" / "c.txt").write_text("The harbour is secret.")
    (root / ".env").write_text("TOKEN=harbour")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "d.txt").write_text("The harbour is elsewhere.")
    return root


async def test_without_allowed_folders_nothing_is_read(memory, asking, root):
    async with asking(memory) as ask:
        assert "may read no files" in await ask.refused("ingest", paths=[str(root)])
    assert memory.store.count() == 0


async def test_files_below_an_allowed_folder_are_read_and_again_left_alone(memory, asking, root):
    async with asking(memory, roots=[root]) as ask:
        first = await ask("ingest", paths=["."])
        assert (first["read"], first["added"]) == (2, 2)
        assert (await ask("ingest", paths=[str(root / "a.txt"), "sub"]))["unchanged"] == 2
        found = await ask("search", query="harbour", kind="documents")
        assert {item["id"] for item in found["items"]} == {str(root / "a.txt"), str(root / "sub" / "b.txt")}


@pytest.mark.parametrize(
    "path", ["..", "../outside/d.txt", "sub/../../outside", "/etc/passwd", "/", "~", "link", "link/d.txt", "filelink"]
)
async def test_a_path_outside_is_rejected_however_it_is_written(memory, asking, root, path):
    (root / "link").symlink_to(root.parent / "outside")
    (root / "filelink").symlink_to(root.parent / "outside" / "d.txt")
    async with asking(memory, roots=[root]) as ask:
        assert "is outside" in await ask.refused("ingest", paths=[path])
    assert memory.store.count() == 0


async def test_links_out_of_a_folder_are_not_followed(memory, asking, root):
    (root / "link").symlink_to(root.parent / "outside")
    (root / "filelink.txt").symlink_to(root.parent / "outside" / "d.txt")
    async with asking(memory, roots=[root]) as ask:
        report = await ask("ingest", paths=["."])
    assert report["reasons"]["link"] == 2
    assert "elsewhere" not in " ".join(document.text for document in memory.store.documents())


def test_an_error_does_not_reveal_whether_a_file_outside_exists(root):
    folders = Folders.of([root])
    result = []
    for name in ("d.txt", "no.txt"):
        with pytest.raises(InputError) as caught:
            folders.allowed(f"../outside/{name}")
        result.append(str(caught.value).replace(name, ""))
    assert result[0] == result[1]


@pytest.mark.parametrize("path", [".env", "sub/.private", "sub/.private/c.txt"])
def test_hidden_files_are_rejected(root, path):
    with pytest.raises(InputError, match="hidden"):
        Folders.of([root]).allowed(path)


def test_a_folder_allowed_by_itself_may_be_hidden(root):
    folders = Folders.of([root, root / "sub" / ".private"])
    assert folders.allowed(str(root / "sub" / ".private" / "c.txt")).name == "c.txt"


def test_impossible_names_do_not_reveal_whether_a_folder_outside_exists(root):
    (root.parent / "outside" / "loop").symlink_to(root.parent / "outside" / "loop")
    folders = Folders.of([root])
    result = set()
    for folder, name in (("outside", "a" * 300), ("nowhere", "a" * 300), ("outside", "loop"), ("nowhere", "loop")):
        with pytest.raises(InputError) as caught:
            folders.allowed(str(root.parent / folder / name))
        result.add(str(caught.value).partition(" is not a path")[2])
    assert len(result) == 1
    assert "is outside" in result.pop()


@pytest.mark.parametrize("path", ["", " ", "a\0b", "\ud800", "a" * 5000, "~nobody-of-this-name/x", "loop"])
def test_an_impossible_path_is_rejected(root, path):
    (root / "loop").symlink_to(root / "loop")
    with pytest.raises(InputError, match="is not a path"):
        Folders.of([root]).allowed(path)


def test_a_missing_file_and_a_pipe_are_errors(root):
    os.mkfifo(root / "pipe")
    for name in ("nowhere.txt", "pipe"):
        with pytest.raises(InputError, match="there is no file or folder"):
            Folders.of([root]).allowed(name)


def test_a_root_is_a_folder(root):
    for wrong in (root / "a.txt", root / "nowhere"):
        with pytest.raises(InputError, match="is not a folder"):
            Folders.of([wrong])


def test_relative_paths_are_looked_for_below_each_root(root):
    folders = Folders.of([root.parent / "outside", root])
    assert folders.allowed("a.txt") == (root / "a.txt").resolve()
    assert folders.allowed("d.txt") == (root.parent / "outside" / "d.txt").resolve()
