"""Only regular files are read: no pipe keeps a reader waiting, and no link leads out of an allowed folder."""

import os
import socket
import threading

import pytest

import hybridstore as hs
from hybridstore.errors import FileRefused
from hybridstore.ingest import read, sync
from hybridstore.ingest.export_import import load
from hybridstore.ingest.readers import Unreadable
from hybridstore.ingest.regular_files import NotRegular, open_file
from hybridstore.ingest.walk import walk

pytestmark = pytest.mark.skipif(os.name != "posix", reason="named pipes and links as POSIX has them")


def reason(path, **options):
    with pytest.raises(Unreadable) as error:
        list(read(path, **options))
    return error.value.reason


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.csv", "a.jsonl", "a.html", "a.pdf", "a.docx", "a.txt.gz", "a"])
def test_a_named_pipe_is_refused_at_once(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert "named pipe" in reason(tmp_path / name)


def test_a_named_pipe_is_not_an_export(tmp_path):
    os.mkfifo(tmp_path / "a.jsonl")
    with hs.open(":memory:", embedder="none") as store, pytest.raises(FileRefused, match="named pipe"):
        load(store, tmp_path / "a.jsonl")


def test_devices_sockets_and_folders_are_refused(tmp_path):
    (tmp_path / "folder.txt").mkdir()
    assert "folder" in reason(tmp_path / "folder.txt")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "s.txt"))
        assert reason(tmp_path / "s.txt")
    for device in ("/dev/zero", "/dev/null", "/dev/tty"):
        assert reason(device)


def test_a_sync_passes_pipes_and_devices_by(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    os.mkfifo(tmp_path / ".gitignore")
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "zero.txt").symlink_to("/dev/zero")
    (tmp_path / "a.txt").write_text("one")
    with hs.open(":memory:", embedder="none") as store:
        for follow in (False, True):
            report = sync(store, tmp_path, follow_links=follow)
            assert (report.read + report.unchanged, report.failed) == (1, ())
        report = sync(store, [tmp_path / "pipe.txt"])
        assert "named pipe" in report.failed[0][1]
    assert [path.name for path in walk(tmp_path, follow_links=True)] == ["a.txt"]


def test_below_a_root_no_link_is_followed(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "sub").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (root / "sub" / "a.txt").write_text("public")
    (root / "link.txt").symlink_to(outside / "secret.txt")
    (root / "folder").symlink_to(outside)
    with open_file(root / "sub" / "a.txt", beneath=[root]) as stream:
        assert stream.read() == b"public"
    for path in (root / "link.txt", root / "folder" / "secret.txt", outside / "secret.txt", root / ".." / "outside"):
        with pytest.raises(NotRegular):
            open_file(path, beneath=[root])
    assert "link" in reason(root / "link.txt", beneath=[root])


def test_a_file_swapped_for_a_link_is_never_read(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "a.txt").write_text("secret")
    (outside / "sub").mkdir()
    (outside / "sub" / "b.txt").write_text("secret")
    stopped = threading.Event()

    (root / "sub").mkdir()
    (root / "sub" / "b.txt").write_text("public")

    def swap() -> None:
        while not stopped.is_set():
            (root / "new").write_text("public")
            (root / "new").replace(root / "a.txt")
            (root / "new").symlink_to(outside / "a.txt")
            (root / "new").replace(root / "a.txt")
            (root / "sub").rename(root / "kept")
            (root / "sub").symlink_to(outside / "sub")
            (root / "sub").unlink()
            (root / "kept").rename(root / "sub")

    swapping = threading.Thread(target=swap)
    swapping.start()
    read_publicly = 0
    try:
        for _ in range(300):
            for path in (root / "a.txt", root / "sub" / "b.txt"):
                try:
                    (document,) = read(path, beneath=[root])
                except Unreadable:
                    continue
                assert document.text == "public"
                read_publicly += 1
    finally:
        stopped.set()
        swapping.join()
    assert read_publicly
