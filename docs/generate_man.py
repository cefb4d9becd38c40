"""The manual page, docs/man/hybridstore.1, which the wheel installs for `man hybridstore`; generate_cli.py writes it.

One page for all commands. click-man would make a page of each, but it reads no group that imports its commands later.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click
from generate_cli import EXAMPLES, choices_and_values, commands

from hybridstore.cli.app import app

PAGE = Path(__file__).with_name("man") / "hybridstore.1"
ENVIRONMENT = {
    "HYBRIDSTORE_DB": "The store's file, where --db is not given.",
    "HYBRIDSTORE_DURABILITY": "What --durability is by default.",
    "HYBRIDSTORE_EMBEDDER": "The embedder of stores whose model is not known on this machine.",
    "HYBRIDSTORE_KEY": "The key of an encrypted store; there is no option for it, which other programs could read.",
    "HYBRIDSTORE_NAMESPACE": "The namespace of remembered notes.",
}
FILES = {
    "hybridstore.db": "The store in the working directory, unless another is named.",
    "hybridstore.toml": "Settings; also [tool.hybridstore] in pyproject.toml.",
}
STATUS = {
    "0": "It worked.",
    "1": "It could not be done; a sentence says why and what to do.",
    "2": "The command was written wrongly.",
    "130": "It was stopped by Ctrl-C; a sentence says what was kept.",
}


def page() -> str:
    """Return the whole page."""
    context = click.Context(app, info_name="hybridstore")
    lines = [
        "'\\\" t",
        '.TH HYBRIDSTORE 1 "" hybridstore "User Commands"',
        ".SH NAME",
        "hybridstore \\- search your own documents by word and by meaning, in one file, offline",
        ".SH SYNOPSIS",
        ".B hybridstore",
        "[\\fB\\-\\-db\\fR \\fIFILE\\fR] \\fICOMMAND\\fR [\\fIARGUMENT\\fR]...",
        ".SH DESCRIPTION",
        *_paragraphs(app.help or ""),
        ".SH OPTIONS",
        *_options(app, context),
        ".SH COMMANDS",
    ]
    for name, command in commands(context):
        lines += _command(name, command, context)
    lines += [".SH ENVIRONMENT", *_tagged(ENVIRONMENT)]
    lines += [".SH FILES", *_tagged(FILES)]
    return "\n".join([*lines, ".SH EXIT STATUS", *_tagged(STATUS)]) + "\n"


def _command(name: str, command: click.Command, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent)
    yield f".SS {_text(' '.join([name, *command.collect_usage_pieces(context)]))}"
    yield from _paragraphs(command.help or "")
    yield from _options(command, context)
    lines = [line.strip() for line in (command.epilog or "").splitlines() if line.startswith("  ")]
    yield from (".PP", "Examples:", ".nf", ".RS")
    yield from map(_text, lines or EXAMPLES[name])
    yield from (".RE", ".fi")


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            names = ", ".join(f"\\fB{_text(name)}\\fR" for name in (*option.opts, *option.secondary_opts))
            default = option.get_default(context)
            shown = isinstance(default, str | int | float) and not isinstance(default, bool)
            meaning = f"{option.help or ''}{f' Default: {default}.' if shown else ''}"
            yield from (".TP", f"{names} {_text(choices_and_values(option))}".rstrip(), _text(meaning))


def _tagged(meanings: dict[str, str]) -> Iterator[str]:
    for name, meaning in meanings.items():
        yield from (".TP", f".B {_text(name)}", _text(meaning))


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        lines = [line for line in paragraph.splitlines() if line.strip("\b ")]
        yield from (".PP", ".nf", *map(_text, lines), ".fi") if "\b" in paragraph else (".PP", *map(_text, lines))


def _text(text: str) -> str:
    """Return a line with what roff would take for a command escaped."""
    escaped = text.strip().replace("\\", "\\e").replace("-", "\\-")
    escaped = re.sub(r"[^\x00-\x7f]", lambda match: f"\\[u{ord(match[0]):04X}]", escaped)
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
