"""The store of a command, and the options and argument types that several commands share, named and explained alike."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.config import DURABILITIES, Config
from hybridstore.cli.terminal import say
from hybridstore.errors import FileRefused, HybridstoreError, MissingExtra, ModelUnavailable, StoreRefused
from hybridstore.locations import is_url, without_secrets

if TYPE_CHECKING:
    from hybridstore.backends.values import Embedding
    from hybridstore.embedders import Embedder
    from hybridstore.filters import Filter
    from hybridstore.memory import Memory
    from hybridstore.search.rewriting import Rewrite
    from hybridstore.store import Store

    Origin = tuple[str, Embedding | None]  # the language and the embedding of what a new store is filled from

DATABASE = "hybridstore.db"
VARIABLE = "HYBRIDSTORE_DB"
EMBEDDER = "HYBRIDSTORE_EMBEDDER"
KEY = "HYBRIDSTORE_KEY"
DURABILITY = "HYBRIDSTORE_DURABILITY"
NAMESPACE = "HYBRIDSTORE_NAMESPACE"
LOGGING = "HYBRIDSTORE_LOG_QUERIES"

# Repeated here, because importing the pipeline would load NumPy for every `--help`; a test compares them.
MODES = ("hybrid", "keyword", "vector")
FUSIONS = ("adaptive", "rrf", "idf-rrf", "convex")
SYNTAXES = ("simple", "advanced", "algebra", "web")
PER = ("chunk", "document")
NORMS = ("product", "lukasiewicz", "godel")
ORDERS = ("score", "time")
ON_SIMILAR = ("keep", "link", "supersede", "error")
KEEPS = ("newest", "used")

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([smhdw])")
_WHOLE = re.compile(rf"(?:{_PART.pattern}\s*)+")

EMPTY = "The store is empty: `hybridstore add FILE-OR-FOLDER` reads documents into it."

# A question may name flags (`tar -xzf`), so what looks like short options is part of it; there are none, not even -h.
AS_WORDS: dict[str, Any] = {"ignore_unknown_options": True, "help_option_names": ["--help"]}

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
query_argument = click.argument("query", metavar="QUERY...", nargs=-1, required=True)
where_option = click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="FILTER",
    help="Only documents whose metadata match: year>=2020, lang=en, tags~word, path^=/home, draft? or a JSON filter. "
    "Repeatable; all conditions must hold.",
)

min_relevance_option = click.option(
    "--min-relevance",
    type=click.FloatRange(0, 1),
    metavar="X",
    help="From 0 to 1: leave out less relevant results; 0.5 best separates queries with an answer from those without.",
)


@dataclass(slots=True)
class Target:
    """A store's file, and the config file's settings.

    `if_stopped` is the sentence printed when the command is stopped; commands that write set it.
    """

    path: str
    if_stopped: str = "Nothing was changed."
    read_only: bool = False
    durability: str = DURABILITIES[0]
    config: Config = Config()  # noqa: RUF009 - frozen

    def open(
        self,
        *,
        create: bool = False,
        embedder: str | Embedder | None = None,
        language: str | None = None,
        log_queries: bool = False,
        made_by: str = "add FILE-OR-FOLDER",
    ) -> Store:
        """Open the store as `hybridstore.open` does; a missing file is an error unless `create`.

        Without `embedder` it is the one that HYBRIDSTORE_EMBEDDER names, else the store's own, or for a new store the
        config file's. HYBRIDSTORE_KEY is the key of an encrypted store.
        """
        from hybridstore.store import open as open_store

        if not create:
            self.check(made_by)
        new = create and not self.exists()
        embedder = embedder or os.environ.get(EMBEDDER) or (self.config.embedder if new else None)
        read_only = self.read_only or (not create and self._is_unwritable())
        return open_store(
            self.path,
            embedder=embedder,
            language=language,
            create=create,
            log_queries=log_queries and not read_only,
            durability=self.durability,
            key=os.environ.get(KEY) or None,  # never an option: a command line can be read by others
            read_only=read_only,
        )

    def check(self, made_by: str = "add FILE-OR-FOLDER") -> None:
        """Raise FileRefused where there is no such file; a URL is not looked up."""
        if not is_url(self.path) and not Path(self.path).exists():
            raise FileRefused(
                self.path,
                f"there is no such store; create it with `hybridstore --db {self.path} {made_by}`, "
                f"or name another one with --db (or {VARIABLE})",
            )

    def exists(self) -> bool:
        """Return whether the store is there; that of a URL is looked for on its server."""
        if not is_url(self.path):
            return Path(self.path).exists()
        from hybridstore.store import open as open_store

        try:
            open_store(self.path, embedder="none", create=False).close()
        except StoreRefused:  # or it cannot be reached, which whoever opens it is told
            return False
        return True

    @property
    def shown(self) -> str:
        """The store's place for people: of a URL, nothing that could be secret."""
        return without_secrets(self.path)

    @property
    def has_own_settings(self) -> bool:
        """Whether the environment names an embedder or a key, which a server of the same file may not have."""
        return bool(os.environ.get(EMBEDDER) or os.environ.get(KEY))

    def _is_unwritable(self) -> bool:
        """Return whether the file, or its folder, in which SQLite makes files too, cannot be written."""
        if is_url(self.path):
            return False
        file = Path(self.path).resolve()
        return not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK))

    def remove_if_empty(self, store: Store) -> None:
        """Close a store that this command has created; if nothing was put into it, remove its file."""
        empty = not store.count()
        store.close()
        for end in ("", "-wal", "-shm") if empty and not is_url(self.path) else ():
            Path(f"{self.path}{end}").unlink(missing_ok=True)

    @contextmanager
    def open_to_receive(self, *, create: bool, made_by: str, origin: Callable[[], Origin | None]) -> Iterator[Store]:
        """Open the store to bring in what others have, with `create` creating it if it is missing; close it at the end.

        One that is created gets the language and the embedder of the `origin`, unless the environment or the config
        file names an embedder. It is removed again where nothing has come in when the block fails: it would be in the
        way of the next try, with a key perhaps.
        """
        new = create and not self.exists()
        language, embedding = (new and origin()) or (None, None)
        embedder = None if os.environ.get(EMBEDDER) or self.config.embedder else _loaded(embedding)
        with self.open(create=create, made_by=made_by, language=language, embedder=embedder) as store:
            try:
                yield store
            except BaseException:
                if new:
                    self.remove_if_empty(store)
                raise

    @contextmanager
    def open_to_add(
        self,
        *,
        embedder: str | None = None,
        language: str | None = None,
        create: bool = True,
        log_queries: bool = False,
    ) -> Iterator[Store]:
        """Open the store to add text, with `create` creating it if it is missing; close it at the end.

        A store without vectors stays without. Where the model is missing, a hint says how to do without one. A store
        that was created and into which nothing was put is removed again.
        """
        new = not self.exists()
        try:
            with self._with_embedder(embedder, language, create=create, log_queries=log_queries) as store:
                try:
                    yield store
                finally:
                    if new:
                        self.remove_if_empty(store)
        except (MissingExtra, ModelUnavailable) as error:
            if not isinstance(error, MissingExtra) or error.extra in ("cpu", "gpu"):
                say('Without a model, "--embedder none" creates a store that is searched by keywords.')
            raise

    def _with_embedder(self, embedder: str | None, language: str | None, *, create: bool, log_queries: bool) -> Store:
        store = self.open(create=create, embedder=embedder, language=language, log_queries=log_queries)
        if embedder is not None or store.embeddings.active is not None or not store.count():
            return store
        store.close()  # instead of a store with vectors for some of its documents
        say("This store has no vectors, so none are created; `hybridstore reembed` creates them.")
        return self.open(embedder="none", language=language, log_queries=log_queries)

    @contextmanager
    def open_memory(self, namespace: tuple[str, ...]) -> Iterator[Memory]:
        """Open the memory of a namespace; close it at the end."""
        from hybridstore.memory import Memory

        with self.open(made_by="remember TEXT") as store:
            yield Memory(store, namespace)


