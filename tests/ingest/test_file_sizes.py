"""Large and bursting files: read in pieces within bounded memory, or refused with the limit and how to raise it."""

import gzip
import subprocess
import sys
import zipfile
from contextlib import suppress

import pytest

from hybridstore.ingest import read
from hybridstore.ingest.readers import Unreadable, origin

# Adds a file to a store, and prints the growth of the process's memory in MiB and the number of documents.
ADDING = """
import resource, sys
import hybridstore as hs
from hybridstore.ingest import sync
with hs.open(sys.argv[1], embedder="none") as store:
    store.add("warm up")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = sync(store, sys.argv[2])
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print((after - before) >> 10, store.count() - 1, len(report.failed))
"""
MOST = 250  # MiB of growth


def added(tmp_path, path):
    command = [sys.executable, "-c", ADDING, str(tmp_path / "s.db"), str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    grown, documents, failed = map(int, done.stdout.split())
    return grown, documents, failed


def reason(path, **options):
    with pytest.raises(Unreadable) as error:
        list(read(path, **options))
    return error.value.reason


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
@pytest.mark.thorough
@pytest.mark.parametrize("name", ["a.log", "a.log.gz", "a.csv", "a.jsonl"])
def test_a_large_file_is_read_in_bounded_memory(tmp_path, name):
    line = {"csv": "2026,a line of some words\n", "jsonl": '{"text": "a line of some words"}\n'}.get(name[2:])
    lines = "year,text\n" if name == "a.csv" else ""
    lines += (line or "2026-11-30 a line of a log with some words\n") * (5_000 if line else 130_000)
    opened = gzip.open if name.endswith(".gz") else open
    with opened(tmp_path / name, "wt") as file:
        file.write(lines)
    grown, documents, failed = added(tmp_path, tmp_path / name)
    assert (documents > 1, failed) == (True, 0)
    assert grown < MOST


def test_long_text_is_split_into_parts_that_are_the_text(tmp_path, monkeypatch):
    monkeypatch.setattr(origin, "_PART", 1000)
    text = "".join(f"line {number}\n" for number in range(1000)) + "x" * 5000
    (tmp_path / "a.txt").write_text(text)
    documents = list(read(tmp_path / "a.txt"))
    assert "".join(document.text for document in documents) == text
    assert [document.id for document in documents][:2] == [f"{tmp_path}/a.txt#1", f"{tmp_path}/a.txt#2"]
    assert max(len(document.text) for document in documents) <= 3000


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "a.rst", "a.json", "a.csv", "a.pdf", "a.txt.gz", "a.docx"])
def test_a_file_over_the_limit_is_refused_with_the_limit_and_the_option(tmp_path, name):
    data = b"a word, " * 1000
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    why = reason(tmp_path / name, max_file_size=5000)
    assert "larger than 5,000 bytes" in why
    assert "max_file_size" in why


@pytest.mark.parametrize("kind", ["md", "txt", "html", "csv", "jsonl"])
def test_what_bursts_when_unpacked_is_refused(tmp_path, kind):
    with gzip.open(tmp_path / f"a.{kind}.gz", "wb") as file:
        for _ in range(70):
            file.write(b"a" * (1 << 20))
    assert reason(tmp_path / f"a.{kind}.gz", max_file_size=1 << 20)


def test_entities_that_expand_without_end_are_not_expanded(tmp_path):
    entities = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(12))
    (tmp_path / "a.xml").write_text(f'<!DOCTYPE a [<!ENTITY e0 "ha">{entities}]><a>word &e12;</a>')
    with suppress(Unreadable):
        assert sum(len(document.text) for document in read(tmp_path / "a.xml")) < 10_000


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx", "a.odt", "a.epub"])
def test_a_zip_that_bursts_is_refused_with_the_limit_and_the_option(tmp_path, name):
    relations = '<Relationships><Relationship Type="/officeDocument" Target="content.xml"/></Relationships>'
    with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("_rels/.rels", relations)
        file.writestr("META-INF/container.xml", '<container><rootfile full-path="content.xml"/></container>')
        file.writestr("content.xml", " " * (3 << 20))
    assert "is larger than 2 MiB, after unpacking; raise the limit by max_file_size" in reason(
        tmp_path / name, max_file_size=2 << 20
    )
    assert "is larger" not in reason(tmp_path / name, max_file_size=4 << 20)
