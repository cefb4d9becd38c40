"""HTML, reStructuredText, Word and PDF become text that keeps its structure."""

from __future__ import annotations

import io

import pytest

from hybridstore.ingest import Unreadable, read
from hybridstore.text.chunking import chunk


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def only(path, **options):
    (document,) = read(path, **options)
    return document


def test_html_becomes_markdown(tmp_path):
    page = """<!DOCTYPE html><html><head><title>The  Page</title><style>p {}</style></head><body>
    <nav><a href="/">Home</a></nav><main><h1>First<a class="headerlink" href="#x">¶</a></h1>
    <p>Some <b>bold</b>
    words<br>and a line.</p><!-- no --><script>no()</script>
    <ul><li>one<ul><li>inner</li></ul></li><li><p>two</p></li></ul>
    <h2>Second</h2><pre><code># code
x = "```"</code></pre>
    <table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table></main></body></html>"""
    document = only(write(tmp_path, "a.html", page))
    assert document.title == "The Page"
    assert document.text == (
        "# First\n\nSome bold words\nand a line.\n\n- one\n  - inner\n- two\n\n## Second\n\n"
        '````\n# code\nx = "```"\n````\n\n| a | b |\n| 1 | 2 |'
    )
    headings = {one.heading for one in chunk(document.text, format=document.format, max_tokens=12)}
    assert headings == {"First", "First > Second"}


def test_html_is_decoded_by_its_meta_charset(tmp_path):
    page = '<meta charset="iso-8859-2"><p>Łódź</p>'.encode("iso-8859-2")
    assert only(write(tmp_path, "a.html", page)).text == "Łódź"


def test_html_nested_deeper_than_the_call_stack_is_read(tmp_path):
    assert only(write(tmp_path, "a.html", "<div>" * 3000 + "deep" + "</div>" * 3000)).text == "deep"


RST = """
Guide
=====

Text with a :func:`~os.path.join` and *emphasis*.

Install
-------

- one
- two

::

    # code

.. function:: frobnicate(x)
   :noindex:

   Frobnicates :class:`x <Thing>`.

.. include:: /etc/passwd

.. raw:: html

   <b>raw</b>

=====  =====
A      B
=====  =====
1      2
=====  =====
"""


def test_restructuredtext_becomes_markdown_and_keeps_unknown_directives(tmp_path, capfd):
    document = only(write(tmp_path, "a.rst", RST))
    assert document.title == "Guide"
    for part in (
        "# Guide\n\nText with a os.path.join and emphasis.\n\n## Install\n\n- one\n- two\n\n```\n# code\n```",
        "frobnicate(x)\n\nFrobnicates x.",
        "| A | B |\n| 1 | 2 |",
    ):
        assert part in document.text
    assert capfd.readouterr() == ("", "")


def test_restructuredtext_does_not_include_other_files(tmp_path):
    write(tmp_path, "secret.txt", "the secret")
    document = only(
        write(tmp_path, "a.rst", "Text.\n\n.. include:: secret.txt\n\n.. csv-table::\n   :file: secret.txt\n")
    )
    assert "the secret" not in document.text


def test_restructuredtext_that_docutils_cannot_parse_is_plain_text(tmp_path, monkeypatch):
    import docutils.core

    def choke(*_, **__):
        raise RuntimeError("choked")

    monkeypatch.setattr(docutils.core, "publish_doctree", choke)
    document = only(write(tmp_path, "a.rst", "Guide\n=====\n"))
    assert (document.text, document.format) == ("Guide\n=====\n", "plain")


def test_word_files_become_markdown(tmp_path):
    import docx

    made = docx.Document()
    made.core_properties.title, made.core_properties.author = "The Report", "An Author"
    made.add_heading("Summary", 1)
    made.add_paragraph("Some words.")
    made.add_paragraph("one", style="List Bullet")
    made.add_paragraph("two", style="List Bullet")
    made.add_heading("Detail", 2)
    table = made.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "a", "b"
    made.save(str(tmp_path / "a.docx"))
    document = only(tmp_path / "a.docx")
    assert document.text == "# Summary\n\nSome words.\n\n- one\n- two\n\n## Detail\n\n| a | b |"
    assert (document.title, document.format, document.metadata["author"]) == (
        "The Report",
        "markdown",
        "An Author",
    )


def pdf(*pages, title="", password=None):
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    name = NameObject
    font = DictionaryObject(
        {name("/Type"): name("/Font"), name("/Subtype"): name("/Type1"), name("/BaseFont"): name("/Helvetica")}
    )
    for text in pages:
        page = writer.add_blank_page(300, 300)
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode() if text else b"")
        page[name("/Contents")] = writer._add_object(stream)
        page[name("/Resources")] = DictionaryObject({name("/Font"): DictionaryObject({name("/F1"): font})})
    if title:
        writer.add_metadata({"/Title": title})
    if password is not None:
        writer.encrypt(password, owner_password="owner", algorithm="RC4-128")  # noqa: S106 - a made-up file's
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_a_pdf_has_its_pages_text_and_title(tmp_path):
    document = only(write(tmp_path, "a.pdf", pdf("First page.", "Second page.", title="The Paper")))
    assert document.text == "First page.\n\n\fSecond page."
    assert (document.title, document.metadata["pages"]) == ("The Paper", 2)


def test_an_encrypted_pdf_is_unreadable_but_one_locked_only_against_printing_is_read(tmp_path):
    with pytest.raises(Unreadable, match="is encrypted"):
        only(write(tmp_path, "a.pdf", pdf("Secret.", password="secret")))  # noqa: S106 - a made-up file's
    assert only(write(tmp_path, "b.pdf", pdf("Open.", password=""))).text == "Open."


def test_a_pdf_of_scanned_pages_is_reported(tmp_path):
    with pytest.raises(Unreadable, match="scanned"):
        only(write(tmp_path, "a.pdf", pdf("", "")))


def test_rst_that_would_take_minutes_is_plain_text(tmp_path):
    laughs = "|a9|\n\n" + "".join(f".. |a{n + 1}| replace:: {f'|a{n}| ' * 20}\n" for n in range(9))
    for hard in (laughs, "*a " * 30_000):
        document = only(write(tmp_path, "a.rst", hard))
        assert (document.format, document.text) == ("plain", hard)
