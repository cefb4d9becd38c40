"""A folder of every kind of file: each has a sentence that a search must find, and none is read wrongly in silence."""

from __future__ import annotations

import gzip
import io
import json
import plistlib
import zipfile
from email.message import EmailMessage
from itertools import product

import pytest

import hybridstore as hs
from hybridstore.ingest import sync

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
P = 'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'
R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
ODF = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for name in ("office", "text", "table", "drawing", "presentation")
).replace("xmlns:drawing", "xmlns:draw")


def zipped(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def rels(*targets):
    inner = "".join(
        f'<Relationship Id="rId{n}" Type="{RELATION}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate(targets, 1)
    )
    return (
        f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{inner}</Relationships>'
    )


def docx(body):
    return zipped(
        **{
            "_rels/.rels": rels(("officeDocument", "word/document.xml")),
            "word/document.xml": f"<w:document {W}><w:body>{body}</w:body></w:document>",
        }
    )


def paragraph(text):
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def pptx(text, notes=""):
    shape = "<p:sp><p:nvSpPr><p:nvPr/></p:nvSpPr><p:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></p:txBody></p:sp>"
    slide = f"<p:sld {P} {A}><p:cSld><p:spTree>{shape.format(text)}</p:spTree></p:cSld></p:sld>"
    return zipped(
        **{
            "_rels/.rels": rels(("officeDocument", "ppt/presentation.xml")),
            "ppt/presentation.xml": f'<p:presentation {P} {R}><p:sldIdLst><p:sldId id="256" r:id="rId1"/></p:sldIdLst>'
            "</p:presentation>",
            "ppt/_rels/presentation.xml.rels": rels(("slide", "slides/slide1.xml")),
            "ppt/slides/slide1.xml": slide,
            "ppt/slides/_rels/slide1.xml.rels": rels(("notesSlide", "../notesSlides/notesSlide1.xml")),
            "ppt/notesSlides/notesSlide1.xml": f"<p:notes {P} {A}><p:cSld><p:spTree>{shape.format(notes)}</p:spTree>"
            "</p:cSld></p:notes>",
        }
    )


def xlsx(*rows):
    cells = "".join(
        "<row>" + "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in row) + "</row>" for row in rows
    )
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return zipped(
        **{
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": rels(("officeDocument", "xl/workbook.xml")),
            "xl/workbook.xml": f'<workbook xmlns="{main}" {R}><sheets><sheet name="Stock" sheetId="1" r:id="rId1"/>'
            "</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": rels(("worksheet", "worksheets/sheet1.xml")),
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>',
        }
    )


def odf(kind, body):
    content = f"<office:document-content {ODF}><office:body>{body}</office:body></office:document-content>"
    mime = f"application/vnd.oasis.opendocument.{kind}"
    manifest = (
        '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{mime}"/></manifest:manifest>'
    )
    return zipped(**{"mimetype": mime, "META-INF/manifest.xml": manifest, "content.xml": content})


def odt(text):
    return odf("text", f"<office:text><text:p>{text}</text:p></office:text>")


def odp(text):
    return odf(
        "presentation",
        '<office:presentation><draw:page draw:master-page-name="x"><draw:frame><draw:text-box><text:p>'
        f"{text}</text:p></draw:text-box></draw:frame></draw:page></office:presentation>",
    )


def ods(*rows):
    cells = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p></table:table-cell>' for cell in row
        )
        + "</table:table-row>"
        for row in rows
    )
    return odf(
        "spreadsheet",
        f'<office:spreadsheet><table:table table:name="Stock">{cells}</table:table></office:spreadsheet>',
    )


def epub(text):
    opf = (
        '<package xmlns="http://www.idpf.org/2007/opf"><metadata/><manifest><item id="c1" href="c1.xhtml" '
        'media-type="application/xhtml+xml"/></manifest><spine><itemref idref="c1"/></spine></package>'
    )
    return zipped(
        **{
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container><rootfile full-path="O/book.opf"/></container>',
            "O/book.opf": opf,
            "O/c1.xhtml": f"<html><body><h1>One</h1><p>{text}</p></body></html>",
        }
    )


def eml(text, **options):
    message = EmailMessage()
    message["From"], message["To"] = "Jürgen <j@example.org>", "a@example.org"
    message["Subject"], message["Date"] = "Größe", "Mon, 02 Mar 2026 10:00:00 +0100"
    message.set_content(text, **options)
    return message.as_bytes()


def html_mail(text):
    message = EmailMessage()
    message["Subject"] = "page"
    message.set_content(f"<p>{text}</p>", subtype="html", cte="base64")
    message.add_attachment(b"\x89PNG" * 500, maintype="image", subtype="png", filename="a.png")
    return message.as_bytes()


def mbox(text):
    other = b"From a@b Mon Mar  2 10:00:00 2026\nSubject: other\nMessage-ID: <1@x>\n\nAnother message.\n\n"
    return other + b"From c@d Mon Mar  2 11:00:00 2026\nSubject: this\nMessage-ID: <2@x>\n\n" + text.encode() + b"\n"


