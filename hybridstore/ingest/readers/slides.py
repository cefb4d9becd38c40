"""The PowerPoint reader: slides in the order they are shown, each with its tables, diagrams, comments and notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hybridstore.ingest.readers.archives import Archive, archive_of, attribute, first, name_of, properties, words
from hybridstore.ingest.readers.drawings import diagram_text, equation
from hybridstore.ingest.readers.origin import Origin, Unreadable
from hybridstore.ingest.readers.titles import clean_title
from hybridstore.ingest.readers.word import shown
from hybridstore.records import Document

if TYPE_CHECKING:
    from collections.abc import Iterator

_REPEATED = frozenset(("sldNum", "dt", "ftr", "hdr", "sldImg"))  # placeholders that are the same on every slide
_TITLES = frozenset(("title", "ctrTitle"))


def read_pptx(origin: Origin) -> Document:
    """Return a presentation's text as markdown, a heading for each slide and a form feed between two.

    Hidden slides are read too. The metadata have the number of slides, the author and the date.
    """
    with archive_of(origin, "pptx") as archive:
        main = next((target for kind, target in archive.related("").values() if kind == "officeDocument"), "")
        root, relations = archive.xml(main), archive.related(main)
        listed = first(root, "sldIdLst") if root is not None else None
        if root is None or name_of(root) != "presentation":
            raise Unreadable(origin.name, "is a zip archive, but not a presentation")
        # A slide has two ids: its own, and that of the relation, which has a namespace.
        ids = dict.fromkeys(str(slide.attrib.values()[-1]) for slide in (listed if listed is not None else ()))
        slides = [_slide(archive, relations[id_][1], number) for number, id_ in enumerate(ids, start=1)]
        title, metadata = properties(archive.xml("docProps/core.xml"))
    if not any("\n" in slide for slide in slides):
        raise Unreadable(origin.name, "contains no text")
    metadata["slides"] = len(slides)
    title = clean_title(title) or next((line[2:] for line in slides[0].splitlines() if line.startswith("# ")), "")
    return Document(text="\n\n\f\n".join(slides), title=title, metadata=metadata, format="markdown")


def _slide(archive: Archive, name: str, number: int) -> str:
    root, relations = archive.xml(name), archive.related(name)
    titles: list[str] = []
    blocks = list(_shapes(archive, relations, root, titles))
    for kind, target in relations.values():
        part = archive.xml(target) if kind in {"notesSlide", "comments"} else None
        if part is not None and kind == "notesSlide":
            blocks += [f"Notes: {text}" for text in ["\n".join(_shapes(archive, {}, part, []))] if text]
        elif part is not None:
            texts = (words(" ".join(comment.itertext())) for comment in part)
            blocks += [f"Comment: {text}" for text in texts if text]
    heading = f"# Slide {number}: {titles[0]}" if titles else f"# Slide {number}"
    return "\n\n".join([heading, *blocks])


def _shapes(archive: Archive, relations: dict[str, tuple[str, str]], node: Any, titles: list[str]) -> Iterator[str]:
    """Yield the blocks of a slide's shapes; the text of its title goes to `titles`."""
    for child in shown(node):
        name = name_of(child)
        if name == "sp":
            placeholder = first(child, "nvSpPr", "nvPr", "ph")
            kind = attribute(placeholder, "type") if placeholder is not None else ""
            text = "\n".join(_paragraphs(child))
            if text and kind in _TITLES:
                titles.append(words(text))
            elif text and kind not in _REPEATED:
                yield text
        elif name == "graphicFrame":
            yield from _frame(archive, relations, child)
        elif name == "pic":
            described = first(child, "nvPicPr", "cNvPr")
            if described is not None and (text := words(attribute(described, "descr"))):
                yield text
        else:
            yield from _shapes(archive, relations, child, titles)


def _frame(archive: Archive, relations: dict[str, tuple[str, str]], node: Any) -> Iterator[str]:
    rows = list(_outermost(node, "tr"))
    cells = [[words(" ".join(_paragraphs(cell))) for cell in row if name_of(cell) == "tc"] for row in rows]
    if cells:
        yield "\n".join(f"| {' | '.join(row)} |" for row in cells)
    elif text := diagram_text(archive, relations, node):
        yield text


def _paragraphs(node: Any) -> Iterator[str]:
    for paragraph in _outermost(node, "p"):
        if text := words(_inline(paragraph)):
            level = first(paragraph, "pPr")
            depth = int(attribute(level, "lvl", "0")) if level is not None else 0
            yield f"{'  ' * depth}- {text}" if depth else text


def _outermost(node: Any, name: str) -> Iterator[Any]:
    """Yield the elements of this name below a node that are not within another of them."""
    for child in node:
        if name_of(child) == name:
            yield child
        else:
            yield from _outermost(child, name)


def _inline(node: Any) -> str:
    parts: list[str] = []
    for child in shown(node):
        name = name_of(child)
        if name in {"oMath", "oMathPara"}:
            parts.append(f" {equation(child)} ")
        elif name in {"br", "tab"}:
            parts.append(" ")
        else:
            parts.append(child.text or "" if name == "t" else _inline(child))
    return "".join(parts)
