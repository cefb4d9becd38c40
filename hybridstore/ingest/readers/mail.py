"""The mail reader: a message (eml) or a mailbox (mbox) of them, decoded, without attachments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hybridstore.ingest.readers.archives import words
from hybridstore.ingest.readers.encodings import decoded
from hybridstore.ingest.readers.html import markdown_of
from hybridstore.ingest.readers.origin import Origin, Unreadable
from hybridstore.records import Document

if TYPE_CHECKING:
    from email.message import Message

_LARGEST = 1 << 26  # bytes of a message with its attachments; mail servers refuse more than 50 MB
_LONGEST_HEADER = 10_000  # characters; Python decodes a header in quadratic time
_DEEPEST = 20  # messages and parts within each other
_FROM = re.compile(rb"From \S")
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_PEOPLE = ("from", "to", "cc")


def read_mail(origin: Origin) -> Document:
    """Return a message: subject as title, people and date as lines and as metadata, then its text.

    Of alternatives, plain text is preferred to HTML; forwarded messages are included; attachments are only named.
    """
    message = _message(origin, origin.data(), kind="eml")
    if message is None:
        raise Unreadable(origin.name, "is not a mail message, or has neither a subject nor text")
    return message


def read_mailbox(origin: Origin, kind: str) -> Iterator[Document]:
    """Yield a document for each message of an mbox file, whose id is the path, "#", and the Message-ID or number.

    Only one message is in memory at a time; one above 64 MiB, with its attachments, is left out.
    """
    seen: set[str] = set()
    left_out: list[int] = []
    for number, data in enumerate(_messages(origin), start=1):
        message = _message(origin, data, kind) if len(data) <= _LARGEST else None
        if message is None:
            left_out.append(number)
            continue
        name = str(message.metadata.get("message_id", number))
        name = f"{name}-{number}" if name in seen else name
        seen.add(name)
        id_ = f"{origin.name}#{name}"
        title = message.title or f"{origin.stem}, message {number}"
        yield Document(text=message.text, id=id_, uri=id_, title=title, metadata=message.metadata, format="markdown")
    if not seen:
        raise Unreadable(origin.name, "contains no mail messages")
    if left_out:
        shown = ", ".join(f"{number:,}" for number in left_out[:5]) + (", …" if len(left_out) > 5 else "")
        origin.notice(
            f"{len(left_out):,} of its messages ({shown}) left out: without text, or above {_LARGEST >> 20} MB"
        )


def _messages(origin: Origin) -> Iterator[bytes]:
    """Yield the messages of a mailbox, divided by lines that begin with "From " after a blank one."""
    with origin.open() as stream:
        lines: list[bytes] = []
        size, blank, started = 0, True, False
        while line := stream.readline(_LARGEST):
            if blank and _FROM.match(line):
                if started and size:
                    yield _QUOTED_FROM.sub(rb"\1", b"".join(lines))
                lines, size, started = [], 0, True
            elif size <= _LARGEST:
                lines.append(line)
                size += len(line)
            blank = not line.strip()
        if not size:
            raise Unreadable(origin.name, "is empty" if not started else "contains no mail messages")
        yield _QUOTED_FROM.sub(rb"\1", b"".join(lines))


def _message(origin: Origin, data: bytes, kind: str) -> Document | None:
    """Return a message as a document, None if it has neither a subject nor text."""
    import email
    import email.policy

    try:
        message = email.message_from_bytes(data, policy=email.policy.compat32)
    except RecursionError:  # hundreds of messages within each other, of which the outermost may have a text
        message = email.message_from_bytes(data.replace(b"message/rfc822", b"text/plain"), policy=email.policy.compat32)
    headers = {name: header(message, name) for name in ("subject", "date", "message-id", *_PEOPLE)}
    if not any(headers.values()):
        return None
    attachments: list[str] = []
    body = "\n\n".join(_texts(origin, message, attachments, 0)).strip()
    if not body and not headers["subject"]:
        return None
    if message.get_content_type() in {"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"}:
        origin.notice("a message is encrypted: only its subject, people and date were read")
    date = _date(headers["date"])
    shown = [("From", headers["from"]), ("To", headers["to"]), ("Cc", headers["cc"]), ("Date", date)]
    lines = [f"{name}: {value}" for name, value in [*shown, ("Attachments", ", ".join(attachments))] if value]
    metadata: dict[str, Any] = {"path": origin.name, "type": kind, **{name: headers[name] for name in _PEOPLE}}
    metadata |= {"date": date, "message_id": headers["message-id"].strip("<>"), "attachments": attachments}
    return Document(
        text="\n\n".join(filter(None, ("\n".join(lines), body))),
        title=headers["subject"],
        metadata={name: value for name, value in metadata.items() if value},
        format="markdown",
    )


def header(message: Message, name: str) -> str:
    """Return a header decoded and on one line; what cannot be decoded stays as it is."""
    from email.header import decode_header

    raw = message.get(name)
    if raw is None:
        return ""
    text = str(raw)[:_LONGEST_HEADER]
    try:
        parts = decode_header(text if isinstance(raw, str) else raw)
    except Exception:  # noqa: BLE001 - email raises many kinds for invalid encoded words
        parts = [(text, None)]
    decoded = "".join(part if isinstance(part, str) else _decoded(part, charset) for part, charset in parts)
    try:  # raw bytes that no RFC allows are surrogates by now
        decoded = decoded.encode("ascii", "surrogateescape").decode("utf-8") if not decoded.isascii() else decoded
    except UnicodeError:
        decoded = decoded.encode("utf-8", "replace").decode()
    return words(decoded.replace("\0", ""))


def _date(text: str) -> str:
    """Return a date in ISO 8601, in UTC; "" if it is invalid."""
    from email.utils import parsedate_to_datetime

    try:
        date: datetime = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, TypeError, OverflowError, IndexError):
        return ""


def _texts(origin: Origin, part: Message, attachments: list[str], depth: int) -> Iterator[str]:
    """Yield the texts of a message's parts in order; the names of attachments are added to `attachments`."""
    kind = part.get_content_type()
    name = words(part.get_filename() or "") if depth else ""
    children: Any = part.get_payload() if part.is_multipart() else []
    if depth > _DEEPEST or (part.get_content_disposition() == "attachment" and kind != "message/rfc822"):
        attachments.append(name or kind)
    elif kind == "multipart/alternative":
        choices = [(list(_texts(origin, child, [], depth + 1)), child) for child in children]
        readable = [(texts, child) for texts, child in choices if "".join(texts).strip()]
        plain = [texts for texts, child in readable if child.get_content_type() == "text/plain"]
        yield from plain[0] if plain else readable[-1][0] if readable else []
    elif kind == "message/rfc822":
        for child in children:
            forwarded = [header(child, name) for name in ("from", "subject")]
            yield "Forwarded message: " + ", ".join(filter(None, forwarded))
            yield from _texts(origin, child, attachments, depth + 1)
    elif children:
        for child in children:
            yield from _texts(origin, child, attachments, depth + 1)
    elif kind == "text/html":
        yield markdown_of(payload(part))[0]
    elif kind in {"text/plain", "text/markdown", "text/enriched", "message/delivery-status"} and not name:
        yield payload(part).replace("\r\n", "\n").strip()
    elif kind.startswith("multipart/"):  # without parts: its boundary is damaged
        yield payload(part).strip()
    else:
        attachments.append(name or kind)


def payload(part: Message) -> str:
    """Return the text of a part, decoded."""
    data: Any = part.get_payload(decode=True)
    return _decoded(data if isinstance(data, bytes) else b"", part.get_content_charset())


def _decoded(data: bytes, charset: str | None) -> str:
    """Decode by the charset that is named, else by the one that fits."""
    try:
        return data.decode(charset or "utf-8").replace("\0", "")
    except (LookupError, UnicodeError, ValueError):
        return decoded(data.replace(b"\0", b""))
