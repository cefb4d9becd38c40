"""Tables and JSON: each row or record is a document, streamed, with its columns as metadata."""

from __future__ import annotations

import gzip
import json
import tracemalloc

import pytest

from hybridstore.ingest import Unreadable, read


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def only(path, **options):
    (document,) = read(path, **options)
    return document


def test_a_csv_row_is_a_document_and_its_columns_are_metadata(tmp_path):
    path = write(
        tmp_path,
        "a.csv",
        '_id,Title,text,url,year,score,code,empty\nx7,"A, title","Two\nlines",http://a.example,2020,0.5,007,\n,B,Words,,,,,\n',
    )
    first, second = read(path)
    assert (first.id, first.uri, first.title, first.text) == (
        f"{path}#x7",
        "http://a.example",
        "A, title",
        "Two\nlines",
    )
    assert first.metadata == {"path": str(path), "type": "csv", "year": 2020, "score": 0.5, "code": "007"}
    assert (second.id, second.uri) == (f"{path}#row=2", f"{path}#row=2")


def test_without_a_text_column_the_text_is_a_line_per_column(tmp_path):
    document = only(write(tmp_path, "a.tsv", "id\tname\tcity\n1\tAnn\tKöln\n"))
    assert document.text == "name: Ann\ncity: Köln"
    assert {"name": "Ann", "city": "Köln"}.items() <= document.metadata.items()


def test_csv_of_other_separators_and_ragged_rows_is_read(tmp_path):
    first, second = read(write(tmp_path, "a.csv", "text;year;year\nWords, and more;2020\n\nMore;2021;2022;extra\n"))
    assert (first.text, first.metadata["year"]) == ("Words, and more", 2020)
    assert (second.metadata["year_3"], second.metadata["column_4"]) == (2022, "extra")


def test_a_field_longer_than_the_csv_modules_own_limit_is_read(tmp_path):
    assert len(only(write(tmp_path, "a.csv", f'text\n"{"word " * 40_000}"\n')).text) == 200_000


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.jsonl.gz"])
def test_a_line_of_json_is_a_document(tmp_path, name):
    lines = [
        {"_id": "d1", "title": "T", "text": "Words.", "metadata": {"a": [1]}, "year": 2020},
        {"content": ["One.", "Two."], "half": "\ud800", "none": None},
        {"metadata": "odd", "size": 3},
    ]
    text = "\n".join(json.dumps(line) for line in lines) + '\n\n{"text": "x", "n": NaN, "m": 1e999}\n'
    path = write(tmp_path, name, gzip.compress(text.encode()) if name.endswith("gz") else text)
    one, two, three, four = read(path)
    assert (one.id, one.title, one.text) == (f"{path}#d1", "T", "Words.")
    assert one.metadata == {"path": str(path), "type": "jsonl", "a": [1], "year": 2020}
    assert (two.id, two.text, two.metadata["half"]) == (f"{path}#line=2", "One.\nTwo.", "\ufffd")
    assert three.text == "metadata: odd\nsize: 3"
    assert (four.id, "n" in four.metadata, "m" in four.metadata) == (f"{path}#line=5", False, False)


def test_a_row_with_only_a_title_is_a_document(tmp_path):
    document = only(write(tmp_path, "a.jsonl", '{"_id": "1", "title": "Alone", "text": ""}\n{"text": " "}\n'))
    assert (document.title, document.text) == ("Alone", "")


def test_a_json_list_is_many_documents_and_an_object_is_one(tmp_path):
    listed = write(tmp_path, "list.json", '[{"id": 5, "body": "A"}, {"body": "B"}]')
    assert [one.id for one in read(listed)] == [f"{listed}#5", f"{listed}#item=2"]
    single = write(tmp_path, "one.json", '{"id": 5, "body": "A", "year": 2}')
    assert (only(single).id, only(single).metadata["year"]) == (single.as_posix(), 2)


@pytest.mark.thorough
def test_tables_are_streamed(tmp_path):
    path = tmp_path / "a.jsonl"
    with path.open("w") as stream:
        stream.writelines(json.dumps({"text": f"row {n} " * 1000}) + "\n" for n in range(2_000))
    tracemalloc.start()
    assert sum(1 for _ in read(path)) == 2_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 12_000_000
    assert peak < 6_000_000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", ",,"),
        ("a.csv", ";;\n;;\n"),
        ("a.tsv", "\t\t\n"),
        ("a.csv", '"",""\n'),
        ("a.jsonl", '{"id": 1, "id": "one"}\nfour|"}\n'),
        ("a.jsonl", '{"id": 1}\n[2]\n'),
        ("a.json", '{"id": 1}\n{"id": 2}\n'),
        ("a.ndjson", '{}\n{"text": ""}\n7\n'),
    ],
)
def test_tables_and_lines_without_anything_in_them_are_refused_in_a_sentence(tmp_path, name, content):
    with pytest.raises(Unreadable):
        list(read(write(tmp_path, name, content)))
