"""OpenAI-compatible endpoints: a language model that is asked by HTTP.

Texts leave this machine only here, and only where a caller names an endpoint. The protocol is "chat completions" (POST
URL/chat/completions), which OpenAI, vLLM, llama.cpp, Ollama and LM Studio all speak.
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, NoReturn

from hybridstore.errors import InputError, ModelUnavailable

KEY_VARIABLE = "OPENAI_API_KEY"
_RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})  # status codes that may pass
_LONGEST_PAUSE = 60.0  # seconds, whatever the server asks for
_LONGEST_REPLY = 2**22  # bytes
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Rejects redirects: a redirected POST would lose its body, and take the key to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


def direct_opener(url: str) -> urllib.request.OpenerDirector:
    """Return what opens a URL without following redirects, and without a proxy where it is this machine's."""
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if urllib.parse.urlsplit(url).hostname in _LOCAL:
        handlers.append(urllib.request.ProxyHandler({}))  # a proxy cannot reach this machine itself
    return urllib.request.build_opener(*handlers)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint and the name of its model.

    `url` is the part before /chat/completions, such as http://localhost:11434/v1. `key` None takes OPENAI_API_KEY from
    the environment, if it is set. `timeout` is in seconds for each attempt; `attempts` are made with growing pauses
    (`pause`, twice that, …, or what the server asks for). Raises InputError for an invalid URL.
    """

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 60.0
    attempts: int = 5
    pause: float = 1.0

    def __post_init__(self) -> None:
        try:
            parts = urllib.parse.urlsplit(self.url)
            host = parts.hostname
        except ValueError:
            host = None
        if not host or parts.scheme not in ("http", "https"):
            raise InputError(f"an endpoint is a URL such as http://localhost:11434/v1, not {self.url!r}")
        if not self.model:
            raise InputError("name the endpoint's model, such as --model llama3.2")

    def complete(self, prompt: str) -> str:
        """Send one prompt to the model and return its reply.

        Raises ModelUnavailable for an endpoint that cannot be reached, fails, or replies in another format.
        """
        body = {"model": self.model, "messages": [{"role": "user", "content": prompt}], "temperature": 0.0}
        reply = self._post(json.dumps(body).encode())
        try:
            content = json.loads(reply)["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError) as error:
            self._fail(
                "it does not reply as chat completions do; does its OpenAI-compatible part have this URL?", error
            )
        if not isinstance(content, str):
            self._fail("its reply has no text")
        return content

    def _post(self, body: bytes) -> bytes:
        request = urllib.request.Request(f"{self.url.rstrip('/')}/chat/completions", data=body, method="POST")  # noqa: S310 - checked above
        request.add_header("Content-Type", "application/json")
        key = os.environ.get(KEY_VARIABLE) if self.key is None else self.key
        if key:
            request.add_header("Authorization", f"Bearer {key}")
        opener = direct_opener(self.url)
        for attempt in range(1, self.attempts + 1):
            retry_after = None
            try:
                with opener.open(request, timeout=self.timeout) as response:
                    read: bytes = response.read(_LONGEST_REPLY)
                    return read
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in _RETRIED or attempt == self.attempts:
                        self._fail(_server_error(error), error)
                    retry_after = _retry_after(error.headers)
            except (OSError, ValueError) as error:  # URLError, a timeout, a broken connection or status line
                if attempt == self.attempts:
                    reason = getattr(error, "reason", error)
                    self._fail(f"it cannot be reached ({reason}); start it, or look at its address", error)
            time.sleep(min(retry_after or self.pause * 2 ** (attempt - 1), _LONGEST_PAUSE))
        raise InputError(f"attempts must be at least 1, not {self.attempts}")

    def _fail(self, reason: str, cause: Exception | None = None) -> NoReturn:
        raise ModelUnavailable(self.model, f"at {self.url}: {reason}") from cause


def _server_error(error: urllib.error.HTTPError) -> str:
    """Return the server's error message, and what might help."""
    try:
        reply: Any = json.loads(error.read(_LONGEST_REPLY))
        message = reply["error"]["message"] if isinstance(reply["error"], dict) else reply["error"]
    except (OSError, ValueError, KeyError, TypeError):
        message = error.reason
    remedy = {401: f"; set {KEY_VARIABLE}", 403: f"; set {KEY_VARIABLE}", 404: "; check its URL and the model's name"}
    return f"it answered {error.code} ({message}){remedy.get(error.code, '')}"


def _retry_after(headers: Message) -> float | None:
    try:
        return max(float(headers.get("Retry-After", "")), 0.0)
    except ValueError:
        return None
