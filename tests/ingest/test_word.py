"""Word files: everything that Word prints is read, in document order, and nothing that was deleted."""

from __future__ import annotations

import io
import zipfile

import pytest

from hybridstore.ingest import Unreadable, read

W = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:v="urn:schemas-microsoft-com:vml"'
)
STRICT = W.replace(
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main", "http://purl.oclc.org/ooxml/wordprocessingml/main"
)
TYPES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
STYLES = """
<w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>
<w:style w:styleId="Own"><w:name w:val="Own"/><w:basedOn w:val="berschrift1"/></w:style>
<w:style w:styleId="Liste"><w:name w:val="List Bullet"/></w:style>
<w:style w:styleId="Kapitel"><w:name w:val="Kapitel"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
"""


def made(folder, body, *, names=W, **parts):
    parts = {"styles": STYLES, **parts}
    relations = "".join(
        f'<Relationship Id="{name}" Type="{TYPES}/{name.strip("12")}" Target="{name}.xml"/>' for name in parts
    )
    path = folder / "a.docx"
    with zipfile.ZipFile(path, "w") as archive:
        main = f'<Relationship Id="a" Type="{TYPES}/officeDocument" Target="word/document.xml"/>'
        archive.writestr("_rels/.rels", f"<Relationships>{main}</Relationships>")
        archive.writestr("word/_rels/document.xml.rels", f"<Relationships>{relations}</Relationships>")
        archive.writestr("word/document.xml", f"<w:document {names}><w:body>{body}</w:body></w:document>")
        for name, content in parts.items():
            archive.writestr(f"word/{name}.xml", f"<w:root {names}>{content}</w:root>")
    return path


def text_of(folder, body, **parts):
    (document,) = read(made(folder, body, **parts))
    return document.text


def r(text):
    return f"<w:r><w:t>{text}</w:t></w:r>"


def p(inner, style="", settings=""):
    style = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{style}{settings}</w:pPr>{inner}</w:p>"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (p(r("a ") + f'<w:ins w:author="x">{r("new ")}</w:ins>' + r("z")), "a new z"),
        (p(r("a") + "<w:del><w:r><w:delText>old</w:delText></w:r></w:del>" + r("z")), "az"),
        (p(f"<w:moveFrom>{r('gone')}</w:moveFrom><w:moveTo>{r('here')}</w:moveTo>"), "here"),
        (p(r("one "), settings="<w:rPr><w:del/></w:rPr>") + p(r("two")), "one two"),
        (f"<w:sdt><w:sdtContent>{p(r('block'))}</w:sdtContent></w:sdt>", "block"),
        (p(r("a ") + f"<w:sdt><w:sdtContent>{r('inline')}</w:sdtContent></w:sdt>"), "a inline"),
        (
            f"<w:sdt><w:sdtPr><w:showingPlcHdr/></w:sdtPr><w:sdtContent>{p(r('Click'))}</w:sdtContent></w:sdt>{p(r('a'))}",
            "a",
        ),
        (f"<w:ins><w:customXml>{p(r('wrapped'))}</w:customXml></w:ins>", "wrapped"),
        (p(f"<w:smartTag><w:hyperlink>{r('link')}</w:hyperlink></w:smartTag>"), "link"),
        (p(f'<w:fldSimple w:instr="DATE">{r("today")}</w:fldSimple>'), "today"),
        (p(f"<w:r><w:fldChar/><w:instrText>REF x</w:instrText></w:r>{r('result')}"), "result"),
        (p("<w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>" + r("seen")), "seen"),
        (p('<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>seen</w:t></w:r>'), "seen"),
        (p("<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/><w:t>d</w:t></w:r>"), "a b\nc-d"),
        (p("<w:r><w:ruby><w:rt>" + r("kana") + "</w:rt><w:rubyBase>" + r("字") + "</w:rubyBase></w:ruby></w:r>"), "字"),
        (p(r("One"), "berschrift1") + p(r("Two"), "Kapitel") + p(r("Three"), "Own"), "# One\n\n## Two\n\n# Three"),
        (
            p(r("x"), "Liste") + p(r("y"), settings='<w:numPr><w:ilvl w:val="1"/><w:numId w:val="3"/></w:numPr>'),
            "- x\n  - y",
        ),
    ],
)
def test_a_paragraph_is_read_as_word_prints_it(tmp_path, body, text):
    assert text_of(tmp_path, body) == text


def cells(*texts):
    return "<w:tr>" + "".join(f"<w:tc>{p(r(text))}</w:tc>" for text in texts) + "</w:tr>"


def test_tables_are_read_with_content_controls_nested_tables_and_without_deleted_rows(tmp_path):
    nested = f"<w:tbl>{cells('in', 'ner')}</w:tbl>"
    body = (
        f"<w:tbl>{cells('a', 'b')}"
        f"<w:sdt><w:sdtContent>{cells('row', 'control')}</w:sdtContent></w:sdt>"
        f"<w:tr><w:sdt><w:sdtContent><w:tc>{p(r('cell'))}</w:tc></w:sdtContent></w:sdt>"
        f"<w:tc>{p(r('of'))}{nested}{p(r('outer'))}</w:tc></w:tr>"
        f"<w:tr><w:trPr><w:del/></w:trPr><w:tc>{p(r('deleted'))}</w:tc><w:tc/></w:tr></w:tbl>"
    )
    assert text_of(tmp_path, body) == "| a | b |\n| row | control |\n| cell | of in, ner outer |"


def test_a_frame_of_one_cell_is_read_as_what_it_contains(tmp_path):
    body = f"<w:tbl><w:tr><w:tc>{p(r('Head'), 'berschrift1')}{p(r('text'))}</w:tc></w:tr></w:tbl>"
    assert text_of(tmp_path, body) == "# Head\n\ntext"


