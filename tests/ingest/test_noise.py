"""Lock files, minified code, source maps, hex dumps and encoded pictures are left out, and the report says so."""

from __future__ import annotations

import base64
import gzip
import random

import pytest

import hybridstore as hs
from hybridstore.ingest import Noise, Unreadable, read, sync

PICTURE = base64.b64encode(random.Random(1).randbytes(225_000)).decode()
MINIFIED = "var a=function(b,c){return b+c};" * 300
HEX = "".join(f"{i * 16:08x}: 4865 6c6c 6f20 776f 726c 6421 0a00 0000  Hello world!....\n" for i in range(60))


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("package-lock.json", "{}", "lock file"),
        ("poetry.lock", "x", "lock file"),
        ("Cargo.lock", "x", "lock file"),
        ("go.sum", "x", "lock file"),
        ("app.min.js", "x", "minified code"),
        ("style-min.css", "x", "minified code"),
        ("app.js", MINIFIED, "minified code"),
        ("app.js.gz", gzip.compress(MINIFIED.encode(), mtime=0), "minified code"),
        ("app.css", "a{color:red}" * 400, "minified code"),
        ("app.js.map", "x", "source map"),
        ("app.map", '{"version":3,"sources":["a"],"mappings":"' + "AAAA;" * 900 + '"}', "source map"),
        ("dump.txt", HEX, "hex dump"),
        ("dump", HEX, "hex dump"),
        ("firmware.hex", ":10010000214601360121470136007EFE09D2190140\n" * 60, "hex dump"),
    ],
)
def test_noise_is_recognised_unless_it_is_asked_for(tmp_path, name, content, reason):
    path = write(tmp_path, name, content)
    with pytest.raises(Noise, match=reason) as raised:
        list(read(path))
    assert isinstance(raised.value, Unreadable)
    (document,) = read(path, kind="txt")
    assert document.text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("app.js", "function add(first, second) {\n  return first + second\n}\n" * 200),
        ("data.sql", "insert into t values ('a long text in a row of words that people wrote', 1);" * 200),
        ("short.js", "var a=1"),
        ("notes.md", "A dump:\n\n" + HEX[:600] + "\nsays hello. " + "And many words follow. \n" * 60),
        ("lock.md", "# Lock\n"),
        ("genes.txt", "ACGT" * 1000),
        ("ruler.md", "-" * 3000 + "\ntext"),
        ("zh.txt", "数据库" * 2000),
        ("jwt.md", "token eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + "a1B2" * 100),
    ],
)
def test_what_people_wrote_is_no_noise(tmp_path, name, content):
    notices = []
    (document,) = read(write(tmp_path, name, content), notice=notices.append)
    assert document.text == content
    assert notices == []


@pytest.mark.parametrize(
    ("name", "content", "left"),
    [
        ("a.md", "Before ![x](data:image/png;base64,{}) after", "Before ![x](data:image/png;base64,…) after"),
        ("a.txt", "Before {} after", "Before " + PICTURE[:24] + "… after"),
        ("a.py", 'X = "{}"\n', 'X = "' + PICTURE[:24] + '…"\n'),
        ("a.css", "a {{ src: url(data:font/woff2;charset=utf-8;base64,{}) }}",
         "a { src: url(data:font/woff2;charset=utf-8;base64,…) }"),
        ("a.jsonl", '{{"text": "Before {}"}}', "Before " + PICTURE[:24] + "…"),
    ],
)  # fmt: skip
def test_a_picture_written_as_letters_is_left_out_and_reported(tmp_path, name, content, left):
    notices = []
    (document,) = read(write(tmp_path, name, content.format(PICTURE)), notice=notices.append)
    assert document.text == left
    assert notices == ["an embedded picture or other encoded data (300 kB) left out"]


def test_a_picture_of_short_lines_is_left_out(tmp_path):
    lines = "\n".join(PICTURE[at : at + 76] for at in range(0, len(PICTURE), 76))
    notices = []
    (document,) = read(write(tmp_path, "a.md", f"Before\n\n{lines}\n\nafter"), notice=notices.append)
    assert document.text.split() == ["Before", PICTURE[:24] + "…", "after"]
    assert len(notices) == 1


def test_a_sync_reports_noise_and_does_not_read_it_again(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    write(folder, "yarn.lock", "x")
    write(folder, "app.js", MINIFIED)
    write(folder, "note.md", f"Words ![x](data:image/png;base64,{PICTURE})")
    with hs.open(":memory:", embedder="none") as store:
        report = sync(store, folder)
        assert dict(report.skipped) == {"lock file": 1, "minified code": 1}
        assert (report.read, report.failed, report.documents.chunks) == (1, (), 1)
        assert [what for _, what in report.notices] == ["an embedded picture or other encoded data (300 kB) left out"]
        again = sync(store, folder)
        assert (again.read, again.unchanged, dict(again.skipped)) == (0, 2, {"lock file": 1})


def test_a_file_that_becomes_noise_loses_its_document(tmp_path):
    path = write(tmp_path, "app.js", "let answer = 42\n")
    with hs.open(":memory:", embedder="none") as store:
        sync(store, tmp_path)
        assert store.count() == 1
        path.write_text(MINIFIED)
        sync(store, tmp_path)
        assert store.count() == 0
