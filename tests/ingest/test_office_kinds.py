"""Presentations, spreadsheets, OpenDocument, EPUB and PDF, exactly; and damage of every kind in a sentence."""

from __future__ import annotations

import io
import re
import zipfile

import pytest

import hybridstore as hs
from hybridstore.ingest import Unreadable, place, read
from hybridstore.ingest.readers.pdf import joined_pages
from hybridstore.ingest.readers.titles import clean_title

TYPES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
P = f'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" xmlns:r="{TYPES}" {A}'
MAIN = f'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="{TYPES}"'
ODF = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in {
        "office": "office", "text": "text", "table": "table", "draw": "drawing", "presentation": "presentation",
    }.items()
)  # fmt: skip


def archive(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in members.items():
            out.writestr(name, content)
    return path


def rels(*targets):
    inner = (f'<Relationship Id="rId{n}" Type="{TYPES}/{kind}" Target="{to}"/>' for n, (kind, to) in enumerate(targets))
    return f"<Relationships>{''.join(inner)}</Relationships>"


def shape(text, kind=""):
    placeholder = f'<p:ph type="{kind}"/>' if kind else ""
    paragraphs = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in text.split("\n"))
    return f"<p:sp><p:nvSpPr><p:nvPr>{placeholder}</p:nvPr></p:nvSpPr><p:txBody>{paragraphs}</p:txBody></p:sp>"


def slide(*shapes):
    return f"<p:sld {P}><p:cSld><p:spTree>{''.join(shapes)}</p:spTree></p:cSld></p:sld>"


def test_slides_come_in_the_order_they_are_shown_with_tables_diagrams_and_notes(tmp_path):
    cells = (f"<a:tc><a:txBody><a:p><a:r><a:t>{x}</a:t></a:r></a:p></a:txBody></a:tc>" for x in "ab")
    table = f"<a:tbl><a:tr>{''.join(cells)}"
    chart = '<p:graphicFrame><c:chart xmlns:c="x" r:id="rId1"/></p:graphicFrame>'
    grouped = f"<p:grpSp>{shape('in a group')}</p:grpSp>"
    path = archive(
        tmp_path / "a.pptx",
        {
            "_rels/.rels": rels(("officeDocument", "ppt/presentation.xml")),
            "ppt/presentation.xml": f'<p:presentation {P}><p:sldIdLst><p:sldId id="9" r:id="rId1"/>'
            '<p:sldId id="8" r:id="rId0"/></p:sldIdLst></p:presentation>',
            "ppt/_rels/presentation.xml.rels": rels(("slide", "slides/last.xml"), ("slide", "/ppt/slides/first.xml")),
            "ppt/slides/first.xml": slide(
                shape("Agenda", "title"),
                shape("one\ntwo"),
                shape("7", "sldNum"),
                grouped,
                f"<p:graphicFrame><a:graphic>{table}</a:tr></a:tbl></a:graphic></p:graphicFrame>",
            ),
            "ppt/slides/_rels/first.xml.rels": rels(("notesSlide", "../notes.xml")),
            "ppt/notes.xml": slide(shape("Say hello"), shape("1", "sldNum")),
            "ppt/slides/last.xml": slide(shape("End"), chart),
            "ppt/slides/_rels/last.xml.rels": rels(("x", "y"), ("chart", "../chart.xml")),
            "ppt/chart.xml": '<c:chart xmlns:c="x"><c:v>Sales</c:v><c:v>12.5</c:v><c:v>North</c:v></c:chart>',
        },
    )
    (document,) = read(path)
    assert document.text == (
        "# Slide 1: Agenda\n\none\ntwo\n\nin a group\n\n| a | b |\n\nNotes: Say hello\n\n"
        "\f\n# Slide 2\n\nEnd\n\nSales\nNorth"
    )
    assert (document.title, document.metadata["slides"]) == ("Slide 1: Agenda", 2)


