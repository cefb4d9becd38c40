"""Walking folders: files in order, and skipped entries with their reason."""

from __future__ import annotations

import os
import re
import time
import zipfile

import pytest

import hybridstore as hs
from hybridstore.errors import InputError
from hybridstore.ingest import Skipped, Unreadable, read, walk


@pytest.fixture
def tree(tmp_path):
    def make(*names, **contents):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("text")
        return tmp_path

    return make


def files(root, paths=None, **options):
    return [path.relative_to(root).as_posix() for path in walk(paths or root, **options)]


def skipped_reasons(root, **options):
    reasons = {}
    list(
        walk(
            root,
            skipped=lambda one: reasons.setdefault(one.path.relative_to(root).as_posix(), one.reason),
            **options,
        )
    )
    return reasons


def test_folders_are_walked_in_the_order_of_names(tree):
    assert files(tree("b.txt", "a/z.md", "a/b/c.py", "a.txt", "c")) == [
        "a/b/c.py",
        "a/z.md",
        "a.txt",
        "b.txt",
        "c",
    ]


def test_some_folders_are_always_skipped(tree):
    root = tree("a.txt", ".git/x.txt", "node_modules/x.js", "p/__pycache__/x.py", ".venv/x.py")
    assert files(root, hidden=True) == ["a.txt"]


def test_hidden_files_are_skipped_by_default(tree):
    root = tree("a.txt", ".env", ".config/b.txt")
    assert files(root) == ["a.txt"]
    assert skipped_reasons(root) == {".env": "hidden", ".config": "hidden"}
    assert files(root, hidden=True) == [".config/b.txt", ".env", "a.txt"]


def test_an_inner_gitignore_overrides_an_outer_one(tree):
    root = tree("a.log", "b.txt", "build/c.txt", "sub/d.log", "sub/keep.log", "sub/build.txt", "sub/deep/e.tmp")
    (root / ".gitignore").write_text("*.log\n/build/\n# a comment\n\n")
    (root / "sub" / ".gitignore").write_text("!keep.log\n*.tmp\n")
    assert files(root) == ["b.txt", "sub/build.txt", "sub/keep.log"]
    assert skipped_reasons(root)["build"] == "ignored"


def test_a_gitignore_further_up_the_repository_applies(tree):
    root = tree("src/a.log", "src/b.txt", "out/c.txt")
    (root / ".git").mkdir()
    (root / ".gitignore").write_text("*.log\nout/\n")
    assert files(root, root / "src") == ["src/b.txt"]
    assert files(root, root / "out") == ["out/c.txt"]  # named by the caller, so not skipped


def test_include_and_exclude_are_patterns_relative_to_the_folder(tree):
    root = tree("a.md", "a.txt", "docs/b.md", "docs/drafts/c.md")
    assert files(root, include=["*.md"]) == ["a.md", "docs/b.md", "docs/drafts/c.md"]
    assert files(root, include=["docs/**"], exclude=["drafts/"]) == ["docs/b.md"]
    assert skipped_reasons(root, include=["*.md"], exclude=["docs/drafts"]) == {
        "a.txt": "not included",
        "docs/drafts": "excluded",
    }


def test_a_path_to_a_file_is_never_skipped(tree):
    root = tree("a.log", ".hidden")
    (root / ".gitignore").write_text("*.log")
    assert files(root, [root / "a.log", root / ".hidden"]) == ["a.log", ".hidden"]


def test_binary_files_are_skipped_by_name_or_content(tree):
    root = tree("photo.PNG", "store.db", "store.db-wal", "model.onnx", "x.tar.gz", "rows.csv.gz", "LICENSE")
    (root / "unknown").write_bytes(b"\x7fELF\0\0")
    (root / "wide").write_bytes("text".encode("utf-16"))
    assert files(root) == ["LICENSE", "rows.csv.gz", "wide"]
    assert skipped_reasons(root) == {
        "photo.PNG": "image",
        "store.db": "database",
        "store.db-wal": "database",
        "model.onnx": "model or data",
        "x.tar.gz": "archive",
        "unknown": "binary",
    }


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a.msg", "save it as eml, or `msgconvert"),
        ("a.DOC", "save it as docx, or `soffice"),
        ("a.ppt", "save it as pptx"),
        ("a.pst", "`readpst -o FOLDER"),
        ("a.pages", "export it as docx"),
        ("a.mobi", "`ebook-convert"),
        ("a.one", "export it as docx or PDF"),
    ],
)
def test_what_cannot_be_read_says_how_it_is_converted(tree, name, advice):
    root = tree(name)
    assert advice in skipped_reasons(root)[name]
    with pytest.raises(Unreadable, match=re.escape(advice)):
        list(read(root / name))


