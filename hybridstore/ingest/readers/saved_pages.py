"""Web pages as browsers save them in one file, with their addresses: MHTML (Chrome, Edge), web archives (Safari)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hybridstore.errors import InputError
from hybridstore.ingest.readers.encodings import decoded
from hybridstore.ingest.readers.html import page_of, web_address
from hybridstore.ingest.readers.mail import header, payload, read_mail
from hybridstore.ingest.readers.origin import Origin, Unreadable
from hybridstore.records import Document

if TYPE_CHECKING:
    from email.message import Message


def read_mhtml(origin: Origin) -> Document:
    """Return the page that an MHTML file holds; its frames and pictures are left out. One without a page is a message.

    Its address is that of the snapshot, or of the page's own part.
    """
    import email
    import email.policy

    try:
        message = email.message_from_bytes(origin.data(), policy=email.policy.compat32)
        page = next((part for part in message.walk() if part.get_content_type() == "text/html"), None)
        found = None if page is None else _page(origin, payload(page), _addresses(message, page))
    except RecursionError:  # parts within each other, which mail can be
        found = None
    if found is None:
        return read_mail(origin)
    return found if found.title else replace(found, title=header(message, "subject"))


def read_webarchive(origin: Origin) -> Document:
    """Return the page that a web archive holds; its frames and pictures are left out."""
    import plistlib
    from xml.parsers.expat import ExpatError

    try:
        main = plistlib.loads(origin.data())["WebMainResource"]
        data, encoding = main["WebResourceData"], main.get("WebResourceTextEncodingName")
        text = data.decode(encoding) if isinstance(encoding, str) else decoded(data)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, ExpatError) as error:
        raise Unreadable(origin.name, "is not a web archive, or is damaged") from error
    found = _page(origin, text, [main.get("WebResourceURL")])
    if found is None:
        raise Unreadable(origin.name, "contains no text")
    return found


def _addresses(message: Message, page: Message) -> list[str]:
    return [header(message, "snapshot-content-location"), header(page, "content-location")]


def _page(origin: Origin, text: str, addresses: list[Any]) -> Document | None:
    try:
        page = page_of(text)
    except InputError as error:
        raise Unreadable(origin.name, str(error)) from error
    address = next(filter(None, map(web_address, addresses)), page.address)
    if not page.text or "\0" in page.text:
        return None
    return Document(text=page.text, title=page.title, uri=address, format="markdown")
