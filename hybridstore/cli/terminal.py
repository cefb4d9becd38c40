"""What goes to the terminal: data to standard output, talk to standard error, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

_PIPED_WIDTH = 100  # columns where there is no terminal to ask
# Text from files can hold escape sequences; shown as pictures (␛) they cannot drive anyone's terminal.
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
_PICTURES |= {0x7F: "␡", **dict.fromkeys(range(0x80, 0xA0), "�")}


def console() -> Console:
    """Give a console for standard output that takes text as it is: no markup, no emoji codes."""
    from rich.console import Console

    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPED_WIDTH
    return Console(markup=False, emoji=False, highlight=False, width=width)


def say(sentence: str) -> None:
    """Tell the person something that is no data."""
    click.echo(printable(sentence), err=True)


def somebody_to_ask() -> bool:
    """Whether somebody sits there who could answer a question."""
    return sys.stdin.isatty()


def count(number: int, noun: str) -> str:
    """Give "1 document", "2,000 documents"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(number: float) -> str:
    """Give bytes as "12 bytes", "3.4 MB"."""
    for unit in ("bytes", "KB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def printable(text: str) -> str:
    """Give the text, as long as it was, with a picture for each control character."""
    return text.translate(_PICTURES).encode("utf-8", "replace").decode()


def print_exactly(text: str) -> None:
    """Print a text that is data: a program gets it as it is, a terminal without what would drive it."""
    if sys.stdout.isatty():
        click.echo(printable(text))
    else:
        click.echo(text.encode("utf-8", "replace").decode(), color=True)  # else click takes escape sequences out


def print_json(value: Any) -> None:
    """Print one JSON value, indented."""
    click.echo(_dumped(value, indent=2))


def print_json_list(values: Iterable[Any]) -> None:
    """Print a JSON list, an element a line, while it is being made."""
    separator = "[\n"
    for value in values:
        click.echo(separator + _dumped(value), nl=False)
        separator = ",\n"
    click.echo("[]" if separator == "[\n" else "\n]")


def _dumped(value: Any, indent: int | None = None) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return text.encode("utf-8", "backslashreplace").decode()  # half a surrogate becomes its JSON escape
