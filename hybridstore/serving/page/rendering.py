"""Rendering: templates in which all text is escaped, and the page's own files.

Stored text is not trusted: it is escaped, and a uri becomes a link only where it is one of the web. The server's
headers let nothing else run or load than the files here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import jinja2
from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup

from hybridstore.errors import HybridstoreError
from hybridstore.serving.error_sentences import error_sentence
from hybridstore.views.html_page import STATIC, fit

_HERE = Path(__file__).parent
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# With "no-referrer" browsers send forms as from "null", which the guard rejects.
_HEADERS = {"Referrer-Policy": "same-origin"}
_YEAR = 31_536_000  # seconds


def _files() -> dict[str, bytes]:
    """Return the files of the views and of the page by name; of two with one name, that of the page."""
    folders = (STATIC, _HERE / "static")
    paths = (path for folder in folders for path in sorted(folder.iterdir()) if path.suffix in _TYPES)
    return {path.name: path.read_bytes() for path in paths}


_STATIC = _files()
_VERSION = hashlib.sha256(b"".join(_STATIC.values())).hexdigest()[:12]


def static_routes() -> APIRouter:
    """Return the route of the page's own files, which browsers keep until the package changes."""
    router = APIRouter()

    @router.get("/static/{name}", include_in_schema=False)
    def static(name: str) -> Response:
        if name not in _STATIC:
            raise HTTPException(404)
        kept = {"Cache-Control": f"public, max-age={_YEAR}, immutable"}  # the address has the version
        return Response(_STATIC[name], media_type=_TYPES[Path(name).suffix], headers=kept)

    return router


def link(path: str, **parameters: Any) -> str:
    """Return a path of this page with parameters; those that are None or "" are left out."""
    present = {name: value for name, value in parameters.items() if value not in (None, "")}
    return f"{path}?{urlencode(present, doseq=True, errors='replace')}" if present else path


def web_link(uri: str) -> str | None:
    """Return a uri that may be a link: one of the web. None for any other, such as `javascript:`."""
    try:
        parts = urlsplit(uri.strip())
    except ValueError:
        return None
    return uri.strip() if parts.scheme in ("http", "https") and parts.netloc else None


def shown_size(size: float) -> str:
    """Return a number of bytes as people write it: "312 bytes", "4.1 MB"."""
    if size < 1000:
        return f"{size:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000 or unit == "GB":
            return f"{size:.1f} {unit}" if size < 10 else f"{size:.0f} {unit}"
    raise AssertionError


def shown_time(when: str | datetime) -> str:
    """Return a moment as "2026-03-01 14:30"; text that is none unchanged."""
    try:
        moment = datetime.fromisoformat(when) if isinstance(when, str) else when
    except ValueError:
        return str(when)
    return f"{moment:%Y-%m-%d %H:%M}"


def shown_value(value: object) -> str:
    """Return a value of metadata as text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def said(error: HybridstoreError) -> str:
    """Return an error as a whole sentence."""
    sentence = error_sentence(error)
    return f"{sentence[:1].upper()}{sentence[1:]}{'' if sentence.endswith(('.', '?', '!')) else '.'}"


def ordinal(number: int) -> str:
    """Return "1st", "22nd", "113th"."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


def counted(count: int, noun: str) -> str:
    """Return "1 document", "1,234 documents"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def cut_at_word(line: str, length: int) -> str:
    """Return a line, or its words within the first `length` characters and an ellipsis."""
    return line if len(line) <= length else f"{line[:length].rsplit(' ', 1)[0]} …"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: fit(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
        auto_reload=False,
    )
    environment.globals |= {"link": link, "web_link": web_link, "version": _VERSION, "counted": counted}
    environment.filters |= {"size": shown_size, "time": shown_time, "value": shown_value, "ordinal": ordinal}
    return environment


_ENVIRONMENT = _environment()


def render(template: str, values: Mapping[str, Any], *, status: int = 200) -> HTMLResponse:
    """Return a page, or a part of one, made of a template."""
    return HTMLResponse(_ENVIRONMENT.get_template(template).render(values), status, _HEADERS)
