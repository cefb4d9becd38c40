"""Readers: every format becomes documents with text, title, headings and path; errors give the reason."""

from __future__ import annotations

import gzip
import io
import sys
from types import SimpleNamespace

import pytest

from hybridstore.errors import InputError, MissingExtra
from hybridstore.ingest import Unreadable, read


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def only(path, **options):
    (document,) = read(path, **options)
    return document


def test_a_text_file_is_one_document_with_its_path_as_id(tmp_path):
    path = write(tmp_path, "notes.txt", "One line.\r\nAnother.\n")
    document = only(path)
    assert (document.id, document.uri, document.title) == (path.as_posix(), path.as_posix(), "notes")
    assert document.text == "One line.\r\nAnother.\n"
    assert document.metadata == {"path": path.as_posix(), "type": "txt"}
    assert document.format == "plain"


def test_a_relative_path_gives_the_same_id(tmp_path, monkeypatch):
    path = write(tmp_path, "notes.txt", "Text.")
    monkeypatch.chdir(tmp_path)
    assert only("notes.txt").id == only(tmp_path / "gone" / ".." / "notes.txt").id == path.as_posix()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_text_is_decoded_without_loss(tmp_path, encoding):
    text = "Köln – naïve café"
    marks = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}
    assert only(write(tmp_path, "a.txt", marks.get(encoding, b"") + text.encode(encoding))).text == text


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", b"", "is empty"),
        ("a.txt", b" \n\t", "white space"),
        ("a.txt", b"ab\0cd", "binary"),
        ("a.md", b"\xff\xfea", "not valid UTF-16"),
        ("a.png", b"\x89PNG", "without readable text"),
        ("a.tar.gz", b"x", "archive"),
        ("a.txt.gz", b"not gzip", "incomplete or invalid gzip file"),
        ("a.txt.gz", gzip.compress(b"some text " * 100, mtime=0)[:-12], "incomplete or invalid gzip file"),
        ("a.pdf", b"%PDF-1.4 rubbish", "PDF"),
        ("a.docx", b"PK\x03\x04 rubbish", "docx"),
        ("a.json", b"[1, 2]", "neither an object nor a list"),
        ("a.json", b"{", "is not JSON"),
        ("a.jsonl", b'\n\n{"text": ', "line 3 is not JSON"),
        ("a.jsonl", b"\n[1]\n", "line 2 is JSON but not an object"),
        ("a.csv", b"id,text\n", "no rows"),
        ("a.html", b"<html><script>x</script></html>", "no text"),
    ],
)
def test_an_unreadable_file_is_reported_with_its_reason(tmp_path, name, content, reason):
    path = write(tmp_path, name, content)
    with pytest.raises(Unreadable, match=reason) as raised:
        list(read(path))
    assert raised.value.path == path.as_posix()
    assert str(raised.value).startswith(path.as_posix())
    assert isinstance(raised.value, InputError)


def test_a_missing_file_is_unreadable(tmp_path):
    with pytest.raises(Unreadable, match="no such file"):
        list(read(tmp_path / "gone.txt"))


def test_an_unknown_kind_is_an_error(tmp_path):
    with pytest.raises(InputError, match="use one of txt"):
        read(write(tmp_path, "a.txt", "x"), kind="word")


def test_the_error_for_a_missing_package_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pypdf", None)
    with pytest.raises(MissingExtra, match=r"hybridstore\[files\]"):
        list(read(write(tmp_path, "a.pdf", b"%PDF-1.4")))


def test_markdown_is_titled_by_its_first_heading(tmp_path):
    document = only(write(tmp_path, "a.md", "Words first.\n\n```\n# code\n```\n\n## The *real* title\n\nText."))
    assert (document.title, document.format) == ("The real title", "markdown")


@pytest.mark.parametrize(
    ("name", "content", "language"),
    [
        ("a.py", "x = 1\n", "python"),
        ("tool", "#!/usr/bin/env -S python3.11 -u\nx = 1\n", "python"),
        ("tool", "#!/bin/bash\necho\n", "shell"),
        ("tool", "#!/usr/bin/env node\nlet a\n", "javascript"),
        ("Makefile", "all:\n\techo\n", "make"),
        ("a.rs", "fn main() {}\n", "rust"),
    ],
)
def test_source_code_is_recognised_by_suffix_name_or_shebang(tmp_path, name, content, language):
    document = only(write(tmp_path, name, content))
    assert (document.format, document.metadata["language"]) == ("code", language)


def test_a_large_text_can_be_gzipped_too(tmp_path):
    document = only(write(tmp_path, "notes.md.gz", gzip.compress(b"# Head\n\nText.")))
    assert (document.title, document.text) == ("Head", "# Head\n\nText.")
    assert only(write(tmp_path, "plain.txt.gz", gzip.compress(b"Text."))).title == "plain"


@pytest.mark.parametrize(
    ("data", "kind", "texts"),
    [
        (b"Some words.", None, ["Some words."]),
        (b'{"text": "a", "id": "7"}\n{"text": "b"}\n', None, ["a", "b"]),
        (b"text\na\nb\n", "csv", ["a", "b"]),
        (b"# Head\n", "md", ["# Head\n"]),
    ],
)
def test_standard_input_is_read(monkeypatch, data, kind, texts):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    documents = list(read("-", kind=kind))
    assert [document.text for document in documents] == texts
    assert {document.id for document in documents} <= {None, "7"}
