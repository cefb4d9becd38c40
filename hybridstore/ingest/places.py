"""Places: the pages, slides or cells of a document that a passage is on, as people name them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hybridstore.records import Document

_BREAK = "\f"  # between two pages, slides or cells, as the readers write them
_UNITS = {"ipynb": "cell"} | dict.fromkeys("pptx pptm ppsx ppsm potx potm odp otp fodp".split(), "slide")  # noqa: SIM905
_MARKDOWN = frozenset("md markdown mdown mkd mdx qmd rmd".split())  # noqa: SIM905
_AS_WRITTEN = _MARKDOWN | {"txt", "text", "log"}
_LARGEST = 1 << 16  # characters; more is not front matter
# YAML between `---` or TOML between `+++`, whose first line that is not a comment names a field or a table.
_FRONT_MATTER = re.compile(
    r"\ufeff?(---|\+\+\+)[ \t]*\r?\n(?=(?:[ \t]*(?:#[^\n]*)?\r?\n)*+[\w\"'\[-][^\n]*?(?:[:=\]]))"
    r".*?^(?:\1|\.\.\.)[ \t]*(?:\r?\n|\Z)(?:[ \t]*\r?\n)*+",
    re.DOTALL | re.MULTILINE,
)


def body_start(text: str, document_type: object) -> int:
    """Return where a passage of Markdown begins after the front matter that it starts with; 0 without one.

    Front matter stays in the text, where its fields are searched, but it is not what a passage says.
    """
    block = _FRONT_MATTER.match(text[:_LARGEST]) if document_type in _MARKDOWN else None
    return block.end() if block and block.end() < len(text) else 0


def line(document: Document, start: int) -> int | None:
    """Return the line of the file that a document's character `start` is in, counting from 1.

    None for what is not the whole text of a file, line by line: rows of tables, and formats that are converted.
    """
    kind, path = document.metadata.get("type"), document.metadata.get("path")
    if path != document.id or not path or not (kind in _AS_WRITTEN or (document.format == "code" and kind != "ipynb")):
        return None
    return document.text.count("\n", 0, start) + 1


def is_paged(document_type: object) -> bool:
    """Return whether files of this type (the `type` in a document's metadata) may have pages, slides or cells."""
    return document_type == "pdf" or document_type in _UNITS


def place(document: Document, start: int, end: int | None = None) -> str:
    """Return where characters [start, end) of a document are: "p. 12", "slide 3-4", "cell 5"; "" without pages.

    Pages count from 1, as in the file, whatever number is printed on them. Without `end`, it is where they start.
    """
    kind = document.metadata.get("type")
    if not is_paged(kind):
        return ""
    first = document.text.count(_BREAK, 0, start) + 1
    last = first if end is None else first + document.text.count(_BREAK, start, end)
    return f"{_UNITS.get(str(kind), 'p.')} {first}" + (f"-{last}" if last > first else "")
