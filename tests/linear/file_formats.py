"""Formats whose text is inside something: a zip container, a mail, JSON; each as the file that has a text in it."""

import io
import json
import zipfile
from xml.sax.saxutils import escape

from patterns import GENERAL, PUNCTUATION, SPACES, Pattern, indented, nested, numbered, run
from patterns import OWN as TEXTS

_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
_SLIDES = "http://schemas.openxmlformats.org/presentationml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_OPEN = "urn:oasis:names:tc:opendocument:xmlns"
_NAMES = (
    f'xmlns:w="{_WORD}" xmlns:a="{_DRAWING}" xmlns:p="{_SLIDES}" xmlns:r="{_RELATIONS}" '
    f'xmlns:office="{_OPEN}:office:1.0" xmlns:text="{_OPEN}:text:1.0" xmlns:table="{_OPEN}:table:1.0" '
    f'xmlns:draw="{_OPEN}:drawing:1.0" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
)


def _zip(parts: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as target:
        for name, content in parts.items():
            target.writestr(name, content)
    return made.getvalue()


def _relations(*relations: tuple[str, str]) -> str:
    listed = "".join(
        f'<Relationship Id="r{number}" Type="{_RELATIONS}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(relations)
    )
    return f'<Relationships xmlns="{_PACKAGE}">{listed}</Relationships>'


def _xml(name: str, content: str) -> str:
    return f"<{name} {_NAMES}>{content}</{name}>"


def word(text: str) -> bytes:
    """Return a Word file with this XML in its body."""
    return _zip(
        {
            "_rels/.rels": _relations(("officeDocument", "d.xml")),
            "d.xml": _xml("w:document", f"<w:body>{text}</w:body>"),
        }
    )


def word_styles(text: str) -> bytes:
    return _zip(
        {
            "_rels/.rels": _relations(("officeDocument", "d.xml")),
            "_rels/d.xml.rels": _relations(("styles", "s.xml")),
            "s.xml": _xml("w:styles", text),
            "d.xml": _xml("w:document", "<w:body><w:p><w:r><w:t>a</w:t></w:r></w:p></w:body>"),
        }
    )


def slide(text: str) -> bytes:
    """Return a presentation with this XML in its only slide."""
    return _zip(
        {
            "_rels/.rels": _relations(("officeDocument", "d.xml")),
            "_rels/d.xml.rels": _relations(("slide", "s.xml")),
            "d.xml": _xml("p:presentation", '<p:sldIdLst><p:sldId id="1" r:id="r0"/></p:sldIdLst>'),
            "s.xml": _xml("p:sld", f"<p:cSld><p:spTree>{text}</p:spTree></p:cSld>"),
        }
    )


def slides(text: str) -> bytes:
    """Return a presentation that shows one slide as often as the text is long; the text is in it."""
    ids = '<p:sldId id="1" r:id="r0"/>' * (len(text) // 40)
    return _zip(
        {
            "_rels/.rels": _relations(("officeDocument", "d.xml")),
            "_rels/d.xml.rels": _relations(("slide", "s.xml")),
            "d.xml": _xml("p:presentation", f"<p:sldIdLst>{ids}</p:sldIdLst>"),
            "s.xml": _xml("p:sld", f"<p:sp><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:sp>"),
        }
    )


def open_text(text: str) -> bytes:
    return _zip({"content.xml": _xml("office:document-content", f"<office:body>{text}</office:body>")})


def _epub(page: str, spine: str) -> bytes:
    return _zip(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container><rootfile full-path="b.opf"/></container>',
            "b.opf": f'<package><item id="a" href="a.html" media-type="text/html"/>{spine}</package>',
            "a.html": page,
        }
    )


def epub(text: str) -> bytes:
    return _epub(f"<p>{text}", '<itemref idref="a"/>')


def epub_spine(text: str) -> bytes:
    """Return a book that has one chapter as often as the text is long."""
    return _epub(f"<p>{text}", '<itemref idref="a"/>' * (len(text) // 20))


def sheet(text: str) -> bytes:
    """Return a spreadsheet with a row for each line, whose cells bars divide."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    kept = "".join(sign for sign in text if sign.isprintable() or sign == "\n")
    rows = ""
    for line in kept.split("\n"):
        cells = [f'<c t="inlineStr"><is><t>{escape(cell)}</t></is></c>' for cell in line.split("|")]
        rows += f"<row>{''.join(cells)}</row>"
    return _zip(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": _relations(("officeDocument", "xl/workbook.xml")),
            "xl/_rels/workbook.xml.rels": _relations(("worksheet", "worksheets/s.xml")),
            "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{_RELATIONS}"><sheets><sheet name="a" sheetId="1" '
            'r:id="r0"/></sheets></workbook>',
            "xl/worksheets/s.xml": f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>',
        }
    )


def mail(text: str) -> bytes:
    """Return a message of this text, with the headers that it begins with."""
    headed = text.startswith(("Content-", "Subject:", "To:", "Date:", "A:"))
    return b"From: <a@b>\nSubject: a\n" + (b"" if headed else b"\n") + text.encode()


def mailbox(text: str) -> bytes:
    return b"From a@b Mon Jan 1\n" + mail(text)


def rtf(text: str) -> bytes:
    return b"{\\rtf1\\ansi " + text.encode("ascii", "ignore") + b"}"


def latex(text: str) -> bytes:
    return b"\\begin{document}\n" + text.encode() + b"\n\\end{document}"


def captions(text: str) -> bytes:
    """Return WebVTT of cues as SubRip has them."""
    return b"WEBVTT\n\n" + text.replace(",000", ".000").encode()


def openapi(text: str) -> bytes:
    return b"openapi: 3.0.0\ninfo:\n  title: a\n" + text.encode()


def notebook(text: str) -> bytes:
    cells = [
        {"cell_type": "code", "source": text, "outputs": [{"output_type": "stream", "text": text}]},
        *({"cell_type": "markdown", "source": line} for line in text.split("\n")),
    ]
    return json.dumps({"cells": cells, "metadata": {}}).encode()


def chat(text: str) -> bytes:
    """Return an export of ChatGPT with a message for each line."""
    lines = text.split("\n")
    mapping = {
        str(number): {"parent": str(number - 1), "message": {"author": {"role": "user"}, "content": {"parts": [line]}}}
        for number, line in enumerate(lines)
    }
    return json.dumps(
        [{"title": text, "create_time": 1, "mapping": mapping, "current_node": str(len(lines) - 1)}]
    ).encode()


def slack(text: str) -> bytes:
    return json.dumps(
        [{"type": "message", "user": "a", "ts": "1.0", "text": line} for line in text.split("\n")]
    ).encode()


FORMATS = {
    "docx": word,
    "docx styles": word_styles,
    "pptx": slide,
    "pptx slides": slides,
    "odt": open_text,
    "epub": epub,
    "epub spine": epub_spine,
    "xlsx": sheet,
    "eml": mail,
    "mbox": mailbox,
    "rtf": rtf,
    "tex": latex,
    "yaml": openapi,
    "ipynb": notebook,
    "json chat": chat,
    "json slack": slack,
    "vtt": captions,
    **dict.fromkeys(("org", "adoc", "1", "srt", "ass", "sub", "xml"), lambda text: text.encode()),
}
"""Makes a file of a text, by suffix and, after a space, what is special."""


def _tags(*names: str, inner: str = "") -> dict[str, Pattern]:
    """Return elements within each other as deep as libxml2 reads, and many beside each other."""
    opening, closing = "".join(f"<{name}>" for name in names), "".join(f"</{name.split()[0]}>" for name in names[::-1])
    deep = opening * (200 // len(names)) + inner + closing * (200 // len(names))
    return {
        f"many {opening}": run(opening + inner + closing),
        f"nested {opening}": nested(opening, closing, inner),
        f"deep {opening}": run(deep),
        f"open {opening}": run(opening),
    }


def _texts(before: str, after: str) -> dict[str, Pattern]:
    """Return long texts, and many short ones, within an element."""
    signs = {"a": "a", "spaces": "a  ", "lines": "a\n", "hash": "# ", "bar": "|", "star": "*", "entity": "&amp;"}
    return {f"{name} in {before}": run(sign, before, after) for name, sign in signs.items()}


_P = "<w:p><w:r><w:t>a</w:t></w:r></w:p>"
_ODF = "<text:p>a</text:p>"
_SHAPE = "<a:p><a:r><a:t>a</a:t></a:r></a:p>"
_WORD_PATTERNS = {
    **_tags("w:p", "w:r"),
    **_tags("w:tbl", "w:tr", "w:tc", inner=_P),
    **_tags("w:tbl", "w:tr", "w:tc", "w:p"),
    **_tags("w:tr"),
    **_tags("w:sdt", "w:sdtContent", inner=_P),
    **_tags("mc:AlternateContent", "mc:Choice"),
    **_tags("w:p", "w:r", "w:drawing", "w:txbxContent", inner=_P),
    **_tags("w:p", "w:r", "w:pict", inner=_P),
    **_tags("m:oMath", "m:f", "m:num", inner="<m:t>a</m:t>"),
    **_tags("m:oMath", "m:nary", "m:e", inner="<m:t>a</m:t>"),
    **_tags("w:ins", inner=_P),
    **_texts("<w:p><w:r><w:t>", "</w:t></w:r></w:p>"),
    "deleted paragraph ends": run("<w:p><w:pPr><w:rPr><w:del/></w:rPr></w:pPr><w:r><w:t>a</w:t></w:r></w:p>"),
    "items": run(f'<w:p><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr>{_P[5:]}'),
    "deep items": run(f'<w:p><w:pPr><w:numPr><w:ilvl w:val="9999"/><w:numId w:val="1"/></w:numPr></w:pPr>{_P[5:]}'),
    "cells of a row": lambda size: f"<w:tbl><w:tr>{f'<w:tc>{_P}</w:tc>' * (size // 50)}</w:tr></w:tbl>",
    "runs": lambda size: f"<w:p>{'<w:r><w:t>a</w:t></w:r>' * (size // 24)}</w:p>",
    "comments": run("<!-- a -->"),
}
_STYLE_PATTERNS = {
    "chain of styles": numbered('<w:style w:styleId="@"><w:basedOn w:val="@0"/></w:style>'),
    "chained styles": lambda size: "".join(
        f'<w:style w:styleId="{n}"><w:basedOn w:val="{n + 1}"/></w:style>' for n in range(size // 60)
    ),
}
_SLIDE_PATTERNS = {
    **_tags("p:sp", inner=_SHAPE),
    **_tags("a:p"),
    **_tags("p:grpSp", inner=f"<p:sp>{_SHAPE}</p:sp>"),
    **_tags("p:graphicFrame", "a:tbl", "a:tr", "a:tc", inner=_SHAPE),
    **_tags("a:p", "a:r", inner="<a:t>a</a:t>"),
    **_texts("<p:sp><a:p><a:r><a:t>", "</a:t></a:r></a:p></p:sp>"),
    "deep items": run('<p:sp><a:p><a:pPr lvl="9999"/><a:r><a:t>a</a:t></a:r></a:p></p:sp>'),
}
_OPEN_PATTERNS = {
    **_tags("text:p"),
    **_tags("text:span", inner="a"),
    **_tags("text:list", "text:list-item", inner=_ODF),
    **_tags("table:table", "table:table-row", "table:table-cell", inner=_ODF),
    **_tags("text:p", "draw:frame", "draw:text-box", inner=_ODF),
    **_tags("text:p", "text:note", inner=_ODF),
    **_tags("text:section", inner=_ODF),
    **_texts("<text:p>", "</text:p>"),
    "spaces": run('<text:s text:c="1000"/>', "<text:p>a", "b</text:p>"),
}
_MAIL_PATTERNS = {
    "header lines": run("A: b\n", "", "\na"),
    "parts": run("--a\n\nb\n", "Content-Type: multipart/mixed; boundary=a\n\n"),
    "boundaries": run("--a\n", "Content-Type: multipart/mixed; boundary=a\n\n"),
    "nested parts": lambda size: "".join(
        f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(size // 60)
    ),
    "nested messages": run("Content-Type: message/rfc822\n\n"),
    "parameters": run(";a=b", "Content-Type: text/plain", "\n\na"),
    "continued parameters": lambda size: (
        "Content-Type: text/plain" + "".join(f"; a*{n}=b" for n in range(size // 9)) + "\n\na"
    ),
    "quotes in parameters": run('"', "Content-Type: text/plain; a=", "\n\na"),
    "semicolons in parameters": run(";", "Content-Type: text/plain", "\n\na"),
    "encoded words": run("=?utf-8?q?a?= ", "Subject: ", "\n\na"),
    "half encoded words": run("=?utf-8?q?", "Subject: ", "\n\na"),
    "folded subject": run("a\n ", "Subject: ", "\n\na"),
    "addresses": run("a@b, ", "To: ", "\n\na"),
    "comments in a date": run("(", "Date: ", "\n\na"),
    "date of digits": run("1", "Date: ", "\n\na"),
    "file name": run("=?", 'Content-Disposition: attachment; filename="', '"\n\na'),
    "quoted-printable": run("=41", "Content-Transfer-Encoding: quoted-printable\n\n"),
    "soft line ends": run("=\n", "Content-Transfer-Encoding: quoted-printable\n\n"),
    "base64": run("YWFh", "Content-Transfer-Encoding: base64\n\n"),
    "broken base64": run("=", "Content-Transfer-Encoding: base64\n\n"),
    "uuencode": run("M" * 61 + "\n", "Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n"),
    "messages": run("\nFrom a@b\nSubject: a\n\nb\n"),
    "quoted From": run(">", "", "From "),
    "lines of quoted From": run(">From \n"),
    "From": run("\nFrom a"),
}

_LATEX_PATTERNS = {
    "groups": nested("{", "}"),
    "closed groups": run("{}"),
    "closing": run("}"),
    **{f"run of {name}": run(name) for name in ("\\", "\\\\", "\\%", "%", "%\n", "\\\\[", "\\'", "\\'{", "$", "\\$")},
    **{
        f"run of \\{name}": run(f"\\{name}")
        for name in (
            *("title{", "title[", "title ", "author{a}", "begin", "begin{a}", "begin{verbatim}", "end{a}", "item["),
            *("section{a}", "section{", "section[a]", "frac{a}{b}", "frac{", "sqrt[", "sqrt{", "cite{a}", "alpha "),
            *("newcommand", "newcommand{a}{", "newcommand[a]", "newcommand ", "multicolumn{1}{c}{", "footnote{"),
            *("verb|a|", "verb|", "u ", "a", "left(", "begin{tabular}{", "begin{tabular}[", "href{a}{b}"),
        )
    },
    "endless command": run("a", "\\"),
    "nested fractions": nested("\\frac{", "}{b}"),
    "nested roots": nested("\\sqrt{", "}"),
    "nested environments": nested("\\begin{a}", "\\end{a}"),
    "nested sections": nested("\\section{", "}"),
    "verbatims": run("\\begin{verbatim}a\\end{verbatim}"),
    "spaces after a command": run(" ", "\\title"),
    "spaces of arguments": run("[a] ", "\\newcommand"),
    "blank lines": run("\n \n", "a"),
    "long option": run("a", "\\section["),
    "options of braces": run("{a}", "\\section["),
    "table": run("a & b \\\\\n"),
    "superscripts": run("^{a"),
    "subscripts": run("_a"),
}
_MANUAL_PATTERNS = {
    **{
        f"lines of {line}": run(f"{line}\n")
        for line in (
            *(".SH a", ".TP", ".IP a 2", ".nf", ".fi", ".B a", ".BR a (1)", ".de a", "..", ".Bl", ".It Fl a", ".Nm"),
            *(".Op Fl a", ".Xr a 1", ".so a", ".RS", ".", '.\\"', "'"),
        )
    },
    **{
        f"line of {mark}": run(mark, ".B ")
        for mark in (
            '"',
            '" ',
            '"a" ',
            "\\",
            "\\f",
            "\\fB",
            "\\[",
            "\\(",
            "\\*[",
            "\\s[",
            "\\h'",
            '\\"',
            "a ",
            "\\ ",
            "Op ",
        )
    },
    **{f"text of {mark}": run(mark) for mark in ("\\", "\\fB", "\\f[", "\\[", "\\(", "\\*[", "\\h'", '\\"', "\\s[")},
    **{
        f"mdoc {macro}": run(f"{macro} ", ".Op ")
        for macro in ("Op", "Fl", "Nm", "Xr", "It", "Aq", "Dq", "Oo", "a", ".", "Ar a")
    },
    "option of pieces": run("Xr a 1 ", ".It "),
    "spaces": run(" ", ".", "a"),
    "title": run('"a', ".TH "),
}
_MARKUP_PATTERNS = {
    "org heading of spaces": run(" ", "* a", "b"),
    "org heading of spaced colons": run(" :", "* a", "b"),
    "org heading of tags": run(" :a:", "* a", "b"),
    "org heading of one tag": run(":a", "* a ", "b"),
    "org stars": run("*", "", " a"),
    "org headings": run("* TODO [#A] a :b:\n"),
    **{
        f"run of {mark}": run(mark)
        for mark in (
            *(
                "[[",
                "[[a",
                "[[a]",
                "[[a][",
                "[[a][b]]",
                "]]",
                "#+a:",
                "#+a[",
                "<<",
                "<<a,",
                "<<a,b>>",
                "link:",
                "http://",
            ),
            *("link:a[", "link:a[b]", "image::", "xref:a", "https://a", "[source,", "//", "mailto:"),
        )
    },
    **{
        f"lines of {line}": run(f"{line}\n")
        for line in (
            "#+begin_src",
            "#+end_src",
            ":a:",
            ":END:",
            "#+a: b",
            "----",
            "====",
            "= a",
            ":a: b",
            "[a]",
            "|===",
            "--",
        )
    },
    "source and words": run("a", "[source,", "b"),
    "source and spaces": run(" ", "[source,", "b"),
    "source and brackets": run("]", "[source,a", "b"),
    "attribute of spaces": run(" ", ":a:", "b"),
    "attribute name": run("-", ":", "b"),
    "keyword": run("a", "#+", " b"),
    "keyword bracket": run("[", "#+a", " b"),
    "delimiter": run("=", "", "b"),
    "delimiter and spaces": run(" ", "====", "b"),
}
_RTF_PATTERNS = {
    "groups": nested("{", "}"),
    "open groups": run("{"),
    "closing": run("}"),
    **{
        f"run of {mark}": run(mark)
        for mark in (
            *(
                "\\",
                "\\par ",
                "\\b ",
                "\\'",
                "\\'e9",
                "\\u8364?",
                "\\u",
                "\\f0",
                "{\\f0",
                "\\f0\\fcharset0",
                "\\fcharset",
            ),
            *(
                "{\\fonttbl",
                "{\\f0\\fcharset0 a;}",
                "{\\f0\\fnil\\fcharset0 a;",
                "\\bin9",
                "{\\*\\a",
                "{\\*",
                "{\\pict",
            ),
            *(
                "\\cell",
                "\\row",
                "\\field",
                "{\\field{\\fldinst HYPERLINK",
                '{\\field{\\*\\fldinst{HYPERLINK "a"}}{\\fldrslt{b}}}',
            ),
            *(
                "{\\field{\\*\\fldinst{HYPERLINK",
                'HYPERLINK "',
                "\\fldrslt",
                "\\ansicpg1252",
                "\\uc1",
                "{\\title ",
                "\n",
                "\\a-",
                "\\line",
            ),
            *(
                "{\\fonttbl{\\f0",
                "{\\upr",
                "\\~",
                "\\_",
                "{\\footnote a}",
                "{\\header a}",
                "\\a9",
                "\\aaaaaaaaaaaaaaaaaaaaaaaaaaa",
            ),
        )
    },
    "fonts": numbered("{\\f@\\fnil\\fcharset0 a;}"),
    "table of fonts unclosed": lambda size: "{\\fonttbl" + "".join(f"{{\\f{n}\\fcharset0 a" for n in range(size // 19)),
    "table of one font unclosed": run("{\\f0\\fcharset0 a", "{\\fonttbl"),
    "table of fonts without charsets": run("{\\f0 a", "{\\fonttbl"),
    "table of fonts of lines": run("{\\f0\n\\fcharset0 a\n", "{\\fonttbl"),
    "endless font": run("a", "{\\f0\\fcharset0 "),
    "fonts unclosed": numbered("{\\f@\\fnil\\fcharset0 a"),
    "word": run("a", "\\"),
    "number": run("1", "\\a"),
    "picture": run("0f", "{\\pict "),
}
_TIME = "1\n00:00:01,000 --> 00:00:02,000\n"
_SUBTITLE_PATTERNS = {
    "cues": run(f"{_TIME}a\n\n"),
    "cues of a minute": lambda size: "".join(
        f"{n}\n{n // 60 % 100:02}:{n % 60:02}:01,000 --> {n // 60 % 100:02}:{n % 60:02}:02,000\na{n}\n\n"
        for n in range(size // 40)
    ),
    **{
        f"cue of {mark}": run(mark, _TIME)
        for mark in (
            "<",
            "<v",
            "<v ",
            "<v.a",
            "</",
            "<a",
            "<a ",
            "<i>",
            "{",
            "{\\",
            "{\\an8}",
            "}",
            "\\N",
            "&",
            "&#",
            "\n",
            "a\n",
        )
    },
    "voice of spaces": run(" ", _TIME + "<v"),
    "voice of dots": run(".", _TIME + "<v"),
    "times": run("00:00:01,000 --> 00:00:02,000\n"),
    "arrows": run("-->"),
    "digits": run("1", "", " --> "),
    "colons": run("00:", "", " --> "),
    "events": run(
        "Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,a\n",
        "[Script Info]\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n",
    ),
    "event of braces": run("{\\b1}", "[Script Info]\n[Events]\nDialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,"),
    "event of open braces": run("{", "[Script Info]\n[Events]\nDialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,"),
    "event of commas": run(",", "[Script Info]\n[Events]\nDialogue: 0,0:00:01.00,0:00:02.00"),
    "styles": numbered("Style: a@,b,1\n"),
    "sections": run("[a]\n", "[Script Info]\n"),
    "fonts": run("fontname: a\n", "[Script Info]\n[Fonts]\n"),
    "frames": run("{1}{2}a\n"),
    "frames of braces": run("{1}", "{1}{2}"),
    "frames of bars": run("|", "{1}{2}"),
}
_XML_PATTERNS = {
    **{f"{name} ": (lambda size, made=made: f"<a>{made(size)}</a>") for name, made in {
        **_tags("a"), **_tags("title"), **_tags("p"), **_tags("pre"), **_tags("section", "title"),
        **_tags("b", inner="x"),
        **_texts("<p>", "</p>"), **_texts("<pre>", "</pre>"), **_texts('<b c="', '"/>'),
        "html": run("&lt;p&gt;a"), "half html": run("&lt;p "), "attributes": run('<b c="d e"/>'),
        "words of attributes": lambda size: "<b " + "".join(f'a{n}="b c" ' for n in range(size // 10)) + "/>",
        "namespaces": lambda size: "<b " + "".join(f'xmlns:a{n}="b" ' for n in range(size // 15)) + "/>",
        "technical": run("a-", '<b c="', ':"/>'),
        "numbers": run("1", '<b c="', 'x"/>'),
        "instructions": run("<?a?>"), "cdata": run("<![CDATA[a]]>"), "comments": run("<!-- a -->"),
    }.items()},
    "declaration": run(" ", "<?xml", "?>"),
    "entities": lambda size: "<!DOCTYPE a [" + "".join(f'<!ENTITY e{n} "a">' for n in range(size // 20)) + "]><a>b</a>",
    "entity chain": lambda size: '<!DOCTYPE a [<!ENTITY e0 "ab">'
    + "".join(f'<!ENTITY e{n + 1} "&e{n};&e{n};">' for n in range(size // 32)) + f"]><a>&e{size // 32};</a>",
    "big entity": lambda size: f'<!DOCTYPE a [<!ENTITY e "{"a" * (size // 2)}">]><a>{"&e;" * (size // 6)}</a>',
    "external": run('<!ENTITY % a SYSTEM "b">%a;', "<!DOCTYPE a [", "]><a>b</a>"),
}  # fmt: skip
_YAML_PATTERNS = {
    **{f"yaml {mark}": run(mark, "a: ") for mark in ("[", "{", "- ", "? ", "!a ", "&a ", "*a ")},
    **{f"yaml {mark}": run(mark, "a: ") for mark in ("[a, ", "{a: ", "'", '"', "| ")},
    "yaml nested lists": nested("[", "]"),
    "yaml nested mappings": indented("a:"),
    "yaml nested items": run("- ", "a:\n  "),
    "yaml items": run("- a\n", "b:\n"),
    "yaml keys": numbered("a@: b\n"),
    "yaml same keys": run("a: b\n"),
    "yaml merges": run("<<: {a: b}\n"),
    "yaml paths": numbered("  /a@:\n    get:\n      summary: b\n"),
    "yaml operations": lambda size: "paths:\n" + "".join(
        f"  /a{n}:\n    get:\n      summary: b\n" for n in range(size // 40)
    ),
    "yaml shared parameters": lambda size: "paths:\n  /a:\n    parameters:\n" + "      - name: a\n" * (size // 16)
    + "".join(f"    {method}:\n      summary: b\n" for method in ("get", "put", "post", "patch", "delete")),
    "yaml documents": run("---\na: b\n"),
    "yaml digits": run("1", "a: "), "yaml time digits": run("1:", "a: "), "yaml number signs": run("1_", "a: "),
    "yaml comments": run("# a\n"), "yaml folded": run("  a\n", "a: >\n"), "yaml escapes": run("\\x41", 'a: "', '"'),
}  # fmt: skip
_PDF_PATTERNS = {
    "hyphens at line ends": run("a-\n"),
    "hyphen and spaces": run(" ", "a-", "b"),
    "hyphens and lines": run("-\n", "a"),
    "words at line ends": run("word-\nword\n"),
    "spaces and lines": run(" \n", "a-", "b"),
    "pages": run("1\na-\n2\n\f1\nb\n2\n\f"),
    "blank pages": run("\f"),
    "page numbers": run("page 1 of 2\n"),
    "endless word": run("a", "", "-\nb"),
    "words and hyphens": run("a-"),
    "distinct hyphenated": numbered("a@b-c\n"),
}
_NOISE_PATTERNS = {
    **{
        f"run of {mark}": run(mark)
        for mark in ("data:", "data:a/", "data:a;", "data:;base64,", ";base64,", "data:a;b=")
    },
    "data and letters": run("a", "data:"),
    "data and semicolons": run(";a", "data:"),
    "data and slashes": run("a/", "data:"),
    "data and dots": run(".", "data:", "/"),
    "base64": run("aA1"),
    "base64 words": run("aA1" * 400 + " "),
    "base64 lines": run("aA1/" * 16 + "\n"),
    "base64 quoted lines": run("> " + "aA1/" * 16 + "\n"),
    "uuencoded": run("M" + "#" * 60 + "\n"),
    "lines of quotes": run("> \n"),
    "spaces before lines": run(" " * 50 + "\n"),
    "map": run(" ", '{"version": 3,'),
    "map without names": run("a", '{"version": 3,'),
    "map of spaces": run(" ", "{"),
    "hex": run("00 ff "),
    "hex lines": run("0000: 00ff 00ff 00ff\n"),
    "hex and dashes": run("00ff--"),
    "hex lines of spaces": run("00ff:" + " " * 80 + "\n"),
    "hex lines of pairs": run("00ff: " + "00 " * 30 + "x\n"),
}
OWN = {
    "docx": _WORD_PATTERNS,
    "docx styles": _STYLE_PATTERNS,
    "pptx": _SLIDE_PATTERNS,
    "pptx slides": {"letters": run("a")},
    "odt": _OPEN_PATTERNS,
    "epub": {name: run(f"<{name}>a") for name in ("p", "h1", "table", "li", "pre", "svg")},
    "epub spine": {"letters": run("a")},
    "xlsx": {
        "cells": run("a|"),
        "rows": run("a|b\n"),
        "texts": run("a"),
        "numbers": run("1\n"),
        "table": lambda size: "name|text\n" + "a|b\n" * (size // 4),
        "columns": lambda size: "|".join(f"c{n}" for n in range(size // 12)) + "\n" + "|".join("a" * (size // 12)),
        "same columns": lambda size: "|".join("a" * (size // 4)) + "\n" + "|".join("b" * (size // 4)),
        "rows above": lambda size: "a\n" * 19 + "name|text\n" + "a|b\n" * (size // 4),
        "long title above": lambda size: "a" * (size // 2) + "\nname|text\n" + "a|b\n" * (size // 8),
    },
    **dict.fromkeys(("eml", "mbox"), _MAIL_PATTERNS),
    "rtf": _RTF_PATTERNS,
    "tex": _LATEX_PATTERNS,
    "yaml": _YAML_PATTERNS,
    "ipynb": {"cells": run("a\n"), "fences": run("```"), "escapes": run("\x1b[0"), "angle": run("<a")},
    "json chat": {"messages": run("a\n")},
    "json slack": {"marks": run("<"), "links": run("<a|"), "messages": run("a\n"), "bars": run("|", "<a")},
    **dict.fromkeys(("org", "adoc"), _MARKUP_PATTERNS),
    "1": _MANUAL_PATTERNS,
    **dict.fromkeys(("srt", "vtt", "ass", "sub"), _SUBTITLE_PATTERNS),
    "xml": _XML_PATTERNS,
    "joined pages": _PDF_PATTERNS,
    "noise": _NOISE_PATTERNS,
    "front matter": {
        name: (lambda size, made=made: f"---\n{made(size)}\n---\n") for name, made in _YAML_PATTERNS.items()
    },
}
"""Patterns of each, by the same names, and of functions on text that is inside a format."""


def patterns_of(surface: str) -> dict[str, Pattern]:
    """Return the patterns that a surface is tried with: its own, and those of any text unless it is a file format."""
    name = surface.removeprefix("read ")
    general = {**PUNCTUATION, **SPACES} if name in FORMATS else GENERAL
    return {**general, **TEXTS.get(surface, {}), **OWN.get(name, {})}