def workbook(path, *sheets, formulas=""):
    names = "".join(f'<sheet name="S{n}" sheetId="{n}" r:id="rId{n - 1}"/>' for n in range(1, len(sheets) + 1))
    members = {
        "_rels/.rels": rels(("officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f"<workbook {MAIN}><sheets>{names}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": rels(*(("worksheet", f"s{n}.xml") for n in range(len(sheets)))),
    }
    for n, rows in enumerate(sheets):
        cells = "".join(f"<row r='{r}'>{''.join(map(cell, row))}</row>" for r, row in rows.items())
        members[f"xl/s{n}.xml"] = f"<worksheet {MAIN}><sheetData>{cells}</sheetData></worksheet>"
    return archive(path, members)


def cell(value):
    if isinstance(value, str) and value.startswith("="):
        formula, _, cached = value.partition("→")
        return f"<c><f>{formula[1:]}</f><v>{cached}</v></c>"
    return f'<c t="inlineStr"><is><t>{value}</t></is></c>' if isinstance(value, str) else f"<c><v>{value}</v></c>"


def test_each_row_of_a_sheet_with_a_header_is_a_document(tmp_path):
    path = workbook(
        tmp_path / "a.xlsx",
        {1: ["Stock 2026"], 3: ["Name", "Price", "Twice"], 4: ["Valve", 2.5, "=B4*2→5"], 6: ["Pump", 7, ""]},
        {1: ["only a remark"], 2: ["and another"]},
        {},
    )
    valve, pump, remark = read(path)
    assert (valve.id, valve.title, valve.text) == (
        f"{path}#S1!4",
        "Stock 2026 (S1)",
        "Name: Valve\nPrice: 2.5\nTwice: 5",
    )
    assert valve.metadata == {
        "path": str(path), "type": "xlsx", "sheet": "S1", "row": 4, "Name": "Valve", "Price": 2.5, "Twice": 5,
    }  # fmt: skip
    assert (pump.id, pump.text) == (f"{path}#S1!6", "Name: Pump\nPrice: 7")
    assert (remark.id, remark.title, remark.text) == (f"{path}#S2", "a: S2", "| only a remark |\n| and another |")


@pytest.mark.parametrize("sheet", ["<sheetData><row></sheetData></row>", "<sheetData><row><c><v>1</v>", "</sheetData>"])
def test_a_sheet_whose_elements_do_not_end_is_refused_at_once(tmp_path, sheet):
    members = {
        "_rels/.rels": rels(("officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'<workbook {MAIN}><sheets><sheet name="S" sheetId="1" r:id="rId0"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": rels(("worksheet", "s.xml")),
        "xl/s.xml": f"<worksheet {MAIN}>{sheet}</worksheet>",
    }
    with pytest.raises(Unreadable, match=r"damaged \(xl/s.xml is not well-formed XML"):
        list(read(archive(tmp_path / "a.xlsx", members)))
    content = "<a xmlns:table='t'><table:table table:name='S'></table:tble></a>"
    path = archive(
        tmp_path / "a.ods",
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "META-INF/manifest.xml": "<m/>",
            "content.xml": content,
        },
    )
    with pytest.raises(Unreadable, match=r"damaged \(content.xml is not well-formed XML"):
        list(read(path))


def test_opendocument_has_headings_lists_tables_notes_and_no_deleted_text(tmp_path):
    body = """<office:text><text:tracked-changes><text:changed-region><text:deletion><text:p>deleted</text:p>
    </text:deletion></text:changed-region></text:tracked-changes>
    <text:h text:outline-level="2">Head</text:h>
    <text:p>One<text:s text:c="2"/>two<text:tab/>three<text:line-break/>four<text:note text:note-class="footnote">
    <text:note-citation>1</text:note-citation><text:note-body><text:p>the foot</text:p></text:note-body></text:note>
    <text:span> end</text:span><office:annotation><text:p>a remark</text:p></office:annotation></text:p>
    <text:list><text:list-item><text:p>a</text:p><text:list><text:list-item><text:p>b</text:p></text:list-item>
    </text:list></text:list-item></text:list>
    <table:table><table:table-header-rows><table:table-row><table:table-cell><text:p>x</text:p></table:table-cell>
    <table:table-cell><text:p>y</text:p><text:p>z</text:p></table:table-cell></table:table-row>
    </table:table-header-rows></table:table>
    <text:p><draw:frame><draw:text-box><text:p>in a box</text:p></draw:text-box></draw:frame></text:p></office:text>"""
    content = f"<office:document-content {ODF}><office:body>{body}</office:body></office:document-content>"
    (document,) = read(archive(tmp_path / "a.odt", {"content.xml": content}))
    assert document.text == (
        "## Head\n\nOne  two three\nfour\nend\n\nFootnote: the foot\n\nComment: a remark\n\n"
        "- a\n  - b\n\n| x | y z |\n\nin a box"
    )


def test_a_book_has_its_chapters_in_reading_order_named_by_its_contents(tmp_path):
    page = "<html><body>{}</body></html>"
    opf = """<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>
    <dc:title>The Book</dc:title><dc:creator>Anna</dc:creator></metadata><manifest>
    <item id="b" href="text/b%20c.xhtml" media-type="application/xhtml+xml"/>
    <item id="a" href="text/a.xhtml" media-type="application/xhtml+xml"/>
    <item id="x" href="text/gone.xhtml" media-type="application/xhtml+xml"/>
    <item id="n" href="toc.ncx" media-type="application/x-dtbncx+xml"/></manifest>
    <spine><itemref idref="a"/><itemref idref="b"/><itemref idref="x"/></spine></package>"""
    ncx = """<ncx><navMap><navPoint><navLabel><text>Second</text></navLabel><content src="text/b%20c.xhtml#top"/>
    </navPoint></navMap></ncx>"""
    path = archive(
        tmp_path / "a.epub",
        {
            "META-INF/container.xml": '<container><rootfile full-path="O/b.opf"/></container>',
            "O/b.opf": opf,
            "O/toc.ncx": ncx,
            "O/text/a.xhtml": page.format("<h1>First</h1><p>one</p>"),
            "O/text/b c.xhtml": page.format("<p>two</p>"),
        },
    )
    notices = []
    (document,) = read(path, notice=notices.append)
    assert document.text == "# First\n\none\n\n# Second\n\ntwo"
    assert (document.title, document.metadata["author"]) == ("The Book", "Anna")
    assert notices == ["the chapter O/text/gone.xhtml is missing"]


@pytest.mark.parametrize(
    ("pages", "joined"),
    [
        (["an exam-\nple of it"], ["an example of it"]),
        (["a well-\nknown fact, as well-known"], ["a well-known fact, as well-known"]),
        (["the Anglo-\nSaxon"], ["the Anglo-Saxon"]),
        (["soft\u00ad\nhyphen"], ["softhyphen"]),
        (["a list:\n- one\n- two"], ["a list:\n- one\n- two"]),
        (["pages 3-\n4"], ["pages 3-\n4"]),
        (["one exam-", "ple of it"], ["one example", "of it"]),
        (["one exam-\n12", "13\nple of it"], ["one example\n12", "13\nof it"]),
        (["one exam-", "Ple of it"], ["one exam-", "Ple of it"]),
    ],
)
def test_words_broken_at_the_end_of_a_line_or_page_are_joined(pages, joined):
    assert [page.strip() for page in joined_pages(pages)] == [page.strip() for page in joined]


def test_a_word_is_joined_across_running_heads_and_feet():
    pages = [f"The Journal\ntext {n} of exam-\nPage {n}" for n in (1, 2, 3)]
    pages[1:] = [page.replace("text", "ples text") for page in pages[1:]]
    joined = joined_pages(pages)
    assert "of examples\nPage 1" in joined[0]
    assert joined[1].startswith("The Journal\ntext 2")


def test_pages_that_cannot_be_read_or_have_no_text_are_named(tmp_path, monkeypatch):
    import pypdf

    writer = pypdf.PdfWriter()
    for _ in range(6):
        writer.add_blank_page(100, 100)
    out = io.BytesIO()
    writer.write(out)
    (tmp_path / "a.pdf").write_bytes(out.getvalue())
    answers = iter(["first", ValueError("bad font"), "", "", "fifth", ""])

    def extract(_):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(pypdf.PageObject, "extract_text", extract)
    notices = []
    (document,) = read(tmp_path / "a.pdf", notice=notices.append)
    assert document.text.split("\n\n\f") == ["first", "", "", "", "fifth", ""]
    assert notices == [
        "page 2 cannot be read (bad font)",
        "pages 3-4, 6 have no text (blank, or scanned: run text recognition, OCR, first)",
    ]


@pytest.mark.parametrize(
    ("title", "cleaned"),
    [
        ("Microsoft Word - draft_v3.docx", ""),
        ("Microsoft PowerPoint - The Plan", "The Plan"),
        ("Untitled-1", ""),
        ("PowerPoint Presentation", ""),
        ("Document 12", ""),
        ("C:\\Users\\x\\paper.tex", ""),
        ("  A  real\n title ", "A real title"),
        ("Slides on valves", "Slides on valves"),
        ("---", ""),
        (None, ""),
    ],
)
def test_titles_that_programs_make_up_are_cleaned_or_ignored(title, cleaned):
    assert clean_title(title) == cleaned


KINDS = "docx pptx xlsx ods odt odp epub pdf xls xlsb ipynb eml mbox srt vtt rtf docm fodt org adoc tex xml html"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
DAMAGED = {
    "empty": b"",
    "blank": b" \n \n",
    "bytes": bytes(range(256)) * 8,
    "zip": b"PK\x03\x04" + b"\x14\0" * 200,
    "encrypted": OLE + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le") + b"\0" * 600,
}


@pytest.mark.parametrize("kind", KINDS.split())
@pytest.mark.parametrize("damage", DAMAGED)
def test_damage_of_any_kind_is_one_sentence(tmp_path, kind, damage):
    path = tmp_path / f"a.{kind}"
    path.write_bytes(DAMAGED[damage])
    with pytest.raises(Unreadable) as raised:
        list(read(path))
    assert "\n" not in raised.value.reason
    assert len(raised.value.reason) < 300
    assert "Traceback" not in raised.value.reason
    assert str(path) not in raised.value.reason
    if damage == "empty":
        assert raised.value.reason == "is empty"
    if damage == "encrypted" and kind in {"docx", "pptx", "docm", "xlsx", "odt"}:
        assert "encrypted" in raised.value.reason


@pytest.mark.parametrize("kind", ["xlsx", "ods", "odt", "docx", "pptx", "epub"])
def test_an_archive_with_encrypted_members_is_named_so(tmp_path, kind):
    names = ["META-INF/manifest.xml", "META-INF/container.xml", "content.xml", "xl/workbook.xml", "word/document.xml"]
    path = archive(tmp_path / f"a.{kind}", dict.fromkeys([*names, "ppt/presentation.xml"], "x"))
    data = bytearray(path.read_bytes())
    for found in re.finditer(rb"PK\x01\x02", bytes(data)):
        data[found.start() + 8] |= 1
    for found in re.finditer(rb"PK\x03\x04", bytes(data)):
        data[found.start() + 6] |= 1
    path.write_bytes(data)
    with pytest.raises(Unreadable, match="is encrypted"):
        list(read(path))


def test_encrypted_opendocument_and_protected_books_are_named_so(tmp_path):
    locked = {"content.xml": "x", "META-INF/manifest.xml": "<m><manifest:encryption-data/></m>"}
    for name in ("a.odt", "a.ods"):
        with pytest.raises(Unreadable, match="is encrypted"):
            list(read(archive(tmp_path / name, locked)))
    opf = '<package><manifest><item id="a" href="a.xhtml" media-type="text/html"/></manifest><spine/></package>'
    book = {
        "META-INF/container.xml": '<c><rootfile full-path="b.opf"/></c>',
        "b.opf": opf,
        "META-INF/encryption.xml": '<e><EncryptedData><CipherReference URI="a.xhtml"/></EncryptedData></e>',
    }
    with pytest.raises(Unreadable, match="DRM"):
        list(read(archive(tmp_path / "a.epub", book)))


@pytest.mark.parametrize("name", ["a.doc", "a.ppt"])
def test_older_office_files_say_what_would_do(tmp_path, name):
    (tmp_path / name).write_bytes(OLE + b"x")
    with pytest.raises(Unreadable, match=f"save it as {name[2:]}x"):
        list(read(tmp_path / name))


@pytest.mark.parametrize(
    ("kind", "places"),
    [
        ("pdf", ["p. 1", "p. 2", "p. 4"]),
        ("pptx", ["slide 1", "slide 2", "slide 4"]),
        ("ipynb", ["cell 1", "cell 2", "cell 4"]),
        ("txt", ["", "", ""]),
    ],
)
def test_a_passage_knows_its_page_slide_or_cell(kind, places):
    text = "one\n\n\ftwo\n\n\f\n\n\ffour"
    document = hs.Document(text=text, metadata={"type": kind})
    assert [place(document, text.index(word)) for word in ("one", "two", "four")] == places
    assert place(document, 0, len(text)) == (places[0] and f"{places[0]}-4")
