"""What of an HTML page is not its text: hidden elements, menus, and banners that ask for consent to cookies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_OMITTED = frozenset(("script", "style", "template", "svg", "head", "iframe", "object", "noscript"))
_HIDING = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_MENU_ROLES = frozenset(("navigation", "menu", "menubar", "search"))
_MENU_CLASSES = frozenset(
    """
    nav navbar navigation topnav sidenav sidebar sphinxsidebar breadcrumb breadcrumbs menubar main-menu site-menu
    nav-menu site-navigation main-navigation pagination
    """.split()  # noqa: SIM905 - a list of words reads better without quotes
)
_LONGEST_NAME = 400  # characters of an id, or of the classes together, that are looked at
_CONSENT = re.compile(
    r"onetrust|cybotcookie|usercentrics|didomi|cmpbox|iubenda-cs|cc-window|truste|(?:cookie|consent|gdpr)[\w-]{0,40}?"
    r"(?:banner|notice|bar\b|popup|modal|dialog|overlay|message|container|wrapper|layer|prompt|alert|window)",
    re.IGNORECASE,
)
_CONTAINERS = frozenset(("div", "section", "aside", "dialog", "form", "ul", "ol", "table", "header", "footer"))
_ANCHORS = frozenset(
    ("headerlink", "hash-link", "doc-anchor", "heading-anchor", "anchorjs-link")
)  # ¶, #, § at headings


def is_hidden(tag: str, attributes: Mapping[str, str]) -> bool:
    """Return whether an element is never shown; a closed `<details>` or what is "until-found" can be opened."""
    if tag in _OMITTED or attributes.get("hidden", "until-found") != "until-found":
        return True
    if tag == "a" and any(name in _ANCHORS or name.startswith("skip") for name in attributes.get("class", "").split()):
        return True
    return bool(_HIDING.search(attributes.get("style", ""))) or (tag == "dialog" and "open" not in attributes)


def is_menu(tag: str, attributes: Mapping[str, str], *, marked: bool) -> bool:
    """Return whether an element is for moving about, or asks for consent; `marked` says that the page has a `<main>`.

    Elements with aria-hidden count too: the whole of a page has it while a dialog is open.
    """
    if tag == "nav" or attributes.get("role") in _MENU_ROLES or attributes.get("aria-hidden") == "true":
        return True
    if tag not in _CONTAINERS:
        return False
    named = f"{attributes.get('id', '')[:_LONGEST_NAME]} {attributes.get('class', '')[:_LONGEST_NAME]}"
    return _CONSENT.search(named) is not None or not (marked or _MENU_CLASSES.isdisjoint(named.lower().split()))
