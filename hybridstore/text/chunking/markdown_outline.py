"""The outline of markdown: headings (never inside fences), paragraphs, list items, tables and code fences.

Headings and fences follow CommonMark 0.31 (ATX §4.2, setext §4.3, fences §4.5), except that a setext heading is one
line and that indented fences count too, as in lists and admonitions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hybridstore.text.chunking.outline import (
    ITEM,
    LINE,
    LIST_ITEM,
    PAGE,
    PARAGRAPH,
    Outline,
    Section,
    add_sentences,
    line_strength,
)

_FENCE = re.compile(r"\s*(`{3,}|~{3,})([^\r\n]*)")
# What is matched is never given back (`++`), and no part reaches beyond the next mark of its own kind: otherwise a
# heading of 4,000 stars or backticks takes minutes.
_ATX = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_SETEXT = re.compile(r" {0,3}(=++|-++)[ \t]*+$")
_RULE = re.compile(r" {0,3}(?:(?:\*[ \t]*+){3,}+|(?:-[ \t]*+){3,}+|(?:_[ \t]*+){3,}+)$")
_LINK = re.compile(r"!?\[([^\[\]]*+)\](?:\((?:[^()]|\([^()]*+\))*+\)|\[[^\[\]]*+\])")
_EMPHASIS = re.compile(
    r"(?<!`)(?P<code>`++)(?=[^\s`])(?P<a>[^`]++)(?<!\s)(?P=code)(?!`)"
    r"|(?<!\*)\*\*(?=\S)(?P<b>(?:[^*]|(?<!\*)\*(?!\*))++)(?<!\s)\*\*"
    r"|(?<!_)__(?=\S)(?P<c>(?:[^_]|(?<!_)_(?!_))++)(?<!\s)__"
    r"|\*(?=[^\s*])(?P<d>[^*]++)(?<!\s)\*"
)
_HEADING_LIMIT = 200  # characters of a heading; a heading path is shown on one line


def first_heading(text: str) -> str:
    """Return the first heading of a markdown text as plain words; "" if its first 64 kB have none."""
    for section in outline_markdown(text[: 1 << 16]).sections:
        if section.path:
            return section.path[-1]
    return ""


def outline_markdown(text: str) -> Outline:
    """Return the outline of markdown: a section per heading, with the path of the headings above it."""
    reader = _MarkdownReader(text)
    position = _front_matter(text)
    for line in text[position:].splitlines(keepends=True):
        reader.read(line, position)
        position += len(line)
    return reader.outline()


def _front_matter(text: str) -> int:
    """Return the offset after a front matter block, which its closing `---` would make a setext heading."""
    if not text.startswith(("---\n", "---\r\n")):
        return 0
    closing = re.compile(r"^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.MULTILINE).search(text, 4)
    return closing.end() if closing else 0


def _atx_text(rest: str) -> str:
    """Return a heading's text without the closing sequence: hashes after white space."""
    text = rest.strip(" \t")
    opened = text.rstrip("#")
    return opened.rstrip(" \t") if not opened or opened[-1] in " \t" else text


def _plain(heading: str) -> str:
    words = _EMPHASIS.sub(lambda match: next(filter(None, match.group("a", "b", "c", "d"))), _LINK.sub(r"\1", heading))
    return " ".join(words.split())[:_HEADING_LIMIT].strip()