def notebook(cell_type, text, output=None):
    cell = {"cell_type": cell_type, "source": [text], "metadata": {}}
    if output is not None:
        cell["outputs"] = [
            {"output_type": "display_data", "data": {"image/png": "iVBOR" * 9000, "text/plain": ["<Figure>"]}},
            {"output_type": "stream", "name": "stdout", "text": [output]},
        ]
    return json.dumps({"cells": [cell], "metadata": {"language_info": {"name": "python"}}, "nbformat": 4})


def chatgpt(text):
    nodes = {
        "root": {"id": "root", "message": None, "parent": None, "children": ["a"]},
        "a": {"id": "a", "parent": "root", "message": {"author": {"role": "user"}, "content": {"parts": [text]}}},
    }
    return json.dumps([{"title": "Talk", "create_time": 1.0, "mapping": nodes, "current_node": "a", "id": "c1"}])


def claude(text):
    turns = [{"sender": "human", "text": text}, {"sender": "assistant", "content": [{"type": "text", "text": "Yes."}]}]
    return json.dumps([{"uuid": "u", "name": "Talk", "chat_messages": turns}])


def slack(text):
    return json.dumps([{"type": "message", "user": "U1", "ts": "1700000000.1", "text": text}])


def telegram(text):
    return json.dumps(
        {
            "name": "Chat",
            "type": "x",
            "messages": [{"type": "message", "date": "2026-03-02", "from": "A", "text": text}],
        }
    )


