"""The readers of Org, AsciiDoc and RTF: headings become markdown's, commands go."""

from __future__ import annotations

import re
from typing import Any

from hybridstore.ingest.readers.front_matter import plain_values
from hybridstore.ingest.readers.origin import Origin, Unreadable, errors_as_unreadable
from hybridstore.ingest.readers.titles import clean_title
from hybridstore.records import Document

_ORG_HEADING = re.compile(r"(\*+)[ \t]+(?:(?:TODO|DONE|NEXT|WAITING|CANCELLED)[ \t]+)?(?:\[#\w\][ \t]*)?(.*)")
_ORG_TAGS = re.compile(r"(?<![ \t])[ \t]++:[\w@#%:]+(?<=:)[ \t]*+$")
_ORG_LINK = re.compile(r"\[\[([^\]\[]*)\](?:\[([^\]\[]*)\])?\]")
_ORG_KEYWORD = re.compile(r"[ \t]*#\+(\w+)(?:\[[^\]]*\])?:[ \t]*(.*)")
_ORG_BLOCK = re.compile(r"[ \t]*#\+(begin|end)_(\w+)(.*)", re.IGNORECASE)
_ORG_DRAWER = re.compile(r"[ \t]*:(\w[\w-]*):[ \t]*$")
_ORG_VERBATIM = frozenset(("src", "example", "export", "comment"))

_ADOC_HEADING = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*)")
_ADOC_ATTRIBUTE = re.compile(r":!?([\w-]+)!?:(?:[ \t]+(.*))?$")
_ADOC_TARGET = re.compile(  # with limits, as a line can be a file
    r"(?:(?:link|mailto|xref|image):{1,2}|https?://)[^\s\[\]]{1,400}\[([^\]\n]{0,400})\]"
    r"|<<[^,>\n]{0,200}(?:,([^>\n]{0,400}))?>>"
)
_ADOC_VERBATIM = frozenset(("----", "....", "++++"))
_ADOC_DELIMITERS = re.compile(r"(?:={4,}|\*{4,}|_{4,}|-{2}|\|={3,}|,={3,})[ \t]*$")

_RTF = b"{\\rtf"
_RTF_PICTURE = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f\r\n]{256,}")
_RTF_FONT = re.compile(r"(?<!\\)(\\f\d)")  # on a line each, striprtf reads the table of fonts in linear time
_RTF_UNNAMED = re.compile(r"\\fcharset(?![^;]{0,400};)")  # striprtf looks for its name up to the end, again and again
_RTF_FIELD = re.compile(r"\\field(?![a-z])")  # striprtf loses what is between the first and the last link of a line


def read_org(origin: Origin) -> Document:
    """Return an Org file as markdown: headings without states and tags, blocks as fences, links as their text.

    `#+TITLE`, `#+DATE`, `#+AUTHOR` and `#+FILETAGS` become metadata; drawers and comments are left out.
    """
    lines: list[str] = []
    found: dict[str, str] = {}
    verbatim = drawer = False
    for line in origin.text().splitlines():
        block, keyword, heading = _ORG_BLOCK.match(line), _ORG_KEYWORD.match(line), _ORG_HEADING.match(line)
        if block and (verbatim or block[2].lower() in _ORG_VERBATIM):
            verbatim = block[1].lower() == "begin"
            lines.append(f"```{block[3].strip().split(' ')[0]}" if verbatim else "```")
        elif verbatim:
            lines.append(line)
        elif drawer or (_ORG_DRAWER.match(line) and not block):
            drawer = line.strip().upper() != ":END:"
        elif heading:
            lines.append(f"{'#' * min(len(heading[1]), 6)} {_org_links(_ORG_TAGS.sub('', heading[2]))}")
        elif keyword:
            found.setdefault(keyword[1].lower(), keyword[2].strip())
        elif not block and not line.lstrip().startswith("# "):
            lines.append(_org_links(line))
    metadata = {name: found[name] for name in ("author", "date") if found.get(name)}
    tags = [tag for tag in re.split(r"[: ]+", found.get("filetags", "")) if tag]
    return _markup(origin, lines, found.get("title", ""), metadata | ({"tags": tags} if tags else {}))


def _org_links(line: str) -> str:
    return _ORG_LINK.sub(lambda link: link[2] or link[1], line)


def read_asciidoc(origin: Origin) -> Document:
    """Return an AsciiDoc file as markdown: headings, blocks as fences, links as their text; attributes as metadata."""
    lines: list[str] = []
    attributes: dict[str, Any] = {}
    title = verbatim = language = ""
    for line in origin.text().splitlines():
        bare = line.strip()
        heading, attribute = _ADOC_HEADING.fullmatch(bare), _ADOC_ATTRIBUTE.fullmatch(bare)
        if verbatim:
            lines.append("```" if bare == verbatim else line)
            verbatim = "" if bare == verbatim else verbatim
        elif bare[:4] in _ADOC_VERBATIM and not bare.strip(bare[0]):
            verbatim = bare
            lines.append(f"```{language}")
            language = ""
        elif heading:
            lines.append(f"{'#' * len(heading[1])} {heading[2]}")
            title = title or (heading[2] if len(heading[1]) == 1 else "")
        elif attribute:
            attributes[attribute[1]] = attribute[2] or ""
        elif source := re.fullmatch(r"\[source,[ ]*+(\w++).*\]", bare):
            language = source[1]
        elif not (bare.startswith("//") or _ADOC_DELIMITERS.fullmatch(bare) or re.fullmatch(r"\[[^\]]*\]", bare)):
            lines.append(_ADOC_TARGET.sub(lambda link: link[1] or link[2] or link[0], line))
    names = {"author": "author", "revdate": "date", "keywords": "tags"}
    metadata = {names[name]: value for name, value in attributes.items() if name in names and value}
    return _markup(origin, lines, title, metadata)


def _markup(origin: Origin, lines: list[str], title: str, metadata: dict[str, Any]) -> Document:
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    if not text:
        raise Unreadable(origin.name, "contains no text")
    return Document(text=text, title=title, metadata=plain_values(metadata), format="markdown")


def read_rtf(origin: Origin) -> Document:
    """Return an RTF file's text."""
    from striprtf import striprtf

    converted: Any = striprtf.rtf_to_text  # untyped
    data = origin.data()
    if not data.lstrip().startswith(_RTF):
        raise Unreadable(origin.name, "is not an RTF file, or damaged")
    with errors_as_unreadable(origin, "RTF"):
        source = _RTF_PICTURE.sub("", _RTF_FIELD.sub("", data.decode("latin-1")))
        source = _RTF_UNNAMED.sub("", _RTF_FONT.sub(r"\n\1", source))
        text = re.sub(r"\n{3,}", "\n\n", converted(source, errors="replace")).replace("\0", "").strip()
    if not text:
        raise Unreadable(origin.name, "contains no text")
    found = re.search(r"\{\\title\s+([^{}\\]*)\}", data[: 1 << 16].decode("latin-1"))
    return Document(text=text, title=clean_title(found[1]) if found else "")
