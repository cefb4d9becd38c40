"""The outline of source code in any language: blocks by indentation, named by the definitions that enclose them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from hybridstore.text.chunking.outline import Outline, Section

_MODIFIERS = (
    r"(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|pub(?:\([^)]*\))?|unsafe"
    r"|const|inline|virtual|override|extern|partial|sealed|open|data|suspend|declare|local)\s+)*"
)
# What may follow the name in a definition; excludes "class that does …" in a comment.
_AFTER = r"(?=\s*(?:[(:{<=\[;,!]|$|(?:extends|implements|where|for|struct|interface|is|as|do|begin|with|returns?)\b))"
_CONTAINER = re.compile(
    _MODIFIERS + r"(?:class|struct|enum(?:\s+class|\s+struct)?|trait|interface|module|namespace|object|protocol"
    r"|extension|defmodule|impl(?:\s*<[^>]*>)?(?:\s+\S+\s+for(?=\s))?)\s+([A-Za-z_$][\w$.:]*)" + _AFTER
)
_CALLABLE = re.compile(
    _MODIFIERS + r"(?:def|defp|defn|defmacro|function|func|fun|fn|sub|proc|procedure|macro_rules!|type)\s*+(?:\*\s*+)?"
    r"(?:\([^)]*+\)\s*+)?(?<=[\s*)])([A-Za-z_$][\w$.:?!]*)" + _AFTER
)
_ASSIGNED = re.compile(
    r"(?:export\s+)?(?:const|let|var)\s+([\w$]+)\s*=\s*(?:async\s*)?(?:function\b|\([^)]*\)\s*=>|[\w$]+\s*=>)"
)
_CREATED = re.compile(
    r"create\s+(?:or\s+replace\s+)?(?:table|view|function|procedure|trigger)\s+(?:if\s+not\s+exists\s+)?([\w.\"`]+)",
    re.IGNORECASE,
)
# `int main(…) {`, `void Foo::bar(…) {`, `render() {`: the opening brace at the line's end distinguishes it from a call.
_BRACED = re.compile(r"(?:[\w<>\[\],*&:.~@$#]+\s+)*[*&]?([A-Za-z_~$#][\w:~$]*)\s*\([^;]*\)[^;()=]*\{$")
_NOT_NAMES = frozenset(
    """
    if for while switch catch return else new throw match select foreach using lock synchronized with do try await
    """.split()  # noqa: SIM905 - a list of words reads better without quotes
)
_LEAD = ("@", "#", "//", "/*", "*", "--", "template")  # lines that belong to the definition below them
_CLOSING = re.compile(r"[})\]]|(?:end|else|elif|elsif|except|finally|catch|rescue|ensure|fi|done|esac)\b")
_NEUTRAL = re.compile(r"[})\]{#*]|//|/\*|--|(?:end|public|private|protected|signals|slots)\b\s*:?\s*$")
_LONGEST_NAME = 100  # characters of a name in a path
_DEEPEST = 12  # definitions inside each other; the paths of endless ones would grow as their square
_SCANNED = 300  # longer lines are generated or minified; their first characters show what they define, if anything


class _Scope(NamedTuple):
    indent: int
    name: str
    container: bool


def outline_code(text: str) -> Outline:
    """Return the outline of source code: a section per class or function, under the names that enclose it."""
    reader = _CodeReader()
    position = 0
    for line in text.splitlines(keepends=True):
        reader.read(line, position)
        position += len(line)
    ends = [start for start, _ in reader.starts[1:]] + [len(text)]
    sections = [
        Section(start, end, path) for (start, path), end in zip(reader.starts, ends, strict=True) if end > start
    ]
    return Outline(sections, reader.cuts, code=True)


def _defined(head: str) -> tuple[str, bool] | None:
    """Return the name a line defines, and whether definitions inside it get sections of their own; else None."""
    match = _CONTAINER.match(head)
    if match:
        return match[1].rstrip(":.")[:_LONGEST_NAME], True
    match = _CALLABLE.match(head) or _ASSIGNED.match(head) or _CREATED.match(head)
    if match:
        return match[1].rstrip(":.")[:_LONGEST_NAME], False
    if head[-1] == "{" and head.count("(") == head.count(")") and (match := _BRACED.match(head)):
        words = {head.split(None, 1)[0].split("(", 1)[0], match[1]}
        if not words & _NOT_NAMES and not match[1].startswith(("else", "#")):
            return match[1][:_LONGEST_NAME], False
    return None


@dataclass(slots=True)
class _CodeReader:
    cuts: dict[int, float] = field(default_factory=dict)
    starts: list[tuple[int, tuple[str, ...]]] = field(default_factory=lambda: [(0, ())])
    scopes: list[_Scope] = field(default_factory=list)
    lead: int = -1  # start of the comments and decorators right above
    blank: bool = True
    pending: tuple[str, int, int] = ("", 0, 0)  # a signature not yet followed by its brace: head, indent, start

    def read(self, line: str, position: int) -> None:
        bare = line.strip()
        if not bare:
            self.blank, self.lead = True, -1
            return
        white = line[: len(line) - len(line.lstrip())]
        indent = len(white) + 3 * white.count("\t")  # a tab as four
        head = bare[:_SCANNED]
        if not _CLOSING.match(head) and head != "{":
            # The least indented line after a blank line is the best cut.
            self.cuts[position] = (4.0 if self.blank else 2.0) - min(indent, 24) / 12
        start = self.lead if self.lead >= 0 else position
        if self.pending[0] and head[-1] == "{":
            self._define(f"{self.pending[0]} {head}", *self.pending[1:])
        elif not _NEUTRAL.match(head):
            self._close(indent, position)
            self._define(head, indent, start)
        self._remember(head, indent, start)
        self.lead = start if head.startswith(_LEAD) else -1
        self.blank = False

    def _remember(self, head: str, indent: int, start: int) -> None:
        """Remember a signature that continues on the next line."""
        signature, signature_indent, signature_start = self.pending
        if head[-1] not in "(,)" or len(signature) > _SCANNED:
            self.pending = ("", 0, 0)
        elif signature:
            self.pending = (f"{signature} {head}", signature_indent, signature_start)
        elif "(" in head:
            self.pending = (head, indent, start)

    def _close(self, indent: int, position: int) -> None:
        closed = False
        while self.scopes and self.scopes[-1].indent >= indent:
            self.scopes.pop()
            closed = True
        if closed:
            self._start_section(self.lead if self.lead >= 0 else position)

    def _define(self, head: str, indent: int, start: int) -> None:
        if self.scopes and (not self.scopes[-1].container or self.scopes[-1].indent >= indent):
            return
        if len(self.scopes) == _DEEPEST:
            return
        defined = _defined(head)
        if defined:
            self.scopes.append(_Scope(indent, *defined))
            self._start_section(start)

    def _start_section(self, start: int) -> None:
        while len(self.starts) > 1 and self.starts[-1][0] >= start:
            self.starts.pop()
        self.starts.append((start, tuple(scope.name for scope in self.scopes)))
