"""HTML pages in one file that open offline: elements that escape their text, a style, modules, tables, figures.

The output is well-formed XML too, except where it has modules. Text is escaped unless it is Markup, so no id or query
becomes markup.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Anything else has no place in HTML or XML: control characters, halves of surrogate pairs.
_UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_VOID = ("meta", "br", "rect", "line", "circle", "path", "polyline")

STATIC = Path(__file__).with_name("static")  # the style of all views, that of whole pages, and the modules


@cache
def static_text(name: str) -> str:
    """Return a file of the package's `static` folder."""
    return (STATIC / name).read_text(encoding="utf-8")


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
    return escape(fit(text), quote=True)


def fit(text: str) -> str:
    """Return text with U+FFFD for the characters that HTML cannot hold."""
    return _UNFIT.sub("\ufffd", str(text))


def short(number: float) -> str:
    """Write a number with two decimals at most and without needless zeros, the same on every machine."""
    text = f"{number:.2f}".rstrip("0").rstrip(".") if isinstance(number, float) else str(number)
    return "0" if text == "-0" else text


def page(title: str, *sections: str, modules: Iterable[str] = ()) -> str:
    """Return the whole file. It needs nothing from anywhere: no font, no picture, and only these modules of `static`.

    It forbids the browser to load anything, and to run or style by anything but what it begins with.
    """
    style = "\n" + static_text("views.css") + static_text("page.css")
    scripts = [static_text(name) for name in modules]
    allowed = " ".join(map(_hashed, scripts)) or "'none'"
    policy = (
        f"default-src 'none'; style-src {_hashed(style)}; script-src {allowed}; base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(style)),
        *(element("script", Markup(script), type="module") for script in scripts),
    )
    body = element("body", element("main", "\n", element("h1", title), "\n", join(sections, "\n"), "\n"))
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _hashed(text: str) -> str:
    """Return the source expression of a Content-Security-Policy that allows this style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def frame(document: str, title: str) -> Markup:
    """Return a whole page inside another one, such as a notebook: neither's style or scripts reach the other."""
    return Markup(
        '<iframe title="{}" sandbox="allow-scripts" loading="lazy" style="width:100%;height:42rem;border:0"'
        ' srcdoc="{}"></iframe>'
    ).format(title, document)


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
