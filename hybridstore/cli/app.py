"""The `hybridstore` command itself: its commands, the store they use, and what errors look like."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from hybridstore import __version__
from hybridstore.cli.config import DURABILITIES, Config, find_config
from hybridstore.cli.shared_options import DATABASE, DURABILITY, VARIABLE, Target, examples
from hybridstore.errors import HybridstoreError

_INTERRUPTED = 130  # the exit code of shells for Ctrl-C: 128 + SIGINT

_FILE = click.Path(dir_okay=False)
_DURABILITY = click.Choice(DURABILITIES)

_WITHOUT_CONFIG = ("help", "judge", "compare")

COMMANDS = {
    "add": ("add_command:add", "Read files and folders into the store."),
    "sync": ("sync_commands:sync", "Bring the store up to date with the files that were added."),
    "watch": ("sync_commands:watch", "Keep it up to date while files change."),
    "search": ("search_commands:search", "Find passages by words and by meaning."),
    "explain": ("search_commands:explain", "Search, and explain the rank of each result."),
    "expect": ("expect_commands:expect", "Keep a test: a question, and the document that answers it."),
    "test": ("expect_commands:test", "Run the tests that are kept in the store."),
    "get": ("document_commands:get", "Print a document."),
    "list": ("document_commands:list_", "List the documents."),
    "remove": ("document_commands:remove", "Remove documents."),
    "info": ("upkeep_commands:info", "Show what the store contains."),
    "check": ("upkeep_commands:check", "Check that the store is consistent, and repair it."),
    "embed": ("upkeep_commands:embed", "Make the vectors that are still missing."),
    "reembed": ("upkeep_commands:reembed", "Change the embedder."),
    "reindex": ("upkeep_commands:reindex", "Make the keywords anew with this version."),
    "recode": ("upkeep_commands:recode", "Keep less of each vector, or more."),
    "compact": ("upkeep_commands:compact", "Give unused space in the file back."),
    "merge": ("merge_commands:merge", "Bring in what another store holds."),
    "exchange": ("exchange_command:exchange", "Exchange changes with other devices through a folder."),
    "conflicts": ("merge_commands:conflicts", "Show what was changed in two stores."),
    "backup": ("upkeep_commands:backup", "Write a copy while the store is in use."),
    "move": ("upkeep_commands:move", "Copy a whole store to a server, or back to a file."),
    "export": ("document_commands:export", "Write all documents as JSON lines."),
    "import": ("document_commands:import_", "Read an export into the store."),
    "remember": ("remember_command:remember", "Store a note, or a conversation."),
    "recall": ("recall_commands:recall", "Recall notes about something, for people or a model."),
    "forget": ("forget_commands:forget", "Forget notes."),
    "purge": ("forget_commands:purge", "Forget notes and erase their bytes from the file."),
    "history": ("recall_commands:history", "Show how a fact changed."),
    "consolidate": ("recall_commands:consolidate", "Merge notes that say the same."),
    "harvest": ("harvest_command:harvest", "Collect training triples where the legs disagree."),
    "tune": ("tune_command:tune", "Train on the store's text and questions, and keep what helps."),
    "evaluate": ("evaluate_command:evaluate", "Measure search on a collection with judgments."),
    "judge": ("compare_commands:judge", "Measure a run made by any system."),
    "compare": ("compare_commands:compare", "Test whether one run is better than another."),
    "model": ("model_commands:model", "Manage embedders, and the versions that the store has learned."),
    "serve": ("serve_command:serve", "Serve the store: a page, an API, or tools for models."),
    "doctor": ("doctor:doctor", "Show what this machine has, and what is missing."),
    "help": ("app:help_", "Describe a command."),
}


# Options of the whole command by the attribute of the Target that they set.
_AFTER: dict[str, tuple[str, click.ParamType[Any]]] = {
    "path": ("--db", _FILE),
    "durability": ("--durability", _DURABILITY),
}


def _accept_after(command: click.Command) -> None:
    """Let --db and --durability stand after the name of a command, too; hidden there, as they are the group's."""
    known = {param.name for param in command.params}
    command.params += [
        click.Option([option, f"{name}_after"], type=kind, expose_value=False, hidden=True, callback=_set_on_target)
        for name, (option, kind) in _AFTER.items()
        if f"{name}_after" not in known
    ]
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        _accept_after(inner)


