"""Two streams to the store behind a server (`hybridstore serve --exchange`), over a few requests to it."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from http.client import HTTPException
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit, urlunsplit

from hybridstore.endpoint import direct_opener
from hybridstore.errors import FileRefused, InputError

TOKEN_VARIABLE = "HYBRIDSTORE_TOKEN"  # noqa: S105 - the name of a variable

_ANOTHER = "is it `hybridstore serve --exchange`, and the address the one that it printed?"
_PART = 1 << 20  # bytes of a request's body
_TIMEOUT = 600.0  # seconds for an answer: the server may be looking through, or merging, a large store


class ServerStreams:
    """A reader and a writer; what was written goes to the server when it is read from.

    `address` is what the server prints, with the token as `?token=`; without that it is HYBRIDSTORE_TOKEN in the
    environment, if it is set. As a context manager it begins an exchange, and waits at the end until the server has
    written what it received. Raises InputError for an invalid address; FileRefused where the server cannot be reached,
    or refuses.
    """

    def __init__(self, address: str) -> None:
        try:
            parts = urlsplit(address)
            found = bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            found = False
        if not found:
            raise InputError("a server's address is a URL such as http://box.lan:8766/?token=TOKEN")
        token = parse_qs(parts.query).get("token", [os.environ.get(TOKEN_VARIABLE, "")])[0]
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._url = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + "/api/exchange", "", ""))
        self._opener = direct_opener(self._url)
        self._said, self._heard = bytearray(), bytearray()
        self._begun = False

    def __enter__(self) -> Self:
        answer = self._ask("POST")
        try:
            self._url += "/" + str(json.loads(answer)["exchange"])
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise FileRefused("the server", f"answered something else than an exchange; {_ANOTHER}") from error
        self._begun = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if error is None and self._said:
                self._send()
            self._ask("DELETE")
        except FileRefused:
            if error is None:
                raise

    def write(self, data: memoryview) -> int:
        """Keep bytes for the server, which gets them in large parts."""
        self._said += data
        if len(self._said) >= _PART:
            self._send()
        return len(data)

    def flush(self) -> None:
        """Do nothing: the other side hears what was written when it is waited for."""

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes of what the server says; none where both sides wait for each other."""
        if not self._heard:
            self._send()
        part = bytes(self._heard[:size])
        del self._heard[:size]
        return part

    def _send(self) -> None:
        while True:
            body = bytes(self._said[:_PART])
            del self._said[:_PART]
            self._heard += self._ask("POST", body)
            if not self._said:
                return

    def _ask(self, method: str, body: bytes = b"") -> bytes:
        headers = self._headers | {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(self._url, body or None, headers, method=method)  # noqa: S310 - the user's own address
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as answer:
                heard: bytes = answer.read()
                return heard
        except urllib.error.HTTPError as error:
            with error:
                raise FileRefused("the server", self._reason(error)) from error
        except (OSError, ValueError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            if self._begun:
                raise FileRefused("the server", f"has gone ({reason}); exchange again") from error
            raise FileRefused("the server", f"cannot be reached ({reason}); is the address right?") from error

    def _reason(self, error: urllib.error.HTTPError) -> str:
        """Return why the server did not do what it was asked."""
        if error.code == 401:
            return f"wants its token, and got another one or none; add ?token=TOKEN, or set {TOKEN_VARIABLE}"
        if error.code // 100 == 3:
            return "redirects; use the address that it leads to, such as https:// in place of http://"
        if error.code == 404 and not self._begun:
            return f"has no exchange there; {_ANOTHER}"
        return _problem(error)


def _problem(error: urllib.error.HTTPError) -> str:
    """Return what the server says was wrong."""
    try:
        problem: Any = json.loads(error.read(_PART))
        detail = str(problem["detail"])
        return detail if "; " in detail else f"{detail}; {problem['remedy']}".rstrip(".")
    except (OSError, ValueError, KeyError, TypeError):
        return f"answered {error.code}; {_ANOTHER}"