def test_notes_comments_and_text_boxes_follow_their_paragraph(tmp_path):
    box = f"<w:txbxContent>{p(r('in a box'))}</w:txbxContent>"
    both = (
        f"<mc:AlternateContent><mc:Choice><w:drawing><wp:inline><wp:docPr descr='A photo'/><wps:txbx>{box}</wps:txbx>"
        f"</wp:inline></w:drawing></mc:Choice><mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback>"
        "</mc:AlternateContent>"
    )
    marks = "".join(f'<w:r><w:{kind}Reference w:id="1"/></w:r>' for kind in ("footnote", "endnote", "comment"))
    text = text_of(
        tmp_path,
        p(r("Text") + marks + f"<w:r>{both}</w:r>") + p(r("After")),
        footnotes=f'<w:footnote w:type="separator" w:id="0">{p(r("---"))}</w:footnote>'
        f'<w:footnote w:id="1">{p(r("the foot"))}</w:footnote>',
        endnotes=f'<w:endnote w:id="1">{p(r("the end"))}</w:endnote>',
        comments=f'<w:comment w:id="1" w:author="Anna">{p(r("really?"))}</w:comment>',
        header1=p(r("Confidential")),
        header2=p(r("Confidential")),
        footer1=p(r("Page 1")),
    )
    assert text.split("\n\n") == [
        "Text A photo",
        "Footnote: the foot",
        "Endnote: the end",
        "Comment by Anna: really?",
        "in a box",
        "After",
        "Header: Confidential",
        "Footer: Page 1",
    ]


def test_an_old_text_box_is_read_too(tmp_path):
    box = f"<v:textbox><w:txbxContent>{p(r('old box'))}</w:txbxContent></v:textbox>"
    body = p(f"<w:r><w:pict><v:shape>{box}</v:shape></w:pict></w:r>")
    assert text_of(tmp_path, body) == "old box"


def m(name, inner=""):
    return f"<m:{name}>{inner}</m:{name}>"


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        (m("f", m("num", m("r", m("t", "a+b"))) + m("den", m("r", m("t", "c")))), "(a+b)/c"),
        (m("sSup", m("e", m("t", "x")) + m("sup", m("t", "2"))), "x^2"),
        (m("sSub", m("e", m("t", "a")) + m("sub", m("t", "i,j"))), "a_(i,j)"),
        (m("rad", m("deg") + m("e", m("t", "x"))), "√x"),
        (
            m(
                "nary",
                '<m:naryPr><m:chr m:val="∑"/></m:naryPr>'
                + m("sub", m("t", "i"))
                + m("sup", m("t", "n"))
                + m("e", m("t", "i")),
            ),
            "∑_i^n i",
        ),
        (m("d", m("e", m("t", "a")) + m("e", m("t", "b"))), "(a, b)"),
        (m("func", m("fName", m("t", "sin")) + m("e", m("t", "x"))), "sin x"),
    ],
)
def test_an_equation_is_read_on_one_line(tmp_path, inner, text):
    assert text_of(tmp_path, p(r("So ") + m("oMath", inner) + r(" holds."))).split() == ["So", *text.split(), "holds."]


def test_the_strict_form_of_the_format_is_read(tmp_path):
    assert text_of(tmp_path, p(r("strict")), names=STRICT) == "strict"


def test_equations_nested_deeply_take_no_time(tmp_path):
    inner = m("t", "x")
    for _ in range(60):
        inner = m("sSup", m("e", inner) + m("sup", m("t", "2")))
    assert text_of(tmp_path, p(m("oMath", inner))).count("^2") == 60


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "is encrypted; save a copy"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old", "format of an older program; save it as docx"),
        (b"PK\x03\x04 rubbish", "is not a valid docx file, or damaged"),
        (b"", "is empty"),
        (None, "is not a valid docx file, or damaged"),
    ],
)
def test_a_file_that_is_not_a_readable_word_file_is_refused_in_a_sentence(tmp_path, content, reason):
    path = made(tmp_path, p(r("text " * 1000)))
    path.write_bytes(path.read_bytes()[:700] if content is None else content)
    with pytest.raises(Unreadable, match=reason):
        list(read(path))


def test_another_archive_and_a_bomb_are_refused(tmp_path):
    path = tmp_path / "a.docx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(Unreadable, match="not a Word file"):
        list(read(path))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        main = f'<Relationship Id="a" Type="{TYPES}/officeDocument" Target="word/document.xml"/>'
        archive.writestr("_rels/.rels", f"<Relationships>{main}</Relationships>")
        with archive.open("word/document.xml", "w", force_zip64=True) as member:
            for _ in range(600):
                member.write(b" " * (1 << 20))
    path.write_bytes(out.getvalue())
    with pytest.raises(Unreadable, match="larger than 512 MiB, after unpacking; raise the limit by max_file_size"):
        list(read(path))


@pytest.mark.parametrize(
    "entities",
    [
        '<!ENTITY e SYSTEM "file:///etc/passwd">',
        '<!ENTITY a "aaaaaaaaaa">'
        + "".join(f'<!ENTITY {b} "{f"&{a};" * 50}">' for a, b in zip("abcd", "bcde", strict=True)),
    ],
)
def test_entities_load_no_files_and_do_not_explode(tmp_path, entities):
    path = made(tmp_path, p(r("text")))
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    body = f"<!DOCTYPE x [{entities}]><w:document {W}><w:body>{p(r('&e;'))}</w:body></w:document>"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (parts | {"word/document.xml": body.encode()}).items():
            archive.writestr(name, content)
    with pytest.raises(Unreadable, match="not a valid docx"):
        list(read(path))
