"""`serve`: the store as a server for people, programs and models."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.shared_options import (
    LOGGING,
    Target,
    embedder_option,
    examples,
    namespace_option,
    number_option,
    pass_target,
    rewrite_options,
    rewriter,
)
from hybridstore.cli.terminal import say

if TYPE_CHECKING:
    from hybridstore.errors import HybridstoreError
    from hybridstore.store.shared_folder import ExchangeReport

TOKEN = "HYBRIDSTORE_TOKEN"  # noqa: S105 - the name of a variable
# Repeated here, because importing the server would load the SDK for every `--help`; a test compares them.
BUDGET, PORT, HTTP_PORT, HOST = 2000, 8765, 8766, "127.0.0.1"


class _Serve(click.Group):
    """The group, whose first command is meant where none is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not {*self.commands, *ctx.help_option_names} & set(args):
            args = ["http", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Serve, epilog=examples("hybridstore serve", "hybridstore serve mcp"))
def serve() -> None:
    """Serve the store: `http` to people and programs, which is meant where neither is named, `mcp` to models."""


@contextmanager
def _terminated_in_order() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that vectors being made are kept, and with success."""
    told = []

    def end(*_: object) -> None:
        told.append(True)
        signal.raise_signal(signal.SIGINT)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt:
        if told:
            raise SystemExit(0) from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


@serve.command(
    short_help="Serve a page, and an API for programs.",
    epilog=examples(
        "hybridstore --db ~/notes.db serve",
        "hybridstore serve http --port 8000 --read-only",
        "hybridstore serve http --host 192.168.1.7 --allow-host box.lan",
    ),
)
@namespace_option
@click.option("--host", default=HOST, metavar="ADDRESS", help="The address to listen on.")
@click.option("--port", default=HTTP_PORT, type=click.IntRange(0, 65535), metavar="N", help="0 takes any free port.")
@click.option(
    "--token",
    envvar=TOKEN,
    show_envvar=True,
    metavar="TEXT",
    help="The token that requests must send; default: none on this machine alone, else a new one. Prefer the variable.",
)
@click.option("--read-only", is_flag=True, help="Change nothing.")
@click.option(
    "--allow-host",
    "names",
    multiple=True,
    metavar="NAME",
    help="A name besides this machine's own by which clients may reach the server; repeatable.",
)
@click.option("--watch", "follow", is_flag=True, help="Follow the folders that were added, and exchange; needs watch.")
@click.option(
    "--exchange", "exchanges", is_flag=True, help="Let other stores exchange with this one, all namespaces included."
)
@click.option("--log", is_flag=True, envvar=LOGGING, show_envvar=True, help="Keep questions in the store's query log.")
@rewrite_options
@embedder_option('The model of a new store, by name or folder; "none" for keywords only.')
@pass_target
def http(
    target: Target,
    /,
    *,
    namespace: tuple[str, ...],
    read_only: bool,
    log: bool,
    embedder: str | None,
    rewrite: str | None,
    rewrite_model: str | None,
    **how: Any,
) -> None:
    """Serve the store over HTTP: a page to search and explain it, and an API under /api.

    On this machine only, unless --host says otherwise; the address is printed. Documents, and the notes of the
    namespace, are visible. The store is created if it is missing, unless --read-only. Needs pip install
    'hybridstore[serve]'. See docs/http.md.
    """
    from hybridstore.cli.exchange_command import exchange_news
    from hybridstore.memory import Memory
    from hybridstore.serving.http import serve as run

    troubles: set[str] = set()

    def exchanged(done: ExchangeReport | HybridstoreError) -> None:
        for sentence in exchange_news(done, troubles):
            if sentence in troubles:
                say(sentence)

    if read_only and how["follow"]:
        raise click.UsageError("--watch writes what has changed, and --read-only forbids it")
    if read_only and how["exchanges"]:
        raise click.UsageError("--exchange writes what others have changed, and --read-only forbids it")
    asks = rewriter(rewrite, rewrite_model)
    target.read_only |= read_only
    opened = target.open(embedder=embedder) if read_only else target.open_to_add(embedder=embedder, log_queries=log)
    with _terminated_in_order(), opened as store:
        target.if_stopped = "What was written is kept."
        how |= {"exchange": target.config.exchange, "exchanged": exchanged}
        run(Memory(store, namespace), read_only=read_only, rewrite=asks, **how)


@serve.command(
    name="mcp",
    short_help="Serve notes and documents as MCP tools.",
    epilog=examples(
        "hybridstore --db ~/notes.db serve mcp --namespace user/42",
        "hybridstore --db ~/notes.db serve mcp --root ~/papers --budget 1500",
        "hybridstore --db ~/notes.db serve mcp --http --read-only",
    ),
)
@namespace_option
@click.option(
    "--root",
    "roots",
    multiple=True,
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="A folder from which files may be added; repeatable. Without it, none.",
)
@click.option("--read-only", is_flag=True, help="Offer no tool that changes anything.")
@click.option("--notes-only", is_flag=True, help="Show only notes, no documents.")
@number_option("--budget", "The longest answer.", default=BUDGET, metavar="TOKENS")
@click.option("--http", is_flag=True, help="Listen for HTTP on this machine, instead of standard input and output.")
@click.option("--port", default=PORT, type=click.IntRange(0, 65535), metavar="N", help="With --http.")
@click.option(
    "--token",
    envvar=TOKEN,
    show_envvar=True,
    metavar="TEXT",
    help="With --http: the token that requests must send; default: a new one, which is printed. Prefer the variable.",
)
@click.option("--host", default=HOST, metavar="ADDRESS", help="With --http: another address to listen on.")
@click.option(
    "--allow-host",
    "names",
    multiple=True,
    metavar="NAME",
    help="With --http: a name besides this machine's own by which clients may reach the server; repeatable.",
)
@embedder_option('The model of a new store, by name or folder; "none" for keywords only.')
@pass_target
def mcp(
    target: Target,
    /,
    *,
    namespace: tuple[str, ...],
    http: bool,
    notes_only: bool,
    read_only: bool,
    embedder: str | None,
    **how: Any,
) -> None:
    """Serve a namespace's notes, and the documents, as tools of the Model Context Protocol.

    Over standard input and output, for programs that start it; with --http over HTTP, on this machine only, for
    requests that send the token. The store is created if it is missing, unless --read-only. See docs/mcp.md.
    """
    from hybridstore.memory import Memory
    from hybridstore.serving.mcp_server import serve as run

    target.read_only |= read_only
    opened = target.open(embedder=embedder) if read_only else target.open_to_add(embedder=embedder)
    with _terminated_in_order() if http else nullcontext(), opened as store:
        target.if_stopped = "What was written is kept."
        run(
            Memory(store, namespace),
            transport="http" if http else "stdio",
            read_only=read_only,
            documents=not notes_only,
            **how,
        )
