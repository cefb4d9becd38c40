"""HTML pages in one file that open offline: elements that escape their text, a style, tables, figures.

The output is well-formed XML too. Text is escaped unless `element` made it, so no id or query becomes markup.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Anything else has no place in HTML or XML: control characters, halves of surrogate pairs.
_UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_VOID = ("meta", "br", "rect", "line", "circle", "path", "polyline")

_STYLE = "\n" + Path(__file__).with_name("page.css").read_text(encoding="utf-8")


class Markup(str):
    """Text that is markup already: what `element` gives."""

    __slots__ = ()


def element(name: str, /, *content: str, **attributes: str | float) -> Markup:
    """Return an element; content and attributes are escaped, Markup is taken as it is.

    An attribute's name loses a `_` at its end and has `-` for every other: `class_`, `text_anchor`. Numbers are
    written with two decimals at most.
    """
    rendered = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(value if isinstance(value, str) else short(value))}"'
        for key, value in attributes.items()
    )
    if name in _VOID and not content:
        return Markup(f"<{name}{rendered}/>")
    return Markup(f"<{name}{rendered}>{join(content)}</{name}>")


def join(parts: Iterable[str], separator: str = "") -> Markup:
    """Put parts one after another, escaping those that are no Markup."""
    return Markup(separator.join(part if isinstance(part, Markup) else escaped(part) for part in parts))


def escaped(text: str) -> str:
    """Return text as it is written in HTML; characters that HTML cannot hold become U+FFFD."""
    return escape(_UNFIT.sub("\ufffd", text), quote=True)


def short(number: float) -> str:
    """Write a number with two decimals at most and without needless zeros, the same on every machine."""
    text = f"{number:.2f}".rstrip("0").rstrip(".") if isinstance(number, float) else str(number)
    return "0" if text == "-0" else text


def page(title: str, *sections: str) -> str:
    """Return the whole file. It needs nothing from anywhere: no script, no font, no picture."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(_STYLE)),
    )
    body = element("body", "\n", element("h1", title), "\n", join(sections, "\n"), "\n")
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def section(title: str, *content: str) -> Markup:
    """Return a part of the page under its title."""
    return element("section", element("h2", title), "\n", join(content, "\n"))


def facts(pairs: Mapping[str, str]) -> Markup:
    """Return a table of two columns: what, and what it is."""
    rows = (element("tr", element("th", name, scope="row"), element("td", value)) for name, value in pairs.items())
    return element("div", element("table", element("tbody", *rows)), class_="wide")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int = 1) -> Markup:
    """Return a table whose first `texts` columns are text and whose others are numbers."""

    def cells(name: str, row: Sequence[str]) -> Markup:
        kinds: list[dict[str, str | float]] = [{} if n < texts else {"class_": "n"} for n in range(len(row))]
        return element("tr", *(element(name, cell, **kind) for cell, kind in zip(row, kinds, strict=True)))

    body = element("tbody", *(cells("td", row) for row in rows))
    return element("div", element("table", element("thead", cells("th", head)), body), class_="wide")


def figure(title: str, drawing: Markup, caption: str, legend: Sequence[str] = ()) -> Markup:
    """Return a plot with its title, the names of its colours (in the order of the plot's) and what it shows."""
    names = (
        element("li", element("span", class_=f"s{number % 6}"), name, class_=f"s{number % 6}")
        for number, name in enumerate(legend)
    )
    colours = [element("ul", *names, class_="legend")] if legend else []
    return element("figure", element("h3", title), drawing, *colours, element("figcaption", caption))


def figures(*parts: Markup) -> Markup:
    """Lay figures out side by side where there is room."""
    return element("div", *parts, class_="plots")