def _loaded(embedding: Embedding | None) -> Embedder | None:
    """Return the embedder that made other vectors; None, and say why, where it is not here."""
    from hybridstore import embedders
    from hybridstore.store.embedder_choice import GIVEN

    if embedding is None or embedding.reference in (GIVEN, embedders.DEFAULT):
        return None
    try:
        return embedders.load(embedding.reference, recorded=True)
    except HybridstoreError as error:
        say(f"{error}. The new store has another embedder, and makes its own vectors.")
        return None


pass_target = click.make_pass_decorator(Target)


def options(*decorators: Decorator) -> Decorator:
    """Combine options into one decorator; `--help` lists them in this order."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def chosen(name: str) -> bool:
    """Return whether this option of the running command was given, rather than left at its default."""
    source = click.get_current_context().get_parameter_source(name)
    return source not in (click.core.ParameterSource.DEFAULT, None)


def examples(*lines: str) -> str:
    """Return example lines as a command's epilog; docs/generate_cli.py reads them from there."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def combined(conditions: Sequence[str]) -> Filter | None:
    """Return the filter of all the conditions together; None for none. Raises InputError."""
    from hybridstore.filters import And, from_text

    parts = tuple(from_text(condition) for condition in conditions)
    return And(parts) if len(parts) > 1 else parts[0] if parts else None


