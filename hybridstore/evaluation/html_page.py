"""HTML pages in one file that open offline: elements that escape their text, a style, tables, figures.

The output is well-formed XML too. Text is escaped unless `element` made it, so no id or query becomes markup.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Anything else has no place in HTML or XML: control characters, halves of surrogate pairs.
_UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_VOID = ("meta", "br", "rect", "line", "circle", "path", "polyline")

_STYLE = """
:root{color-scheme:light dark;--ink:#1f2328;--faint:#d0d7de;--soft:#59636e;--page:#fff;--card:#f6f8fa;
--s0:#0969da;--s1:#bc4c00;--s2:#1a7f37;--s3:#8250df;--s4:#bf3989;--s5:#6e7781}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--faint:#3d444d;--soft:#9198a1;--page:#0d1117;--card:#151b23;
--s0:#58a6ff;--s1:#f0883e;--s2:#3fb950;--s3:#bc8cff;--s4:#f778ba;--s5:#8b949e}}
*{box-sizing:border-box}
body{font:1rem/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);margin:0 auto;max-width:66rem;
padding:1rem;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.25}h2{font-size:1.25rem;margin:2.5rem 0 .5rem;border-bottom:1px solid var(--faint)}
h3{font-size:1rem;margin:0}
p{max-width:44rem}.soft,figcaption{color:var(--soft);font-size:.875rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;overflow-wrap:normal}
th,td{padding:.3rem .75rem .3rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--faint)}
td.n,th.n{text-align:right;white-space:nowrap}thead th{color:var(--soft);font-weight:600}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,22rem),1fr));gap:1.5rem}
figure{margin:.5rem 0}figure h3{margin-bottom:.25rem}svg{display:block;width:100%;height:auto}
svg text{fill:var(--ink);font:13px system-ui,sans-serif}svg .soft{fill:var(--soft);font-size:13px}
.axis{stroke:var(--faint);stroke-width:1}.zero{stroke:var(--soft);stroke-width:1}.dash{stroke-dasharray:4 4}
.s0{--c:var(--s0)}.s1{--c:var(--s1)}.s2{--c:var(--s2)}.s3{--c:var(--s3)}.s4{--c:var(--s4)}.s5{--c:var(--s5)}
.fill{fill:var(--c)}.stroke{stroke:var(--c);fill:none;stroke-width:2}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1rem;margin:.25rem 0;padding:0;font-size:.875rem}
.legend span{display:inline-block;width:.8em;height:.8em;border-radius:.15em;background:var(--c);margin-right:.4em}
article{background:var(--card);border-radius:.5rem;padding:.75rem 1rem;margin:.75rem 0}
article ol,article ul{margin:.25rem 0;padding-left:1.5rem}article p{margin:.25rem 0}
"""


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
