"""Text in Office's drawings: equations as a line, and the words of charts and diagrams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hybridstore.ingest.readers.archives import attribute, first, name_of, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hybridstore.ingest.readers.archives import Archive


def equation(node: Any) -> str:  # noqa: PLR0911 - one for each construct
    """Return an Office equation (OMML) on one line: x^2, a_i, (a + b)/c, √(x), ∑_(i=1)^n."""
    name = name_of(node)
    if name == "t":
        return node.text or ""
    if name.endswith("Pr") or name in {"del", "moveFrom"}:
        return ""

    def part(wanted: str) -> str:
        child = first(node, wanted)
        return "" if child is None else equation(child)

    if name == "f":
        return f"{_grouped(part('num'))}/{_grouped(part('den'))}"
    if name in {"sSup", "sSub", "sSubSup", "nary"}:
        operator = _character(node, "naryPr", "chr", "∫") if name == "nary" else part("e")
        lower, upper = (
            f"{sign}{_grouped(text)}" if text else "" for sign, text in (("_", part("sub")), ("^", part("sup")))
        )
        return f"{operator}{lower}{upper}" + (f" {part('e')}" if name == "nary" else "")
    if name == "rad":
        return f"{part('deg')}√{_grouped(part('e'))}"
    if name == "d":
        inner = ", ".join(equation(child) for child in node if name_of(child) == "e")
        return f"{_character(node, 'dPr', 'begChr', '(')}{inner}{_character(node, 'dPr', 'endChr', ')')}"
    if name in {"limLow", "limUpp"}:
        return f"{part('e')}{'_' if name == 'limLow' else '^'}{_grouped(part('lim'))}"
    if name in {"m", "mr", "eqArr"}:
        separator = ", " if name == "mr" else "; "
        return separator.join(text for child in node if (text := equation(child)))
    return (" " if name == "func" else "").join(equation(child) for child in node)


def _grouped(text: str) -> str:
    return text if len(text) <= 1 or text.isalnum() else f"({text.strip()})"


def _character(node: Any, settings: str, name: str, default: str) -> str:
    found = first(node, settings, name)
    return default if found is None else attribute(found, "val", default)


def diagram_text(archive: Archive, relations: Mapping[str, tuple[str, str]], node: Any) -> str:
    """Return the words of the charts and diagrams that a drawing refers to, one a line."""
    found: dict[str, None] = {}
    for part in node.iter():
        for key in ("id", "dm"):
            kind, target = relations.get(attribute(part, key), ("", ""))
            if kind in {"chart", "diagramData", "chartEx"}:
                root = archive.xml(target)
                texts = () if root is None else (leaf for leaf in root.iter() if name_of(leaf) in {"t", "v"})
                found |= {text: None for leaf in texts if (text := words(leaf.text)) and not _is_number(text)}
    return "\n".join(found)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
