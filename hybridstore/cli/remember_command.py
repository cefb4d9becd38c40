"""`remember`: a note, or a conversation, into a namespace's memory."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.shared_options import (
    AS_WORDS,
    DURATION,
    ON_SIMILAR,
    QueryCommand,
    Target,
    examples,
    json_option,
    namespace_option,
    new_store_options,
    pass_target,
)
from hybridstore.cli.terminal import count, print_json, printable, say
from hybridstore.errors import InputError

if TYPE_CHECKING:
    from hybridstore.memory import Remembered

_STDIN = "-"
_OF_NOTES = ("id", "valid_from", "valid_to", "supersedes")
_NAMED = 5  # messages left out


def _metadata(_: click.Context, __: click.Parameter, pairs: tuple[str, ...]) -> dict[str, Any] | None:
    """Parse `key=value` pairs, values as in `--where`; None for none."""
    from hybridstore.filters import value_from_text

    metadata: dict[str, Any] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key.strip():
            raise click.BadParameter(f"{pair!r} is not a pair; write key=value, such as lang=en or year=2026")
        if key.strip() in metadata:
            raise click.BadParameter(f'{key.strip()!r} is repeated; write several values as a list: tags=["a", "b"]')
        metadata[key.strip()] = value_from_text(value)
    return metadata or None


@click.command(
    cls=QueryCommand,
    context_settings=AS_WORDS,
    epilog=examples(
        "hybridstore remember Anna lives in Paris --id anna-home",
        "hybridstore remember Anna moved to Rome --occurred-at 2026-03-01 --supersedes anna-home",
        "hybridstore remember --namespace user/42 'The meeting is in room 4' --ttl 12h --meta topic=meeting",
        "git log -1 --format=%B | hybridstore remember - --session release",
        "hybridstore remember --messages chat.jsonl --session trip",
    ),
)
@click.argument("words", metavar="[TEXT...]", nargs=-1)
@namespace_option
@click.option("--id", "identifier", metavar="ID", help="The note's id; an existing note gets the new text.")
@click.option("--session", metavar="NAME", help="The conversation it belongs to.")
@click.option("--occurred-at", metavar="TIME", help="When it happened: 2026-03-01, or 2026-03-01T14:30:00Z.")
@click.option("--valid-from", metavar="TIME", help="When it starts to hold; default: when it happened.")
@click.option("--valid-to", metavar="TIME", help="When it stops holding.")
@click.option("--ttl", type=DURATION, metavar="TIME", help="How long until it expires: 90s, 12h, 30d.")
@click.option("--supersedes", multiple=True, metavar="ID", help="A note that no longer holds; repeatable.")
@click.option(
    "--on-similar",
    default="keep",
    type=click.Choice(ON_SIMILAR),
    help="What to do when similar notes exist: keep both, link them, supersede them, or fail.",
)
@click.option(
    "--meta",
    "metadata",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_metadata,
    help="Metadata to filter by; values are read as JSON where possible: year=2026. Repeatable.",
)
@click.option("--messages", metavar="FILE", help='A conversation: a JSON list or JSON Lines; "-" is standard input.')
@new_store_options
@json_option
@pass_target
def remember(
    target: Target,
    /,
    *,
    words: tuple[str, ...],
    namespace: tuple[str, ...],
    identifier: str | None,
    messages: str | None,
    embedder: str | None,
    language: str | None,
    as_json: bool,
    **how: Any,
) -> None:
    """Store TEXT as a note, creating the store if it is missing. TEXT "-" is standard input.

    The same text is not stored twice. A note that supersedes others hides them from now on; `recall --as-of` and
    `history` still find them. With --messages, the turns of a conversation are stored, each {"role": "user",
    "content": "..."} with optional name, time, id and metadata; pass a growing conversation again, and only what is new
    is added.
    """
    from hybridstore.memory import Memory

    if bool(words) == (messages is not None):
        raise click.UsageError('give TEXT, "-" for standard input, or --messages FILE; exactly one of the three')
    how["id"] = identifier
    if messages is not None and any(how[name] is not None and how[name] != () for name in _OF_NOTES):
        raise click.UsageError("--id, --valid-from, --valid-to and --supersedes are for a note, not for --messages")
    if messages is not None:
        content: Any = _messages(messages)
    else:
        content = _text(_STDIN).rstrip() if words == (_STDIN,) else " ".join(words)
    with target.open_to_add(embedder=embedder, language=language) as store:
        remembered = Memory(store, namespace).remember(content, **how)
        target.if_stopped = "It is remembered."
    if as_json:
        print_json(asdict(remembered))
    else:
        click.echo(printable(_note_result(remembered) if messages is None else _turns_result(remembered)))
        for _, why in remembered.left_out[:_NAMED]:
            say(printable(f"left out: {why}"))
        if len(remembered.left_out) > _NAMED:
            say(f"and {len(remembered.left_out) - _NAMED:,} more messages")


def _text(file: str) -> str:
    """Read a file, or standard input for "-", as UTF-8; raises InputError."""
    name = _name(file)
    try:
        content = sys.stdin.buffer.read() if file == _STDIN else Path(file).read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 text: see its byte {error.start:,}") from error


def _messages(file: str) -> list[Any]:
    """Read a conversation: a JSON list, an object with one, or JSON lines, of which invalid ones are reported.

    Raises InputError if no line is JSON. `Memory.remember` checks the content of the messages.
    """
    name, text = _name(file), _text(file)
    try:
        content = json.loads(text) if text.lstrip().startswith(("[", "{")) else None
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("["):
            raise _not_json(name, error) from error
        content = None
    messages = [content] if isinstance(content, dict) else content or []
    invalid: list[InputError] = []
    for number, line in enumerate(text.split("\n") if content is None else (), start=1):
        try:
            messages += [json.loads(line)] if line.strip() else []
        except (ValueError, RecursionError) as error:
            invalid.append(_not_json(f"line {number} of {name}", error))
    if not messages:
        raise invalid[0] if invalid else InputError(f"{name} contains no message; write a JSON list of messages")
    for failure in invalid[:_NAMED]:
        say(f"left out: {failure}")
    if len(invalid) > _NAMED:
        say(f"and {len(invalid) - _NAMED:,} more lines that are not JSON")
    return list(messages)


def _not_json(name: str, error: Exception) -> InputError:
    return InputError(
        f'{name} is not JSON ({error}); messages are a list of {{"role": "user", "content": "…"}}, or one a line'
    )


def _name(file: str) -> str:
    return "standard input" if file == _STDIN else file


def _note_result(remembered: Remembered) -> str:
    remarks = {"unchanged": "; it was known already", "updated": "; it was known, its metadata is new"}
    remark = remarks.get(remembered.status, "")
    if remembered.supersedes:
        remark = f"; it supersedes {', '.join(remembered.supersedes)}"
    elif remembered.similar:
        remark += f"; similar to {', '.join(f'{id_} ({cosine:.2f})' for id_, cosine in remembered.similar)}"
    return f"{'added' if remembered.added else remembered.status} {remembered.id}{remark}"


def _turns_result(remembered: Remembered) -> str:
    known = len(remembered.ids) - remembered.added
    before = f"; {count(known, 'turn')} {'was' if known == 1 else 'were'} known already" if known else ""
    if not remembered.added:
        return f"unchanged {remembered.id}{before}"
    new = remembered.ids[known:]
    return f"added {new[0] if len(new) == 1 else f'{new[0]} to {new[-1]}'}{before}"
