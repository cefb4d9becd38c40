"""Conversations as programs keep them: a JSON list of messages, or JSON Lines, in a file or on standard input."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from hybridstore.errors import InputError

STDIN = "-"


def text_of(file: str) -> str:
    """Read a file, or standard input for "-", as UTF-8; raises InputError for what cannot be read so."""
    name = _named(file)
    try:
        content = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is no text in UTF-8: see its byte {error.start:,}") from error


def messages_of(file: str) -> list[Any]:
    """Read the messages of a conversation; raises InputError naming the line that is no JSON, or if there are none.

    What a message must hold is seen to by `Memory.remember`.
    """
    name, text = _named(file), text_of(file)
    if text.lstrip().startswith("["):
        messages = _parsed(text, name)
    else:
        lines = enumerate(text.split("\n"), start=1)
        messages = [_parsed(line, f"line {number} of {name}") for number, line in lines if line.strip()]
    if not messages:
        raise InputError(f"{name} holds no message; write a JSON list of them, or one a line")
    return list(messages)


def _parsed(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f'{name} is no JSON ({error}); messages are a list of {{"role": "user", "content": "…"}}, or one a line'
        ) from error


def _named(file: str) -> str:
    return "standard input" if file == STDIN else file