class Duration(click.ParamType[float]):
    """A length of time, such as 90s, 12h, 30d or 1d12h; the command gets its seconds."""

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds, above 0; anything else, such as a number without a unit, is wrong usage."""
        if isinstance(value, int | float):  # converted before, or a default
            return float(value)
        whole = value.strip().lower()
        parts = _PART.findall(whole) if _WHOLE.fullmatch(whole) else []
        length = math.fsum(float(number) * _SECONDS[unit] for number, unit in parts)
        if not 0 < length < math.inf:
            self.fail(f"{value!r} is not a length of time; write 90s, 15m, 12h, 30d, 2w, or 1d12h", param, ctx)
        return length


DURATION = Duration()


class QueryCommand(click.Command):
    """A command whose arguments are a query: `-x` is part of it, an unknown `--option` is still a mistake.

    Only `-i` as the first word is `--interactive`, where there is that.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reject unknown long options before click takes them for words; after `--` everything is a word."""
        from difflib import get_close_matches

        if args == ["-h"]:
            args = ["--help"]
        known = [name for param in self.get_params(ctx) for name in (*param.opts, *param.secondary_opts)]
        if args[:1] == ["-i"] and "--interactive" in known:  # elsewhere it is a word, as in `grep -i`
            args = ["--interactive", *args[1:]]
        for arg in args:
            if arg == "--":
                break
            name = arg.partition("=")[0]
            if name.startswith("--") and " " not in name and name not in known:
                raise click.NoSuchOption(name, possibilities=get_close_matches(name, known), ctx=ctx)
        return super().parse_args(ctx, args)


def _namespace_parts(_: click.Context, __: click.Parameter, text: str) -> tuple[str, ...]:
    from hybridstore.memory.note_ids import Namespace

    return Namespace.named(text).parts


namespace_option = click.option(
    "--namespace",
    envvar=NAMESPACE,
    show_envvar=True,
    default="default",
    metavar="NAME",
    callback=_namespace_parts,
    help="Whose notes: a name, or several separated by slashes, such as user/42 (%2F is a slash within a name).",
)


def embedder_option(help_: str) -> Decorator:
    """`--embedder NAME`, with its meaning for this command."""
    return click.option("--embedder", metavar="NAME", help=help_)


def rewriter(url: str | None, model: str | None) -> Rewrite | None:
    """Return what asks an endpoint; raises UsageError for a URL without a model, or the other way round."""
    if (url is None) != (model is None):
        raise click.UsageError("--rewrite URL and --rewrite-model NAME belong together")
    if url is None or model is None:
        return None
    from hybridstore.endpoint import Endpoint
    from hybridstore.search.rewriting import Rewrite

    return Rewrite(Endpoint(url, model))


def html_option(help_: str) -> Decorator:
    """`--html FILE`, the argument `page`, with its meaning for this command."""
    return click.option("--html", "page", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help=help_)


def number_option(name: str, help_: str, default: int | None = None, metavar: str = "N") -> Decorator:
    """Make an option that takes a whole number of at least 1."""
    return click.option(name, default=default, type=click.IntRange(1), metavar=metavar, help=help_)


rewrite_options = options(
    click.option(
        "--rewrite",
        metavar="URL",
        help="An OpenAI-compatible endpoint that is sent the question where a search looks unsure; its answer is "
        "searched for as well.",
    ),
    click.option("--rewrite-model", metavar="NAME", help="Its model. The key is read from OPENAI_API_KEY."),
)
new_store_options = options(
    embedder_option('The model of a new store, by name or folder; "none" for keywords only.'),
    click.option("--language", metavar="LANG", help="The stemming language of a new store, or none; default: english."),
)
