"""The reStructuredText reader: converts to markdown with docutils; directives of Sphinx keep their text."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any

from hybridstore.records import Document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hybridstore.ingest.readers.origin import Origin

_ERROR = 3  # docutils level of messages that replace text it could not parse
_SETTINGS = {
    "_disable_config": True,
    "file_insertion_enabled": False,  # a document must not read other files
    "raw_enabled": False,
    "halt_level": 6,  # above the highest: never
    "report_level": 6,
    "warning_stream": False,
    "doctitle_xform": False,  # a lone section stays a section, so that levels are as written
    "syntax_highlight": "none",
    "line_length_limit": 1 << 30,
    "input_encoding": "unicode",
}
_ROLE = re.compile(r":[\w+.-]{1,40}+(?::[\w+.-]{1,40}+){0,3}+:`[~!]?+([^`]*+)`")
_LONG_WORD = re.compile(r"(?<!\S)\S{150,}+")  # docutils takes time in the square of a word, 3 s for one of 8,000
# docutils takes time in the square of a paragraph's markup, 2 s for 12,000 characters of `*a `, 0.1 s for 2,000.
# CPython's documentation has no paragraph near these limits, and no substitution in another.
_LONG_BLOCK, _MOST_MARKUP = 1_000, 200
_BLOCK_START = re.compile(r"\n(?=[ \t]*+(?:\n|[-*+•|:][ \t]|\.\.[ \t]|\w{1,4}[.)][ \t]))")
_MARKUP = re.compile(r"[*`|_:]+")
_MULTIPLYING = re.compile(r"^\.\. \|[^|\n]+\| replace::[^|\n]*\|", re.MULTILINE)
_MOST_MULTIPLYING = 3
_HIDDEN = re.compile("\ue000([0-9]+)\ue001")
_BORDER = 3  # different characters of a table's border
_SKIPPED = frozenset(("comment", "substitution_definition", "target", "pending", "raw", "docinfo_item", "meta"))


def read_rst(origin: Origin) -> Document:
    """Return a reStructuredText file as markdown, or as plain text if docutils cannot parse it."""
    from docutils.core import publish_doctree

    source = origin.text()
    words: list[str] = []

    def hide(match: re.Match[str]) -> str:
        word = match.group()
        if len(set(word)) <= _BORDER and not any(map(str.isalnum, word)):  # an underline, or the border of a table
            return word
        words.append(word)
        return f"\ue000{len(words) - 1}\ue001"

    def show(match: re.Match[str]) -> str:
        return words[int(match[1])] if int(match[1]) < len(words) else match.group()

    if _is_too_hard(source):
        return Document(text=source)
    try:
        hidden = _LONG_WORD.sub(hide, source)
        tree = publish_doctree(hidden, source_path=origin.name, settings_overrides=dict(_SETTINGS))
        text = "\n\n".join(block for block in _blocks(tree, 0) if block.strip())
        text = _HIDDEN.sub(show, text) if words else text
    except Exception:  # noqa: BLE001 - directives may raise anything; the source is still usable as plain text
        return Document(text=source)
    return Document(text=text, format="markdown") if text else Document(text=source)


def _is_too_hard(source: str) -> bool:
    """Return whether docutils would take minutes: a block of endless markup, or substitutions that multiply."""
    if len(_MULTIPLYING.findall(source)) > _MOST_MULTIPLYING:
        return True
    blocks = (block for block in _BLOCK_START.split(source) if len(block) > _LONG_BLOCK)
    return any(len(_MARKUP.findall(block)) > _MOST_MARKUP for block in blocks)


def _blocks(node: Any, level: int) -> Iterator[str]:
    """Yield the blocks of markdown for a node; `level` is the number of sections around it."""
    name = node.tagname
    if name in _SKIPPED:
        return
    if name in _WRITTEN:
        yield _WRITTEN[name](node, level)
    elif name == "system_message":
        if node.get("level", 0) >= _ERROR:
            for source in node.findall(lambda child: child.tagname == "literal_block"):
                yield _directive(source.astext())
    elif getattr(node, "children", ()):
        yield from _inner(node, level + (name == "section"))
    else:
        yield node.astext()


def _inner(node: Any, level: int) -> Iterator[str]:
    for child in node.children:
        yield from _blocks(child, level)


def _title(node: Any, level: int) -> str:
    return f"{'#' * min(max(level, 1), 6)} {_line(node)}"


def _code(node: Any, _level: int) -> str:
    code = node.astext()
    fence = "`" * (max((len(run) for run in re.findall(r"`{3,}", code)), default=2) + 1)
    return f"{fence}\n{code}\n{fence}"


def _list(node: Any, level: int) -> str:
    return "\n".join(_item("\n".join(_inner(item, level))) for item in node.children)


def _named_list(node: Any, level: int) -> str:
    """Write terms, fields or options: the name, then its description."""
    return "\n".join(
        _item(f"{_line(item.children[0])}: " + "\n".join(_inner(item.children[-1], level))) for item in node.children
    )


def _paragraph(node: Any, _level: int) -> str:
    return _ROLE.sub(_role_text, node.astext())


def _table(node: Any, _level: int) -> str:
    rows = node.findall(lambda child: child.tagname in ("title", "row"))
    return "\n".join(
        _line(row) if row.tagname == "title" else f"| {' | '.join(_line(cell) for cell in row.children)} |"
        for row in rows
    )


def _image(node: Any, _level: int) -> str:
    return str(node.get("alt", ""))


_WRITTEN: dict[str, Callable[[Any, int], str]] = {
    "title": _title,
    "table": _table,
    "image": _image,
    **dict.fromkeys(("literal_block", "doctest_block", "math_block"), _code),
    **dict.fromkeys(("bullet_list", "enumerated_list"), _list),
    **dict.fromkeys(("definition_list", "field_list", "option_list"), _named_list),
    **dict.fromkeys(("paragraph", "line_block", "subtitle", "caption", "attribution", "rubric"), _paragraph),
}


def _role_text(match: re.Match[str]) -> str:
    """Return what a role shows: its text, without a target in angle brackets."""
    text = match[1]
    return text.partition("<")[0].rstrip() if text.endswith(">") else text


def _line(node: Any) -> str:
    return " ".join(_ROLE.sub(_role_text, node.astext()).split())


def _item(text: str) -> str:
    return "- " + textwrap.indent(text, "  ").strip()


def _directive(source: str) -> str:
    """Return an unknown directive as text: its argument, then its body without indentation."""
    first, _, body = source.partition("\n")
    argument = re.sub(r"^\.\.\s+[\w:+.-]+::\s*", "", first)
    body = re.sub(r"^:[\w-]+:.*\n?", "", textwrap.dedent(body), flags=re.MULTILINE)
    return _ROLE.sub(_role_text, f"{argument}\n{body}").strip()
