"""`search -i`: a prompt that stays, with results while one types, hits to open, filters and a history."""

from __future__ import annotations

import asyncio
import io
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridstore.cli.result_output import WIDEST, FoundHit, print_hits
from hybridstore.cli.shared_options import Target, combined
from hybridstore.cli.terminal import count, printable
from hybridstore.errors import EmptyQuery, HybridstoreError, MissingExtra
from hybridstore.serving import warm_search

try:
    from prompt_toolkit.application import Application
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.data_structures import Point
    from prompt_toolkit.formatted_text import ANSI
    from prompt_toolkit.history import History, InMemoryHistory
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.layout import BufferControl, FormattedTextControl, HSplit, Layout, VSplit, Window
except ModuleNotFoundError as error:
    raise MissingExtra("interactive", "a search that stays open", "prompt_toolkit") from error

if TYPE_CHECKING:
    from rich.console import Console

    from hybridstore.store import Store

_PAUSE = 0.1  # seconds after a key, in which further ones belong to the same search
_MOST = 1_000  # queries of the history
_KEYS = "↑↓ hit  Enter open  PgUp PgDn read on  Tab filter  Ctrl-P Ctrl-N history  Ctrl-C end"
_BEGIN = "Type a question or words."

Found = Mapping[str, Any]


class Finder:
    """Searches through a running server of the same file, or else in the store, which is then held open.

    With `here` no server is asked. With `log` the queries that are entered are kept in the store's log.
    """

    def __init__(self, target: Target, how: dict[str, Any], *, here: bool, log: bool) -> None:
        self._target, self._how, self._here, self._log = target, how, here, log
        self._store: Store | None = None
        self._open = ExitStack()

    def __call__(self, query: str, conditions: Sequence[str], *, entered: bool) -> Found:
        """Search, and return what `warm_search.search` does."""
        where = combined(conditions)  # a mistake is told before anything is opened
        if self._store is None:
            how = {name: value for name, value in self._how.items() if name != "rerank"}
            found = None if self._here else warm_search.asked(self._target.path, query, list(conditions), how)
            if found is not None:
                return found
            self._store = self._open.enter_context(self._target.open(log_queries=self._log))
        with nullcontext() if entered else self._store.unlogged():
            return warm_search.search(self._store, query, {**self._how, "where": where})

    def close(self) -> None:
        """Close the store, if it was opened."""
        self._open.close()


class PrivateHistory(History):
    """What was entered, a line each, in a file that only its owner can read; the last 1,000 queries stay."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def load_history_strings(self) -> Iterable[str]:
        """Return the queries, the last one first."""
        with suppress(OSError, UnicodeError):
            lines = self._path.read_text("utf-8").splitlines()
            if len(lines) > _MOST:
                self._write(lines[-_MOST:], os.O_TRUNC)
            return lines[::-1]
        return []

    def store_string(self, string: str) -> None:
        """Append a query; where that is impossible, it is remembered as long as the prompt is open."""
        with suppress(OSError):
            self._write([" ".join(string.split())], os.O_APPEND)

    def _write(self, lines: Sequence[str], how: int) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | how, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            if hasattr(os, "fchmod"):
                os.fchmod(descriptor, 0o600)
            file.write("".join(f"{line}\n" for line in lines))


def history_path() -> Path:
    """Return where queries are kept: in the user's folder for the state of programs."""
    named = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_STATE_HOME")
    return (Path(named) if named else Path.home() / ".local" / "state") / "hybridstore" / "search-history"


