"""The command itself: which commands there are, which store they mean, and how errors are told."""

from __future__ import annotations

from typing import Any

import click

from hybridstore import __version__
from hybridstore.cli.lazy_group import LazyGroup
from hybridstore.cli.store_option import DATABASE, VARIABLE, Target
from hybridstore.errors import HybridstoreError

_INTERRUPTED = 130  # what shells give for Ctrl-C: 128 + SIGINT

COMMANDS = {
    "add": ("hybridstore.cli.add_command:add", "Read files and folders into the store."),
    "search": ("hybridstore.cli.search_commands:search", "Find passages by words and by meaning."),
    "explain": ("hybridstore.cli.search_commands:explain", "Search, and tell why each result is where it is."),
    "get": ("hybridstore.cli.document_commands:get", "Print a document."),
    "list": ("hybridstore.cli.document_commands:list_", "List the documents."),
    "remove": ("hybridstore.cli.document_commands:remove", "Remove documents."),
    "info": ("hybridstore.cli.upkeep_commands:info", "Say what the store holds."),
    "check": ("hybridstore.cli.upkeep_commands:check", "Hold the store's parts against each other, and mend them."),
    "reembed": ("hybridstore.cli.upkeep_commands:reembed", "Make missing vectors, or change the embedder."),
    "backup": ("hybridstore.cli.upkeep_commands:backup", "Write a copy while others go on."),
    "export": ("hybridstore.cli.export_commands:export", "Write all documents as lines of JSON."),
    "import": ("hybridstore.cli.export_commands:import_", "Read an export into the store."),
    "remember": ("hybridstore.cli.remember_command:remember", "Keep a note, or a conversation."),
    "recall": ("hybridstore.cli.recall_command:recall", "Recall what answers, for people or a model."),
    "forget": ("hybridstore.cli.forget_commands:forget", "Forget notes."),
    "purge": ("hybridstore.cli.forget_commands:purge", "Forget notes so that no byte of them is left."),
    "history": ("hybridstore.cli.history_commands:history", "Show how a fact changed."),
    "consolidate": ("hybridstore.cli.history_commands:consolidate", "Bring notes together that say the same."),
    "harvest": ("hybridstore.cli.harvest_command:harvest", "Make triples to learn from, where the legs disagree."),
    "tune": ("hybridstore.cli.tune_command:tune", "Learn from the store's text and questions, if it helps."),
    "evaluate": ("hybridstore.cli.evaluate_command:evaluate", "Measure search on a collection with judgments."),
    "judge": ("hybridstore.cli.compare_commands:judge", "Measure a run that any system made."),
    "compare": ("hybridstore.cli.compare_commands:compare", "Say whether one run is better than another."),
    "model": ("hybridstore.cli.model_commands:model", "Embedders, and the versions that the store has learned."),
    "serve": ("hybridstore.cli.serve_command:serve", "Serve the store to models."),
    "doctor": ("hybridstore.cli.doctor:doctor", "Say what this machine has and lacks."),
}


class App(LazyGroup):
    """The one place where what went wrong becomes a sentence and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it: our errors exit with 1, wrong usage with 2, Ctrl-C with 130 and a word on what is kept."""
        try:
            return super().invoke(ctx)
        except HybridstoreError as error:
            raise click.ClickException(str(error)) from error
        except (KeyboardInterrupt, click.Abort):
            target = ctx.find_object(Target)
            click.echo(f"\nStopped. {target.kept if target else 'Nothing was changed.'}", err=True)
            raise click.exceptions.Exit(_INTERRUPTED) from None


_HELP = """Search your own documents by word and by meaning, in one file, offline.

\b
hybridstore add ~/notes ~/papers          read everything below two folders
hybridstore search how do I rotate keys   find the passages that answer
hybridstore explain "error E4012"         see why each one was found

`hybridstore COMMAND --help` tells more about a command.
"""


@click.group(
    cls=App,
    help=_HELP,
    places=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--db",
    "path",
    metavar="FILE",
    envvar=VARIABLE,
    show_envvar=True,
    default=DATABASE,
    show_default=True,
    type=click.Path(dir_okay=False),
    help="The store's file.",
)
@click.version_option(__version__, prog_name="hybridstore", message="%(prog)s %(version)s")
@click.pass_context
def app(ctx: click.Context, path: str) -> None:
    """Note which store is meant, for the command; without one, show the help."""
    ctx.obj = Target(path)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """Run the command line; exits the process."""
    app(prog_name="hybridstore")