@dataclass(slots=True)
class _MarkdownReader:
    """One pass over the lines, and its state from line to line."""

    text: str
    cuts: dict[int, float] = field(default_factory=dict)
    wholes: list[tuple[int, int]] = field(default_factory=list)
    starts: list[tuple[int, tuple[str, ...]]] = field(default_factory=lambda: [(0, ())])
    bodies: list[bool] = field(default_factory=lambda: [False])  # whether section i contains more than its heading
    levels: list[tuple[int, str]] = field(default_factory=list)
    fence: str = ""
    block: int = -1  # start of the current fence or table
    prose: int = 0  # start of the current prose
    table: bool = False
    blank: bool = True
    colon: bool = False
    paragraph: list[int] = field(default_factory=list)  # line starts of the current paragraph
    title: str = ""  # the paragraph's first line, in case it is a setext heading
    had_body: bool = False  # whether the section had a body before this paragraph

    def read(self, line: str, position: int) -> None:
        bare = line.strip()
        if self.fence:
            self.cuts[position] = LINE
            if bare.startswith(self.fence) and not bare.strip(self.fence[0]):
                self._end_block(position + len(line))
                self.fence = ""
            return
        if not bare:
            self._end_table(position)
            self.blank, self.paragraph = True, []
            return
        head = line.rstrip("\r\n")
        if self._read_heading(head, position, position + len(line)):
            return
        opening = _FENCE.match(head) if bare[0] in "`~" else None
        if opening and not (opening[1][0] == "`" and "`" in opening[2]):
            self._end_table(position)
            self._begin_block(line, position)
            self.fence = opening[1]
            return
        if bare[0] == "|":
            if not self.table:
                self._begin_block(line, position)
                self.table = True
            else:
                self.cuts[position] = ITEM
            return
        self._end_table(position)
        self._read_line(line, bare, position)

    def outline(self) -> Outline:
        end = len(self.text)
        if self.fence or self.table:
            self._end_block(end)
        else:
            add_sentences(self.text, self.cuts, self.prose, end)
        ends = [start for start, _ in self.starts[1:]] + [end]
        sections = [
            Section(start, stop, path, bare=bool(path) and not body)
            for (start, path), stop, body in zip(self.starts, ends, self.bodies, strict=True)
            if stop > start
        ]
        return Outline(sections, self.cuts, self.wholes)

    def _read_line(self, line: str, bare: str, position: int) -> None:
        if bare[0] in "*-_" and _RULE.match(line.rstrip()):
            self.cuts[position] = PAGE
        elif self.bodies[-1] or not self.starts[-1][1]:  # never between a heading and its first line
            self.cuts[position] = line_strength(line, after_blank=self.blank, after_colon=self.colon)
        if not self.paragraph:
            self.title, self.had_body = bare, self.bodies[-1]
        self._mark_body(bare)
        if LIST_ITEM.match(line) or bare[0] == ">" or line.startswith(("    ", "\t")):
            self.paragraph = [-1, -1]  # none of these is a setext heading's text
        self.paragraph.append(position)

    def _read_heading(self, head: str, position: int, after: int) -> bool:
        mark = head.lstrip(" ")[0]
        atx = _ATX.match(head) if mark == "#" else None
        if atx:
            self._end_table(position)
            self._start_section(position, after, len(atx[1]), _atx_text(head[atx.end() :]))
            return True
        underline = _SETEXT.match(head) if mark in "=-" and len(self.paragraph) == 1 and not self.blank else None
        if underline:
            self.bodies[-1] = self.had_body
            self._start_section(self.paragraph[0], after, 1 if underline[1][0] == "=" else 2, self.title)
            return True
        return False

    def _start_section(self, position: int, after: int, level: int, heading: str) -> None:
        add_sentences(self.text, self.cuts, self.prose, position)
        while self.levels and self.levels[-1][0] >= level:
            self.levels.pop()
        self.levels.append((level, _plain(heading)))
        self.starts.append((position, tuple(name for _, name in self.levels if name)))
        self.bodies.append(False)
        self.prose, self.blank, self.colon, self.paragraph = after, False, False, []

    def _begin_block(self, line: str, position: int) -> None:
        add_sentences(self.text, self.cuts, self.prose, position)
        if self.bodies[-1] or not self.starts[-1][1]:
            self.cuts[position] = line_strength(line, after_blank=True, after_colon=self.colon)
        self._mark_body("")
        self.block = position

    def _end_block(self, position: int) -> None:
        self.wholes.append((self.block, position))
        self.cuts.setdefault(position, PARAGRAPH)
        self.prose, self.blank, self.colon, self.paragraph = position, True, False, []

    def _end_table(self, position: int) -> None:
        if self.table:
            self._end_block(position)
            self.table = False

    def _mark_body(self, bare: str) -> None:
        self.bodies[-1] = True
        self.blank, self.colon = False, bare.endswith((":", "："))
