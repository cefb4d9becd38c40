"""Tables as people write them: what was assumed is reported, and no row is lost."""

from __future__ import annotations

import json
import time

import pytest

import hybridstore
from hybridstore.ingest import read, sync
from hybridstore.records import Document, Source


def rows(folder, content, name="a.csv"):
    """Return a file's documents as (what follows "#" in the id, text with " / " for line ends), and the notices."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    notices = []
    documents = list(read(path, notice=notices.append))
    return [(one.id.partition("#")[2], one.text.replace("\n", " / ")) for one in documents], "; ".join(notices)


FORMS = {
    "a comma in a quoted name": ('"Name, first",city\nAnn,Ulm\n', "Name, first: Ann / city: Ulm", ""),
    "sep=": ("sep=;\nname;price\nAnn;x\n", "name: Ann / price: x", "its cells are separated by semicolons"),
    "sep= of an odd sign": ("sep=^\nname^price\nAnn^x\n", "name: Ann / price: x", "its cells are separated by '^'"),
    "blanks after commas": ('name, words\nAnn, "Hello, you"\n', "name: Ann / words: Hello, you", ""),
    "tabs in csv": ("name\tcity\nAnn\tUlm\n", "name: Ann / city: Ulm", "its cells are separated by tabs"),
    "commas in tsv": ("name,city\nAnn,Ulm\n", "name: Ann / city: Ulm", "its cells are separated by commas"),
    "bars": ("name|city\nAnn|Ulm, D\nBob|x\n", "name: Ann / city: Ulm, D", "its cells are separated by vertical bars"),
    "decimal commas": (
        "name;price\nAnn;1,50\nBob;2,5\n",
        "name: Ann / price: 1,50",
        "its cells are separated by semicolons; numbers have decimal commas",
    ),
    "a title": (
        "Sales 2024\n\nname,city\nAnn,Ulm\n",
        "name: Ann / city: Ulm",
        "the line above the header is its title",
    ),
    "padded titles": (
        "Sales,,\nby region,,\nname,city,no\nAnn,Ulm,1\n",
        "name: Ann / city: Ulm / no: 1",
        "2 lines above it are its title",
    ),
    "comments": (
        "# by a program\nname,city\nAnn,Ulm\n",
        "name: Ann / city: Ulm",
        "the line above the header is its title",
    ),
    "a header that is a comment": ("# name,city\nAnn,Ulm\n", "name: Ann / city: Ulm", ""),
    "no header, numbers": (
        "Ann,5,2020-01-31\nBob,6,2021-01-31\n",
        "column_1: Ann / column_2: 5 / column_3: 2020-01-31",
        "it has no header, so that columns are numbered",
    ),
    "no header, repeated words": (
        "Ulm,Germany\nBonn,Germany\n",
        "column_1: Ulm / column_2: Germany",
        "it has no header, so that columns are numbered",
    ),
    "one row without a header": (
        "Ann,5\n",
        "column_1: Ann / column_2: 5",
        "it has no header, so that columns are numbered",
    ),
    "years as names": ("land,2019,2020\nFrance,1,2\nSpain,3,4\n", "land: France / 2019: 1 / 2020: 2", ""),
    "uneven rows": (
        "a,b,c\n1,2,3\n4,5\n6,7,8,9\n",
        "a: 1 / b: 2 / c: 3",
        "2 rows with more or fewer cells than the header",
    ),
    "backslashes": (
        'name,words\nAnn,"She said \\"hi\\", then left"\n',
        'name: Ann / words: She said "hi", then left',
        "",
    ),
    "a path that ends in a backslash": ('name,path\nAnn,"C:\\a\\"\nBob,"D:\\"\n', "name: Ann / path: C:\\a\\", ""),
    "quotes in quotes": (
        'name,words\nAnn,"She said "hi" to me"\n',
        'name: Ann / words: She said "hi" to me',
        "1 row with stray quotes (the first in line 2)",
    ),
    "inches": ('name,size\nPipe,5" wide\nTube,6" wide\n', 'name: Pipe / size: 5" wide', ""),
    "single quotes": ("name,words\nAnn,'a, b'\nBob,'c, d'\n", "name: Ann / words: a, b", "quoted by '"),
    "a cell of several lines": (
        'name,words\nAnn,"one\n\ntwo, ""three"""\n',
        'name: Ann / words: one /  / two, "three"',
        "",
    ),
    "carriage returns": ("name,city\rAnn,Ulm\rBob,Bonn\r", "name: Ann / city: Ulm", ""),
    "a byte order mark": ("\ufeffname,city\nAnn,Ulm\n", "name: Ann / city: Ulm", ""),
    "names twice and none": ("name,name,,\nAnn,x,y,z\n", "name: Ann / name_2: x / column_3: y / column_4: z", ""),
    "one column with commas": ("remark\nHello, world\nfoo, bar, baz\n", "remark: Hello, world", ""),
    "a header again": (
        "name,city\nAnn,Ulm\nname,city\nBob,x\n",
        "name: Ann / city: Ulm",
        "1 header repeated below left out",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_tables_are_read_as_they_are_meant_and_what_was_assumed_is_reported(tmp_path, form):
    content, first, notice = FORMS[form]
    documents, notices = rows(tmp_path, content, "a.tsv" if form == "commas in tsv" else "a.csv")
    assert documents[0] == ("row=1", first)
    assert notices == notice


@pytest.mark.parametrize("others", ['"text {n}"', "text {n}", '"text, {n}"'])
def test_a_quote_that_is_never_closed_takes_its_own_row_alone(tmp_path, others):
    lines = [f"{n},{others.format(n=n)},end\n" for n in range(1, 3001)]
    lines[4] = '5,"text five,end\n'
    documents, notices = rows(tmp_path, "id,words,mark\n" + "".join(lines))
    assert len(documents) == 3000
    assert documents[4] == ("5", "words: text five / mark: end")
    assert documents[5] == ("6", f"words: {others.format(n=6).strip(chr(34))} / mark: end")
    assert notices == "1 row with stray quotes (the first in line 6)"


def test_a_file_of_stray_quotes_is_read_in_linear_time(tmp_path):
    def seconds(lines):
        begun = time.process_time()
        documents, _ = rows(tmp_path, "id,words\n" + '1,"x\n' * lines)
        assert len(documents) == lines
        return time.process_time() - begun

    seconds(100)
    # The best of several: others use the machine, too. Quadratic time would always be 16 times as long.
    assert any(seconds(8000) < 8 * max(seconds(2000), 0.02) for _ in range(5))


def test_numbers_of_rows_never_meet_the_ids_of_others(tmp_path):
    table = "id,words\n3,three\n,second\n,third\n1,one\n3,again\n" + "".join(f",row {n}\n" for n in range(6, 18))
    documents, notices = rows(tmp_path, table)
    assert len(documents) == len({place for place, _ in documents}) == 17
    assert [place for place, _ in documents[:6]] == ["3", "row=2", "row=3", "1", "3;2", "row=6"]
    assert notices == "a document has the id of an earlier one, so a number is appended to it, as in #7;2"
    with hybridstore.open(":memory:") as store:
        report = sync(store, tmp_path)
        assert (report.documents.added, report.documents.replaced) == (17, 0)
        assert len(store.ids()) == 17


@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        ("a.jsonl", '{"id": 2, "text": "a"}\n{"text": "b"}\n{"id": "2", "text": "c"}\n', ["2", "line=2", "2;2"]),
        ("a.json", '[{"id": 2, "text": "a"}, {"text": "b"}, {"id": 2, "text": "c"}]', ["2", "item=2", "2;2"]),
        ("a.json", json.dumps({"total": 2, "data": [{"id": 2, "text": "a"}, {"text": "b"}]}), ["2", "item=2"]),
        ("a.json", '{"text": "a"}\n{\n"text": "b"}{"text": "c"}', ["item=1", "item=2", "item=3"]),
        ("a.jsonl", '{"text": "a"}{"text": "b"}\n{"text": "c"}', ["line=1", "line=1.2", "line=2"]),
        ("a.jsonl", '[\n{"text": "a"},\n{"text": "b"}\n]\n', ["line=2", "line=3"]),
        ("a.jsonl", '{\n"text":\n"a"\n}\n', [""]),
        ("a.json", "\ufeff" + '[{"text": "a", "n": NaN}]', ["item=1"]),
    ],
)
def test_records_of_json_have_different_ids(tmp_path, name, content, places):
    documents, _ = rows(tmp_path, content, name)
    assert [place for place, _ in documents] == places


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_an_invalid_line_of_json_is_reported_and_the_rest_read(tmp_path, name):
    lines = [f'{{"text": "line {n}"}}' for n in range(1, 101)]
    lines[6], lines[8], lines[20:30] = '{"text": "line 7', "8", ["{]"] * 10
    documents, notice = rows(tmp_path, "\n".join(lines), name)
    assert len(documents) == 88
    assert ("line=8", "line 8") in documents
    assert notice.startswith("line 7 is not JSON (")
    assert "; line 9 is JSON but not an object; line 21 is not JSON (" in notice
    assert notice.endswith("; and 9 more lines: left out")


def test_items_that_are_not_objects_are_reported(tmp_path):
    assert rows(tmp_path, '[{"text": "a"}, 5, "b"]', "a.json") == (
        [("item=1", "a")],
        "2 of its 3 items are not objects: left out",
    )


def test_ids_of_an_earlier_version_are_replaced_with_their_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("words,size\nFirst,x\nSecond,y\n", encoding="utf-8")
    key = path.as_posix()
    with hybridstore.open(":memory:") as store:
        with store.writer() as writer:
            for number in (1, 2):  # as they were named before
                writer.add(Document(text=f"old {number}", id=f"{key}#{number}"), source=key)
            writer.finish(Source(key, "0" * 64, 1, 1))
        report = sync(store, tmp_path)
        assert sorted(store.ids()) == [f"{key}#row=1", f"{key}#row=2"]
        assert (report.documents.added, report.documents.removed) == (2, 2)