def test_an_archive_of_readable_files_is_to_be_unpacked(tree):
    root = tree("broken.zip")
    for name, member in (("takeout.zip", "Takeout/Keep/note.html"), ("pictures.zip", "a.png"), ("LICENSE", "b.md")):
        with zipfile.ZipFile(root / name, "w") as archive:
            archive.writestr(member, "x")
    reasons = skipped_reasons(root)
    assert reasons["takeout.zip"] == "archive of files that can be read: `unzip FILE -d FOLDER`, and add the folder"
    assert (reasons["pictures.zip"], reasons["broken.zip"]) == ("archive", "archive")
    with pytest.raises(Unreadable, match=r"`unzip .*takeout\.zip -d FOLDER`"):
        list(read(root / "takeout.zip"))


def test_links_are_skipped_unless_followed_and_loops_end(tree, tmp_path_factory):
    root = tree("a/b.txt")
    (root / "a" / "loop").symlink_to(root)
    (root / "broken").symlink_to(root / "gone")
    (root / "link.txt").symlink_to(root / "a" / "b.txt")
    assert files(root) == ["a/b.txt"]
    assert set(skipped_reasons(root).values()) == {"link"}
    assert files(root, follow_links=True) == ["a/b.txt", "link.txt"]
    assert skipped_reasons(root, follow_links=True) == {"broken": "broken link"}


def test_overlapping_paths_yield_each_file_once(tree):
    root = tree("a/b.txt", "a/c.txt")
    assert files(root, [root / "a" / "c.txt", root, root / "a"]) == ["a/c.txt", "a/b.txt"]


def test_a_path_that_does_not_exist_is_an_error_before_the_first_file(tree):
    root = tree("a.txt")
    with pytest.raises(InputError, match="gone"):
        walk([root, root / "gone"])


def test_an_invalid_pattern_is_an_error(tree):
    with pytest.raises(InputError, match=r"write it as in a \.gitignore"):
        walk(tree("a.txt"), exclude=["!"])


@pytest.mark.parametrize(
    ("pattern", "name", "ignored"),
    [
        ("*a*a*a*a*a*a*a*a*b", "a" * 200 + "c", False),
        ("*a*a*a*a*a*a*a*a*b", "a" * 200 + "b", True),
        ("*a?*a?*a?*a?*a?*b", "a" * 200 + "c", False),
        ("**/a/**/b/**/b/**/b/**/b/**/b/**/d", "a/" + "b/" * 100 + "c", False),
        ("**/a/**/b/**/b/**/b/**/b/**/b/**/c", "a/" + "b/" * 100 + "c", True),
        ("**/**/**/**/**/**/**/**/d", "b/" * 100 + "c", False),
        ("*ab*b*", "cabb.txt", True),
        ("*ab*b*", "cab.txt", False),
        ("x/**/a*c*e/**/f", "x/y/abcde/z/f", True),
    ],
)
def test_patterns_of_many_stars_are_matched_at_once(tmp_path, pattern, name, ignored):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a")
    start = time.process_time()
    assert files(tmp_path, exclude=[pattern]) == ([] if ignored else [name])
    assert time.process_time() - start < 1


def test_an_invalid_line_in_a_gitignore_is_ignored(tree):
    root = tree("a.log", "b.txt")
    (root / ".gitignore").write_text("!\n*.log\n")
    assert files(root) == ["b.txt"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_opened(tree):
    root = tree("a.txt")
    os.mkfifo(root / "pipe")
    seen: list[Skipped] = []
    assert [path.name for path in walk(root, skipped=seen.append)] == ["a.txt"]
    assert seen == [Skipped(root / "pipe", "not a regular file")]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may open every folder")
def test_a_folder_without_permission_is_reported(tree):
    root = tree("a.txt", "closed/b.txt")
    (root / "closed").chmod(0)
    try:
        assert skipped_reasons(root)["closed"].startswith("cannot be opened")
    finally:
        (root / "closed").chmod(0o700)


def test_the_files_of_an_exchange_are_skipped_and_others_of_the_name_are_not(tmp_path):
    with hs.open(tmp_path / "a.db", embedder="none") as store:
        store.add("Meet at nine.")
        store.exchange(tmp_path, name="laptop")
    (tmp_path / "lamp").mkdir()
    (tmp_path / "lamp" / "device.json").write_text('{"name": "lamp"}')
    skipped: list[Skipped] = []
    found = [path.relative_to(tmp_path).as_posix() for path in walk(tmp_path, skipped=skipped.append)]
    assert found == ["lamp/device.json"]
    assert {each.path.name: each.reason for each in skipped}["device.json"] == "of an exchange"
