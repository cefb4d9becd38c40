"""`remember`: a note, or a conversation, into a namespace's memory."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.durations import DURATION
from hybridstore.cli.message_files import STDIN, messages_of, text_of
from hybridstore.cli.sentence_arguments import AS_WORDS, QueryCommand
from hybridstore.cli.shared_options import ON_SIMILAR, embedder_option, examples, json_option, namespace_option
from hybridstore.cli.store_option import Target, pass_target
from hybridstore.cli.terminal import count, print_json, printable

if TYPE_CHECKING:
    from hybridstore.memory import Remembered

_OF_NOTES = ("id", "valid_from", "valid_to", "supersedes")


def _metadata(_: click.Context, __: click.Parameter, pairs: tuple[str, ...]) -> dict[str, Any] | None:
    """Read `key=value` pairs, values as `--where` reads them; None where there are none."""
    from hybridstore.filters import value_from_text

    found: dict[str, Any] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key.strip():
            raise click.BadParameter(f"{pair!r} is no pair; write key=value, as lang=en or year=2026")
        if key.strip() in found:
            raise click.BadParameter(f'{key.strip()!r} is given twice; several values are a list: tags=["a", "b"]')
        found[key.strip()] = value_from_text(value)
    return found or None


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
@click.option("--id", "identifier", metavar="ID", help="What to call it; a known one gets the new text.")
@click.option("--session", metavar="NAME", help="The conversation it belongs to.")
@click.option("--occurred-at", metavar="TIME", help="When it happened: 2026-03-01, or 2026-03-01T14:30:00Z.")
@click.option("--valid-from", metavar="TIME", help="From when it holds, if not from when it happened.")
@click.option("--valid-to", metavar="TIME", help="Until when it holds.")
@click.option("--ttl", type=DURATION, metavar="TIME", help="How long until it vanishes: 90s, 12h, 30d.")
@click.option("--supersedes", multiple=True, metavar="ID", help="A note that is no longer so; repeatable.")
@click.option(
    "--on-similar",
    default="keep",
    show_default=True,
    type=click.Choice(ON_SIMILAR),
    help="What to do about notes that are much like it: keep both, link them, supersede them, or refuse.",
)
@click.option(
    "--meta",
    "metadata",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_metadata,
    help="Something to filter by, JSON values understood: year=2026; repeatable.",
)
@click.option("--messages", metavar="FILE", help='A conversation: a JSON list or JSON Lines; "-" is standard input.')
@embedder_option('The model of a new store, by name or folder; "none" for keywords alone.')
@click.option("--language", metavar="LANG", help="The language a new store stems for, or none; english if not said.")
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
    """Keep TEXT as a note, making the store if it is not there. TEXT "-" is standard input.

    What is said already is not kept twice. A note that supersedes others hides them from now on; `recall --as-of` and
    `history` still find them. With --messages, the turns of a conversation are kept, each {"role": "user", "content":
    "..."} with name, time, id and metadata as you like; give a growing one again, and only what is new is added.
    """
    from hybridstore.memory import Memory

    if bool(words) == (messages is not None):
        raise click.UsageError('say TEXT, or "-" for standard input, or --messages FILE; one of the three')
    how["id"] = identifier
    if messages is not None and any(how[name] is not None and how[name] != () for name in _OF_NOTES):
        raise click.UsageError("--id, --valid-from, --valid-to and --supersedes are for a note, not for --messages")
    what = _note(words) if messages is None else messages_of(messages)
    with target.adding(embedder=embedder, language=language) as store:
        done = Memory(store, namespace).remember(what, **how)
        target.kept = "It is remembered."
    if as_json:
        print_json(asdict(done))
    else:
        click.echo(printable(_told(done) if messages is None else _turns_told(done)))


def _note(words: tuple[str, ...]) -> str:
    return text_of(STDIN).rstrip() if words == (STDIN,) else " ".join(words)


def _told(done: Remembered) -> str:
    remark = {"unchanged": "; it was there already", "updated": "; it was there, its facts are new"}.get(
        done.status, ""
    )
    if done.supersedes:
        remark = f"; it supersedes {', '.join(done.supersedes)}"
    elif done.similar:
        remark += f"; much like {', '.join(f'{id_} ({cosine:.2f})' for id_, cosine in done.similar)}"
    return f"{'added' if done.added else done.status} {done.id}{remark}"


def _turns_told(done: Remembered) -> str:
    known = len(done.ids) - done.added
    before = f"; {count(known, 'turn')} {'was' if known == 1 else 'were'} there already" if known else ""
    if not done.added:
        return f"unchanged {done.id}{before}"
    new = done.ids[known:]
    return f"added {new[0] if len(new) == 1 else f'{new[0]} to {new[-1]}'}{before}"