def chat(text):
    return json.dumps({"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "Yes."}]})


def pdf(text):
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer, name = PdfWriter(), NameObject
    page = writer.add_blank_page(300, 300)
    stream = DecodedStreamObject()
    stream.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode())
    page[name("/Contents")] = writer._add_object(stream)
    font = {name("/Type"): name("/Font"), name("/Subtype"): name("/Type1"), name("/BaseFont"): name("/Helvetica")}
    fonts = DictionaryObject({name("/F1"): DictionaryObject(font)})
    page[name("/Resources")] = DictionaryObject({name("/Font"): fonts})
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


OPENAPI = (
    "openapi: 3.0.0\ninfo: {{title: T, version: '1'}}\n"
    "paths:\n  /gates:\n    get:\n      summary: {}\n      responses: {{}}\n"
)
MAN = '.\\" a comment\n.TH GATE 1\n.SH NAME\ngate \\- opens\n.SH DESCRIPTION\n{}\n'

FILES = {
    "plain.txt": "{}",
    "server.log": "2026-03-02 10:00:00 INFO {}\n",
    "no_suffix": "{}",
    "notes.md": "# Notes\n\n{}\n",
    "yaml_front.md": "---\ntitle: Front\ntags: [a, b]\n---\n\n{}\n",
    "toml_front.md": '+++\ntitle = "Front"\ndate = 2026-03-02\n+++\n\n{}\n',
    "component.mdx": "# Page\n\n<Note>{}</Note>\n",
    "guide.rst": "Guide\n=====\n\n{}\n",
    "plan.org": "#+TITLE: Plan\n\n* TODO Task :home:\n{}\n",
    "book.adoc": "= Book\n\n== Chapter\n\n{}\n",
    "paper.tex": "\\documentclass{{article}}\\begin{{document}}\\section{{One}} {}\\end{{document}}",
    "letter.rtf": "{{\\rtf1\\ansi {}\\par}}",
    "gate.1": MAN,
    "gate.3.gz": lambda text: gzip.compress(MAN.format(text).encode()),
    "mdoc.8": ".Dd March 2, 2026\n.Dt GATE 8\n.Os\n.Sh NAME\n.Nm gate\n.Nd opens\n.Sh DESCRIPTION\n{}\n",
    "page.html": "<html><body><p>{}</p></body></html>",
    "page.xhtml": '<html xmlns="http://www.w3.org/1999/xhtml"><body><p>{}</p></body></html>',
    "data.xml": '<?xml version="1.0"?><root><part><name>{}</name></part></root>',
    "feed.rss": "<rss><channel><item><title>News</title><description>{}</description></item></channel></rss>",
    "feed.atom": '<feed xmlns="http://www.w3.org/2005/Atom"><entry><summary>{}</summary></entry></feed>',
    "outline.opml": '<opml><body><outline text="{}"/></body></opml>',
    "novel.fb2": "<FictionBook><body><section><p>{}</p></section></body></FictionBook>",
    "topic.dita": "<topic><title>T</title><body><p>{}</p></body></topic>",
    "paper.pdf": pdf,
    "report.docx": lambda text: docx(paragraph(text)),
    "inserted.docx": lambda text: docx(f'<w:p><w:ins w:id="1"><w:r><w:t>{text}</w:t></w:r></w:ins></w:p>'),
    "control.docx": lambda text: docx(f"<w:sdt><w:sdtContent>{paragraph(text)}</w:sdtContent></w:sdt>"),
    "macro.docm": lambda text: docx(paragraph(text)),
    "talk.pptx": pptx,
    "notes.pptx": lambda text: pptx("Title", notes=text),
    "table.xlsx": lambda text: xlsx(("name", "note"), ("a", text)),
    "sheet.xlsx": lambda text: xlsx((text,)),
    "table.ods": lambda text: ods(("name", "note"), ("a", text)),
    "letter.odt": odt,
    "talk.odp": odp,
    "flat.fodt": f"<office:document {ODF}><office:body><office:text><text:p>{{}}</text:p></office:text></office:body>"
    "</office:document>",
    "book.epub": epub,
    "plain.eml": eml,
    "quoted.eml": lambda text: eml(f"Größe: {text}", cte="quoted-printable"),
    "base64.eml": lambda text: eml(f"Größe: {text}", cte="base64"),
    "latin.eml": lambda text: eml(f"Größe: {text}", charset="iso-8859-1"),
    "html.eml": html_mail,
    "saved.mht": html_mail,
    "page.webarchive": lambda text: plistlib.dumps({"WebMainResource": {"WebResourceData": text.encode()}}),
    "inbox.mbox": mbox,
    "Inbox": mbox,
    "analysis.ipynb": lambda text: notebook("markdown", text),
    "code.ipynb": lambda text: notebook("code", f'print("{text}")'),
    "output.ipynb": lambda text: notebook("code", "plot()", output=text),
    "conversations.json": chatgpt,
    "claude.json": claude,
    "2026-03-02.json": slack,
    "result.json": telegram,
    "chat.json": chat,
    "api.yaml": OPENAPI,
    "api.json": lambda text: json.dumps(
        {"openapi": "3.1.0", "info": {"title": "T"}, "paths": {"/g": {"get": {"description": text}}}}
    ),
    "movie.srt": "1\n00:00:01,000 --> 00:00:02,000\n{}\n",
    "movie.vtt": "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Anna>{}</v>\n",
    "movie.ass": "[Script Info]\nScriptType: v4.00+\n\n[Events]\n"
    "Format: Layer, Start, End, Style, Name, MarginL, MarginR, "
    "MarginV, Effect, Text\nDialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{{\\i1}}{}\n",
    "table.csv": "name,note\na,{}\n",
    "table.tsv": "name\tnote\na\t{}\n",
    "rows.jsonl": '{{"id": 1, "text": "{}"}}\n',
    "rows.json": '[{{"text": "{}"}}]',
    "config.yaml": "key: 1\nnote: {}\n",
    "config.toml": 'note = "{}"\n',
    "config.ini": "[a]\nnote = {}\n",
    "module.py": 'def gate():\n    """{}"""\n',
    "script.js": "// {}\nlet a = 1\n",
    "query.sql": "-- {}\nselect 1;\n",
    "style.css": "/* {} */\na {{ color: red }}\n",
    "notes.txt.gz": lambda text: gzip.compress(text.encode()),
    "backup.gz": lambda text: gzip.compress(text.encode()),
    "picture.md": lambda text: f"![a](data:image/png;base64,{'iVBORw0KGgo' * 30_000})\n\n{text}\n",
}


def words():
    """Yield made-up words, which no other file contains."""
    for parts in product(("ba", "do", "ku", "li"), ("zem", "tor", "gax", "pil", "nuv"), ("qua", "rix", "sel", "mho")):
        yield "".join(parts)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return the words by file, a store of the folder with all files, and the report of reading it."""
    folder = tmp_path_factory.mktemp("kinds") / "general"
    folder.mkdir()
    said = dict(zip(FILES, words(), strict=False))
    for name, made in FILES.items():
        sentence = f"The {said[name]} gate opens at noon."
        content = made(sentence) if callable(made) else made.format(sentence)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with hs.open(":memory:", embedder="none") as store:
        report = sync(store, folder)
        yield said, store, report


def test_there_are_at_least_sixty_files_and_thirty_kinds():
    assert len(FILES) >= 60
    assert len({name.partition(".")[2] or name for name in FILES}) >= 30


@pytest.mark.parametrize("name", FILES)
def test_the_sentence_of_every_file_is_found_first(found, name):
    said, store, _ = found
    hits = store.search(f"{said[name]} gate", limit=3)
    assert hits
    assert f"/{name}" in hits[0].document_id
    assert said[name] in hits[0].text
    assert hits[0].metadata["path"].endswith(f"/{name}")


def test_no_file_fails_and_only_the_pictures_are_left_out(found):
    _, _, report = found
    assert report.failed == ()
    assert dict(report.skipped) == {}
    assert report.read == len(FILES)
    assert [(path.rpartition("/")[2], what) for path, what in report.notices] == [
        ("picture.md", "an embedded picture or other encoded data (330 kB) left out")
    ]
    assert report.documents.chunks < 2 * len(FILES)