def _set_on_target(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None and (target := ctx.find_object(Target)):
        setattr(target, str(param.name).removesuffix("_after"), value)


class App(click.Group):
    """A group that imports a command when it is run, and turns the project's errors into a sentence and an exit code.

    So `--help` and short commands start at once.
    """

    def list_commands(self, _: click.Context) -> list[str]:
        """Return the names in reading order."""
        return list(COMMANDS)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(f"hybridstore.cli.{module}"), attribute)
        _accept_after(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest similar names."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = get_close_matches(name, COMMANDS)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise click.UsageError(f"There is no command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, short) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command: the project's errors exit with 1, wrong usage with 2, Ctrl-C with 130."""
        try:
            return super().invoke(ctx)
        except HybridstoreError as error:
            raise click.ClickException(str(error)) from error
        except (KeyboardInterrupt, click.Abort):
            target = ctx.find_object(Target)
            click.echo(f"\nStopped. {target.if_stopped if target else 'Nothing was changed.'}", err=True)
            raise click.exceptions.Exit(_INTERRUPTED) from None


_HELP = """Search your own documents by word and by meaning, in one file, offline.

\b
hybridstore add ~/notes ~/papers          read everything below two folders
hybridstore search how do I rotate keys   find the passages that answer
hybridstore explain "error E4012"         see why each result was found

`hybridstore COMMAND --help` describes a command.
"""


@click.group(
    cls=App,
    help=_HELP,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True},
)
@click.option(
    "--db",
    "path",
    metavar="FILE",
    envvar=VARIABLE,
    show_envvar=True,
    default=DATABASE,
    type=_FILE,
    help="The store's file, or the URL of one on a server; before or after the command.",
)
@click.option("--read-only", is_flag=True, help="Write nothing into the store; by itself where it cannot be written.")
@click.option(
    "--durability",
    envvar=DURABILITY,
    show_envvar=True,
    type=_DURABILITY,
    help="full: a power cut loses nothing that was written; normal, the default: perhaps the last moment's writes.",
)
@click.version_option(__version__, "-V", "--version", prog_name="hybridstore", message="%(prog)s %(version)s")
@click.pass_context
def app(ctx: click.Context, path: str, *, read_only: bool, durability: str | None) -> None:
    """Set the store that the command uses; without a command, show the help."""
    # Help, and what needs no store, works whatever a config file says.
    config = find_config(Path.cwd()) if ctx.invoked_subcommand not in (None, *_WITHOUT_CONFIG) else Config()
    if config.db is not None and ctx.get_parameter_source("path") is click.core.ParameterSource.DEFAULT:
        path = config.db
    durability = durability or config.durability or DURABILITIES[0]
    ctx.obj = Target(path, read_only=read_only, durability=durability, config=config)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@click.command("help", epilog=examples("hybridstore help search", "hybridstore help model list"))
@click.argument("names", metavar="[COMMAND...]", nargs=-1)
@click.pass_context
def help_(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Describe a command, as its --help does; without one, list the commands."""
    parent = ctx.find_root()
    for name in names:
        group = parent.command
        command = group.resolve_command(parent, [name])[1] if isinstance(group, click.Group) else None
        if command is None:
            raise click.UsageError(f"{parent.command_path} has no command {name!r}.", ctx)
        parent = click.Context(command, parent=parent, info_name=name)
    click.echo(parent.get_help())


def main() -> None:
    """Run the command line; exits the process."""
    app(prog_name="hybridstore")