class Prompt:
    """The prompt of a finder. `hits` are those that are shown, `status` is the line below them."""

    def __init__(self, find: Callable[..., Found], query: str, conditions: Sequence[str], history: History) -> None:
        self._find = find
        self.hits: list[FoundHit] = []
        self.status = _BEGIN
        self.selected, self.opened, self._read_on = 0, False, 0
        self._changed = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "hybridstore-search")
        self._query = Buffer(multiline=False, history=history, on_text_changed=lambda _: self._changed.set())
        self._filter = Buffer(multiline=False, on_text_changed=lambda _: self._changed.set())
        self._query.text, self._filter.text = query, " ".join(map(_quoted, conditions))
        for buffer in (self._query, self._filter):
            buffer.cursor_position = len(buffer.text)
        self._rows: list[tuple[int, str]] = []  # the number of the hit, and a line of it with its colours
        self.application = self._application()

    def run(self) -> None:
        """Show the prompt until it is ended."""
        try:
            self.application.run(pre_run=self._start)
        finally:
            self._thread.shutdown()

    def _application(self) -> Application[None]:
        results = FormattedTextControl(self._text, get_cursor_position=self._cursor)
        lines = [
            VSplit([Window(FormattedTextControl(label), width=9), Window(BufferControl(buffer), height=1)])
            for label, buffer in (("search › ", self._query), ("filter › ", self._filter))
        ]
        body = [
            *lines,
            Window(char="─", height=1),
            Window(results, always_hide_cursor=True),
            Window(FormattedTextControl(lambda: self.status), height=1, style="bold"),
            Window(FormattedTextControl(_KEYS), height=1, style="reverse"),
        ]
        return Application(Layout(HSplit(body)), key_bindings=self._keys(), full_screen=True)

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        def on(*names: str) -> Callable[[Callable[[], None]], None]:
            def add(function: Callable[[], None]) -> None:
                for name in names:
                    keys.add(name)(lambda _: function())

            return add

        on("c-c", "c-d")(self._end)
        on("down")(lambda: self._select(1))
        on("up")(lambda: self._select(-1))
        on("pagedown")(lambda: self._scroll(10))
        on("pageup")(lambda: self._scroll(-10))
        on("tab", "s-tab")(self._other_field)
        on("c-p")(self._query.history_backward)
        on("c-n")(self._query.history_forward)
        on("enter")(self._enter)
        on("escape")(lambda: self._open(opened=False))
        return keys

    def _start(self) -> None:
        self.application.create_background_task(self._follow())

    def _end(self) -> None:
        self.application.exit()

    def _other_field(self) -> None:
        self.application.layout.focus(self._filter if self.application.layout.has_focus(self._query) else self._query)

    def _select(self, step: int) -> None:
        self.selected = max(0, min(self.selected + step, len(self.hits) - 1))
        self._open(opened=False)

    def _open(self, *, opened: bool) -> None:
        self.opened, self._read_on = opened, 0

    def _scroll(self, step: int) -> None:
        rows = sum(number == self.selected for number, _ in self._rows)
        self._read_on = max(0, min(self._read_on + step, rows - 1))

    def _enter(self) -> None:
        """Open the hit, or close it; the first time, the query enters the history and the log."""
        if not self.opened and self._query.text.strip():
            self._query.append_to_history()
            self.application.create_background_task(self._search(entered=True))
        self._open(opened=not self.opened and bool(self.hits))

    async def _follow(self) -> None:
        """Search whenever a field has changed, one search after the other; a failure ends the prompt."""
        try:
            while True:
                await self._changed.wait()
                await asyncio.sleep(_PAUSE)
                self._changed.clear()
                await self._search(entered=False)
        except Exception as error:  # noqa: BLE001 - raised by `run`
            self.application.exit(exception=error)

    async def _search(self, *, entered: bool) -> None:
        query = self._query.text
        try:
            conditions = shlex.split(self._filter.text)
        except ValueError as error:
            self._show([], f"The filter cannot be read: {error}", again=False)
            return
        if not query.strip():
            self._show([], _BEGIN, again=False)
            return
        search = asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: self._find(query, conditions, entered=entered)
        )
        try:
            found = await search
        except EmptyQuery:
            self._show([], _BEGIN, again=False)
        except HybridstoreError as error:
            self._show([], str(error), again=False)
        else:
            pairs = zip(found["fields"]["hits"], found["shown"], strict=True)
            hits = [each for each in (FoundHit.of(*pair) for pair in pairs) if each.worth]
            self._show(hits, _status(found, len(hits)), again=entered)

    def _show(self, hits: list[FoundHit], status: str, *, again: bool) -> None:
        self.hits, self.status = hits, printable(" ".join(status.split()))
        if not again:
            self.selected = 0
            self._open(opened=False)
        self.application.invalidate()

    def _text(self) -> ANSI:
        self._rows = list(_drawn(self.hits, self.selected if self.opened else None, self._width()))
        lines = [f"\x1b[36m▌\x1b[0m {line}" if at == self.selected else f"  {line}" for at, line in self._rows]
        return ANSI("\n".join(lines))

    def _cursor(self) -> Point:
        first = next((row for row, (number, _) in enumerate(self._rows) if number == self.selected), 0)
        return Point(0, first + self._read_on)

    def _width(self) -> int:
        return min(self.application.output.get_size().columns - 2, WIDEST)


def _quoted(condition: str) -> str:
    with suppress(ValueError):
        if shlex.split(condition) == [condition]:
            return condition
    return shlex.quote(condition)


def _status(found: Found, shown: int) -> str:
    fields = found["fields"]
    if not shown:
        return "Nothing was found."
    unsure = "Probably nothing here answers this. " if found["unsure"] else ""
    took = f"{count(shown, 'result')} in {1000 * sum(fields['timings'].values()):.0f} ms"
    return " ".join([f"{unsure}{took}.", *fields["notes"]])


def _drawn(hits: Sequence[FoundHit], opened: int | None, width: int) -> Iterable[tuple[int, str]]:
    """Yield the lines of hits, coloured as in a terminal, each with the number of its hit."""
    for number, hit in enumerate(hits):
        terminal = _console(width)
        print_hits([hit], full=number == opened, terminal=terminal)
        written = terminal.file.getvalue()  # type: ignore[attr-defined]
        yield from ((number, line) for line in written.splitlines())


def _console(width: int) -> Console:
    from rich.console import Console

    file = io.StringIO()
    return Console(
        file=file, force_terminal=True, color_system="standard", width=width, markup=False, emoji=False, highlight=False
    )


def search_interactively(find: Finder, query: str, conditions: Sequence[str], *, keep_history: bool) -> None:
    """Show the prompt until it is ended, and close what the finder has opened."""
    history = PrivateHistory(history_path()) if keep_history else InMemoryHistory()
    try:
        Prompt(find, query, conditions, history).run()
    finally:
        find.close()
