"""The Jupyter reader: the cells of a notebook as markdown with their text outputs, without pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from hybridstore.ingest.readers.html import fenced
from hybridstore.ingest.readers.origin import Origin, Unreadable
from hybridstore.records import Document

_LONGEST_OUTPUT = 10_000  # characters; a training log of 100,000 lines would bury the notebook
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_TEXTS = ("text/markdown", "text/plain", "text/html")


def read_notebook(origin: Origin) -> Document:
    """Return a notebook as markdown: code in fences marked with the language and the cell's number, counted from 1.

    Form feeds divide the cells. The metadata have the kernel's language and the number of cells.
    """
    text = origin.text()
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(origin.name, f"is not a valid notebook, or damaged ({error})") from error
    found = content.get("cells") if isinstance(content, dict) else None
    if found is None and isinstance(content, dict) and isinstance(content.get("worksheets"), list):  # before 2015
        found = [cell for sheet in content["worksheets"] if isinstance(sheet, dict) for cell in sheet.get("cells", [])]
    if not isinstance(found, list):
        raise Unreadable(origin.name, "is JSON, but not a notebook")
    cells = [cell if isinstance(cell, Mapping) else {} for cell in found]
    settings = content.get("metadata")
    language = _language(settings if isinstance(settings, Mapping) else {})
    blocks = ["\n\n".join(filter(None, _cell(origin, cell, number, language))) for number, cell in enumerate(cells, 1)]
    if not any(block.strip() for block in blocks):
        raise Unreadable(origin.name, "contains no text")
    metadata = {"cells": len(cells)} | ({"language": language} if language else {})
    return Document(text="\n\n\f\n".join(blocks), metadata=metadata, format="markdown")


def _language(settings: Mapping[str, Any]) -> str:
    for name, key in (("language_info", "name"), ("kernelspec", "language"), ("kernelspec", "name")):
        part = settings.get(name)
        if isinstance(part, Mapping) and isinstance(part.get(key), str):
            return str(part[key]).lower()
    return ""


def _cell(origin: Origin, cell: Mapping[str, Any], number: int, language: str) -> Iterator[str]:
    source = _joined(cell.get("source", cell.get("input"))).strip("\n")
    kind = cell.get("cell_type")
    if kind == "heading":
        level = cell.get("level")
        yield f"{'#' * (level if isinstance(level, int) and 0 < level < 7 else 1)} {source}"
    elif kind != "code":
        yield source
    elif source.strip():
        yield fenced(source, f"{language} cell {number}".strip())
    outputs = cell.get("outputs")
    for output in outputs if kind == "code" and isinstance(outputs, list) else ():
        if isinstance(output, Mapping):
            yield _output(origin, output, number)


def _output(origin: Origin, output: Mapping[str, Any], number: int) -> str:
    bundle = output.get("data", output)
    bundle = bundle if isinstance(bundle, Mapping) else {}
    if output.get("output_type") in {"error", "pyerr"}:
        text = f"{output.get('ename', '')}: {output.get('evalue', '')}"
    else:
        values = [_joined(bundle.get(name)) for name in (*_TEXTS, "text")]
        text = next((value for value in values if value.strip()), "")
    text = _ANSI.sub("", text).strip("\n")
    if any(name.startswith(("image/", "application/pdf")) for name in map(str, bundle)):
        text = "" if re.fullmatch(r"<[^<>]*>", text.strip()) else text  # "<Figure size 640x480 with 1 Axes>"
    if len(text) > _LONGEST_OUTPUT:
        origin.notice(f"of an output of cell {number}, {len(text) - _LONGEST_OUTPUT:,} characters were left out")
        text = text[:_LONGEST_OUTPUT] + "…"
    return fenced(text, f"output of cell {number}") if text.strip() else ""


def _joined(source: Any) -> str:
    if isinstance(source, list):
        return "".join(part for part in source if isinstance(part, str))
    return source if isinstance(source, str) else ""
