"""`serve`: the store as a server for models and the programs around them."""

from __future__ import annotations

from typing import Any

import click

from hybridstore.cli.shared_options import (
    Target,
    embedder_option,
    examples,
    namespace_option,
    number_option,
    pass_target,
)

TOKEN = "HYBRIDSTORE_TOKEN"  # noqa: S105 - the name of a variable
# Repeated here, because importing the server would load the SDK for every `--help`; a test compares them.
BUDGET, PORT, HOST = 2000, 8765, "127.0.0.1"


@click.group(epilog=examples("hybridstore serve mcp"))
def serve() -> None:
    """Serve the store to models."""


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
    opened = target.open(embedder=embedder) if read_only else target.open_to_add(embedder=embedder, language=None)
    with opened as store:
        target.if_stopped = "What was written is kept."
        run(
            Memory(store, namespace),
            transport="http" if http else "stdio",
            read_only=read_only,
            documents=not notes_only,
            **how,
        )
