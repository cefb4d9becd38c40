"""Walking folders finds what is worth reading, in order, and counts the rest by reason."""

from __future__ import annotations

import os
import sys

import pytest

from hybridstore.errors import InputError, MissingExtra
from hybridstore.ingest import Skipped, walk


@pytest.fixture
def tree(tmp_path):
    def make(*names, **contents):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("text")
        return tmp_path

    return make


def found(root, paths=None, **options):
    return [path.relative_to(root).as_posix() for path in walk(paths or root, **options)]


def left_out(root, **options):
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
    assert found(tree("b.txt", "a/z.md", "a/b/c.py", "a.txt", "c")) == [
        "a/b/c.py",
        "a/z.md",
        "a.txt",
        "b.txt",
        "c",
    ]


def test_what_is_never_text_to_read_is_always_left_out(tree):
    root = tree("a.txt", ".git/x.txt", "node_modules/x.js", "p/__pycache__/x.py", ".venv/x.py")
    assert found(root, hidden=True) == ["a.txt"]


def test_hidden_files_are_left_out_unless_wanted(tree):
    root = tree("a.txt", ".env", ".config/b.txt")
    assert found(root) == ["a.txt"]
    assert left_out(root) == {".env": "hidden", ".config": "hidden"}
    assert found(root, hidden=True) == [".config/b.txt", ".env", "a.txt"]


def test_a_gitignore_rules_its_folder_and_an_inner_one_rules_it_back(tree):
    root = tree("a.log", "b.txt", "build/c.txt", "sub/d.log", "sub/keep.log", "sub/build.txt", "sub/deep/e.tmp")
    (root / ".gitignore").write_text("*.log\n/build/\n# a comment\n\n")
    (root / "sub" / ".gitignore").write_text("!keep.log\n*.tmp\n")
    assert found(root) == ["b.txt", "sub/build.txt", "sub/keep.log"]
    assert left_out(root)["build"] == "ignored"


def test_a_gitignore_further_up_the_repository_counts(tree):
    root = tree("src/a.log", "src/b.txt", "out/c.txt")
    (root / ".git").mkdir()
    (root / ".gitignore").write_text("*.log\nout/\n")
    assert found(root, root / "src") == ["src/b.txt"]
    assert found(root, root / "out") == ["out/c.txt"]  # named by the caller, so it is wanted


def test_include_and_exclude_are_patterns_relative_to_the_folder(tree):
    root = tree("a.md", "a.txt", "docs/b.md", "docs/drafts/c.md")
    assert found(root, include=["*.md"]) == ["a.md", "docs/b.md", "docs/drafts/c.md"]
    assert found(root, include=["docs/**"], exclude=["drafts/"]) == ["docs/b.md"]
    assert left_out(root, include=["*.md"], exclude=["docs/drafts"]) == {
        "a.txt": "not included",
        "docs/drafts": "excluded",
    }


def test_a_file_named_by_the_caller_is_taken_whatever_it_is(tree):
    root = tree("a.log", ".hidden")
    (root / ".gitignore").write_text("*.log")
    assert found(root, [root / "a.log", root / ".hidden"]) == ["a.log", ".hidden"]


def test_binary_files_are_left_out_by_name_or_content_and_counted(tree):
    root = tree("photo.PNG", "store.db", "store.db-wal", "model.onnx", "x.tar.gz", "rows.csv.gz", "LICENSE")
    (root / "unknown").write_bytes(b"\x7fELF\0\0")
    (root / "wide").write_bytes("text".encode("utf-16"))
    assert found(root) == ["LICENSE", "rows.csv.gz", "wide"]
    assert left_out(root) == {
        "photo.PNG": "image",
        "store.db": "database",
        "store.db-wal": "database",
        "model.onnx": "model or data",
        "x.tar.gz": "archive",
        "unknown": "binary",
    }


def test_links_are_left_out_unless_followed_and_loops_end(tree, tmp_path_factory):
    root = tree("a/b.txt")
    (root / "a" / "loop").symlink_to(root)
    (root / "broken").symlink_to(root / "gone")
    (root / "link.txt").symlink_to(root / "a" / "b.txt")
    assert found(root) == ["a/b.txt"]
    assert set(left_out(root).values()) == {"link"}
    assert found(root, follow_links=True) == ["a/b.txt", "link.txt"]
    assert left_out(root, follow_links=True) == {"broken": "broken link"}


def test_paths_that_overlap_give_each_file_once(tree):
    root = tree("a/b.txt", "a/c.txt")
    assert found(root, [root / "a" / "c.txt", root, root / "a"]) == ["a/c.txt", "a/b.txt"]


def test_a_path_that_does_not_exist_is_an_error_before_the_first_file(tree):
    root = tree("a.txt")
    with pytest.raises(InputError, match="gone"):
        walk([root, root / "gone"])


def test_a_pattern_that_makes_no_sense_is_an_error(tree):
    with pytest.raises(InputError, match=r"write it as in a \.gitignore"):
        walk(tree("a.txt"), exclude=["!"])


def test_a_gitignore_with_a_senseless_line_still_counts(tree):
    root = tree("a.log", "b.txt")
    (root / ".gitignore").write_text("!\n*.log\n")
    assert found(root) == ["b.txt"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_opened(tree):
    root = tree("a.txt")
    os.mkfifo(root / "pipe")
    seen: list[Skipped] = []
    assert [path.name for path in walk(root, skipped=seen.append)] == ["a.txt"]
    assert seen == [Skipped(root / "pipe", "no regular file")]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may open every folder")
def test_a_folder_that_may_not_be_opened_is_told(tree):
    root = tree("a.txt", "closed/b.txt")
    (root / "closed").chmod(0)
    try:
        assert left_out(root)["closed"].startswith("cannot be opened")
    finally:
        (root / "closed").chmod(0o700)


def test_without_pathspec_the_error_says_how_to_install_it(tree, monkeypatch):
    monkeypatch.setitem(sys.modules, "pathspec", None)
    with pytest.raises(MissingExtra, match=r"hybridstore\[files\]"):
        walk(tree("a.txt"))
    assert found(tree(), tree() / "a.txt") == ["a.txt"]  # a file alone needs no patterns
