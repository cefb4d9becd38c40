"""Org, AsciiDoc, LaTeX, RTF, manual pages, XML, subtitles, OpenAPI and front matter, exactly."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from hybridstore.ingest import Unreadable, read


def only(folder, name, content, **options):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (document,) = read(path, **options)
    return document


def test_org_becomes_markdown_with_its_keywords_as_metadata(tmp_path):
    source = """#+TITLE: My Plan
#+FILETAGS: :work:home:
# comment
* TODO [#A] Buy milk :shop:
:PROPERTIES:
:ID: x
:END:
Go to [[https://x.org][the shop]].
#+begin_src python
* no heading
#+end_src
#+begin_quote
Said.
#+end_quote
"""
    document = only(tmp_path, "a.org", source)
    assert document.text == "# Buy milk\nGo to the shop.\n```python\n* no heading\n```\nSaid."
    assert (document.title, document.metadata["tags"]) == ("My Plan", ["work", "home"])


def test_asciidoc_becomes_markdown_with_its_attributes_as_metadata(tmp_path):
    source = """= The Book
:author: Anna
:revdate: 2026-01-01

// comment
== Chapter

Text and https://x.org[a link], <<other,see there>>.

[source,python]
----
== no heading
----
"""
    document = only(tmp_path, "a.adoc", source)
    assert document.text == ("# The Book\n\n## Chapter\n\nText and a link, see there.\n\n```python\n== no heading\n```")
    assert (document.title, document.metadata["author"], document.metadata["date"]) == (
        "The Book",
        "Anna",
        "2026-01-01",
    )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"\section{One} \subsection*{Two} text", "## One\n\n### Two\n\ntext"),
        (r"a \emph{b} {\bf c} \textcolor{red}{d} \mycommand{e} 50\% % gone", "a b c d e 50%"),
        (r"na\"ive caf\'e \c{c}a Stra\ss{}e M{\"u}ller \v{S}", "naïve café ça Straße Müller Š"),
        (r"$\frac{a+b}{c} \leq \alpha^2 \cdot x_{ij}$", "(a+b)/(c) ≤ α^2 · x_(ij)"),
        (r"\[ \sum_{i=1}^{n} \sqrt{x} \]", "∑_(i=1)^n √(x)"),
        (r"see \cite[p.~3]{knuth}, Fig.~\ref{fig:x}\label{y}", "see [knuth], Fig. [fig:x]"),
        ("\\begin{itemize}\\item one \\item two\\end{itemize}", "- one\n- two"),
        ("a\n\\begin{verbatim}\nx_y % kept\n\\end{verbatim}\nb", "a\n\n```\nx_y % kept\n```\n\nb"),
        (r"\begin{tabular}{l|l} a & b \\ \hline c & d \end{tabular}", "a | b\nc | d"),
        (r"\href{http://x}{words} ``quoted'' text--dash~x", "words “quoted” text–dash x"),
        (r"\newcommand{\foo}[1]{bar #1}text\vspace{1cm}", "text"),
        (r"\begin{figure}[ht]\includegraphics[scale=2]{a.png}\caption{The \textbf{view}}\end{figure}", "The view"),
        (r"cut \textbf{off \begin{verbatim} here", "cut off\nhere"),
    ],
)
def test_latex_is_read_without_commands(tmp_path, source, text):
    assert only(tmp_path, "a.tex", source).text == text


def test_latex_has_the_title_author_and_date_of_its_preamble(tmp_path):
    source = (
        "\\documentclass{article}\n\\title{On \\emph{Gates}}\\author{Anna \\and Bob}\\date{May 2026}\n"
        "\\begin{document}\\maketitle Text.\\end{document} after"
    )
    document = only(tmp_path, "a.tex", source)
    assert (document.text, document.title) == ("Text.", "On Gates")
    assert (document.metadata["author"], document.metadata["date"]) == ("Anna Bob", "May 2026")


def test_rtf_is_read_with_links_characters_and_without_pictures(tmp_path):
    source = (
        rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 Arial;}}{\info{\title My Letter}}"
        rb"\f0 Gr\'fc\'dfe \u8364?\par "
        rb'One {\field{\*\fldinst{HYPERLINK "http://x"}}{\fldrslt first}} and '
        rb'{\field{\*\fldinst{HYPERLINK "http://y"}}{\fldrslt second}}.{\pict\pngblip ' + b"89504e47" * 9000 + b"}}"
    )
    document = only(tmp_path, "a.rtf", source)
    assert (document.text, document.title) == ("Grüße €\nOne first and second.", "My Letter")


MAN = r""".TH LS 1 "March 2026" GNU "User Commands"
.SH NAME
ls \- list \fIdirectory\fR contents
.SH OPTIONS
.\" comment
.TP
\fB\-a\fR, \fB\-\-all\fR
do not ignore entries
starting with .
.IP \(bu 2
a point
.nf
$ ls \-l
  total 0
.fi
.SH "SEE ALSO"
.BR dircolors (1)
"""
MDOC = """.Dd March 2, 2026
.Dt GATE 8
.Os
.Sh NAME
.Nm gate
.Nd opens the gate
.Sh SYNOPSIS
.Nm
.Op Fl f Ar file
.Ar host
.Sh DESCRIPTION
The
.Nm
utility reads
.Pa /etc/gate.conf .
.Bl -tag -width Ds
.It Fl f Ar file
Read
.Ar file ,
see
.Xr gate.conf 5 .
.El
"""


@pytest.mark.parametrize(
    ("name", "source", "title", "text"),
    [
        (
            "ls.1",
            MAN,
            "ls(1)",
            (
                "# NAME\n\nls - list directory contents\n\n# OPTIONS\n\n-a, --all: do not ignore entries starting "
                "with .\n\n- a point\n\n```\n$ ls -l\n  total 0\n```\n\n# SEE ALSO\n\ndircolors(1)"
            ),
        ),
        (
            "gate.8",
            MDOC,
            "gate(8)",
            (
                "# NAME\n\ngate - opens the gate\n\n# SYNOPSIS\n\ngate [-f file] host\n\n# DESCRIPTION\n\nThe gate "
                "utility reads /etc/gate.conf.\n\n-f file: Read file, see gate.conf(5)."
            ),
        ),
    ],
)
def test_a_manual_page_becomes_markdown(tmp_path, name, source, title, text):
    document = only(tmp_path, name, source)
    assert (document.title, document.text) == (title, text)


def test_a_manual_page_whose_title_is_cut_off_is_read(tmp_path):
    assert only(tmp_path, "a.1", ".TH \n.SH NAME\ntext").text == "# NAME\n\ntext"


def test_a_numbered_log_is_no_manual_page(tmp_path):
    assert only(tmp_path, "server.log.1", "INFO started\n").text == "INFO started\n"


def test_xml_is_read_without_markup(tmp_path):
    source = (
        '<?xml version="1.0" encoding="ISO-8859-1"?><!DOCTYPE book [<!ENTITY p "Product">]><book><title>The &p; Book'
        "</title><chapter><title>First</title><para>Some <emphasis>bold</emphasis>\n words.</para>"
        "<programlisting>x = 1\n  y = 2</programlisting></chapter>"
        '<entry><version>1.2</version><note by="Anna"/></entry><p>Grüße</p></book>'
    )
    document = only(tmp_path, "a.xml", source.encode("latin-1"))
    assert document.title == "The Product Book"
    assert document.text == (
        "# The Product Book\n\n## First\n\nSome bold words.\n```\nx = 1\n  y = 2\n```\nversion: 1.2\nby: Anna\nGrüße"
    )


def test_xml_that_is_not_well_formed_is_read_as_it_is_and_reported(tmp_path):
    notices = []
    assert only(tmp_path, "a.xml", "<a><b>text", notice=notices.append).text == "<a><b>text"
    assert "not well-formed" in notices[0]


@pytest.mark.parametrize(
    ("name", "source", "text"),
    [
        (
            "a.srt",
            (
                "\ufeff1\r\n00:00:01,000 --> 00:00:02,000\r\n<i>Hello</i>\r\nthere\r\n\r\n"
                "2\r\n01:02:03,000 --> 01:02:04,000\r\n{\\an8}Later\r\n"
            ),
            "## 00:00:00\n\nHello there\n\n## 01:02:00\n\nLater",
        ),
        (
            "a.vtt",
            (
                "WEBVTT\n\nNOTE no\n\n00:01.000 --> 00:04.000 align:start\n<v Anna>Hello &amp; bye\n\n"
                "00:05.000 --> 00:06.000\nHello &amp; bye\n"
            ),
            "## 00:00:00\n\nAnna: Hello & bye\nHello & bye",
        ),
    ],
)
def test_subtitles_are_read_under_the_minute_they_are_shown_in(tmp_path, name, source, text):
    document = only(tmp_path, name, source)
    assert (document.text, document.title) == (text, "a")


def test_openapi_has_a_heading_for_each_operation_and_schema(tmp_path):
    source = """openapi: 3.0.0
info: {title: Gates, version: 1.0.0, description: All about gates.}
paths:
  /gates/{id}:
    parameters: [{name: id, in: path, description: the number}]
    get:
      operationId: getGate
      summary: Get a gate
      responses:
        200: {description: The gate}
    post:
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Gate'}}}}
components:
  schemas:
    Gate: {description: A gate, properties: {width: {type: integer, description: in mm}, kind: {enum: [a, b]}}}
"""
    document = only(tmp_path, "a.yaml", source)
    assert (document.title, document.metadata["version"]) == ("Gates", "1.0.0")
    assert document.text == (
        "# Gates\n\nAll about gates.\n\n## GET /gates/{id}: Get a gate\n\ngetGate\n\n- id (path): the number\n\n"
        "200: The gate\n\n## POST /gates/{id}\n\n- id (path): the number\n\nBody:\nGate\n\n"
        "## Gate\n\nA gate\n\n- width (integer): in mm\n- kind (a, b)"
    )


def test_yaml_that_only_begins_like_openapi_is_source_code(tmp_path):
    assert only(tmp_path, "a.yaml", "openapi: [\n").format == "code"


@pytest.mark.parametrize(
    ("block", "title", "metadata"),
    [
        ("---\ntitle: Post\ntags: a, b\ndate: 2026-03-02\n---\n", "Post", {"tags": ["a", "b"], "date": "2026-03-02"}),
        ('+++\ntitle = "Post"\ndate = 2026-03-02T10:00:00Z\n+++\n', "Post", {"date": "2026-03-02T10:00:00+00:00"}),
        ("---\r\ntags:\r\n  - one\r\n  - 'two'\r\n---\r\n", "a", {"tags": ["one", "two"]}),
        ("---\ntitle: Colons: a story\ntags: [x]\n---\n", "Colons: a story", {"tags": ["x"]}),
        ("---\nnested: {a: [1, .nan]}\npath: /etc\ntype: post\n---\n", "a", {"nested": {"a": [1, None]}}),
        ("---\na: &x [1]\nb: [*x, *x]\n---\n", "a", {}),
        ("---\n- a list\n---\n", "a", {}),
        ("---\ntitle: never closed\n", "a", {}),
        ("text\n---\ntitle: not at the top\n---\n", "a", {}),
    ],
)
def test_front_matter_becomes_metadata_and_stays_in_the_text(tmp_path, block, title, metadata):
    document = only(tmp_path, "a.md", f"{block}\nText.")
    assert document.text == f"{block}\nText."
    assert document.title == (title if "never" not in block and "not at" not in block else document.title)
    extra = {name: value for name, value in document.metadata.items() if name not in {"path", "type"}}
    assert extra == metadata
    assert document.metadata["type"] == "md"


@pytest.mark.parametrize(
    ("name", "piece"),
    [
        ("a.tex", "\\newcommand{"),
        ("a.tex", "\\begin{verbatim}"),
        ("a.tex", "\\foo["),
        ("a.adoc", "link:"),
        ("a.adoc", "<<a"),
        ("a.adoc", "http://a["),
        ("a.org", "[[a"),
        ("a.1", '.TH a 1\n.B "a\n'),
        ("a.rtf", "{\\rtf1{\\fonttbl\\f1 "),
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\n{<a\n\n"),
        ("a.eml", "Subject: =?utf-8?q?"),
        ("a.md", "data:image/a;a;a"),
        ("a.md", "A" * 900 + " "),
        ("a.xml", "<a>"),
    ],
)
def test_no_repetition_takes_longer_than_its_length(tmp_path, name, piece):
    start = time.perf_counter()
    with suppress(Unreadable):
        only(tmp_path, name, piece * (200_000 // len(piece)))
    assert time.perf_counter() - start < 15  # 1.5 s at most on an idle core; quadratic ones take minutes


EVERNOTE = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE en-export SYSTEM "http://xml.evernote.com/pub/evernote-export4.dtd">
<en-export><note><title>Beans &amp; peas</title><created>20240401T101500Z</created><tag>garden</tag><tag>spring</tag>
<note-attributes><author>Anna</author><source-url>https://x.example/</source-url></note-attributes>
<content><![CDATA[<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<!DOCTYPE en-note SYSTEM "http://xml.evernote.com/pub/enml2.dtd"><en-note>
<div>Plant the <b>beans</b> in April &amp; May.</div>
<ul><li>water</li></ul></en-note>]]></content><resource><data>aGVsbG8=</data></resource></note>
<note><title>Tea</title><content><![CDATA[<en-note>Buy green tea</en-note>]]></content></note></en-export>"""


def test_each_note_of_an_evernote_export_is_a_document(tmp_path):
    path = tmp_path / "notes.enex"
    path.write_text(EVERNOTE)
    beans, tea = read(path)
    assert (beans.title, beans.text) == ("Beans & peas", "Plant the beans in April & May.\n\n- water")
    assert beans.metadata == {
        "path": path.as_posix(),
        "type": "enex",
        "created": "2024-04-01T10:15:00Z",
        "author": "Anna",
        "source": "https://x.example/",
        "tags": ["garden", "spring"],
    }
    assert (tea.id, tea.text) == (f"{path.as_posix()}#2", "Buy green tea")
    path.write_text("<en-export></en-export>")
    with pytest.raises(Unreadable, match="contains no notes"):
        list(read(path))
    path.write_text("<en-export><note>")
    with pytest.raises(Unreadable, match="not a valid enex file"):
        list(read(path))
