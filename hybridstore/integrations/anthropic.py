"""A store as the memory of Claude: Anthropic's memory tool, with documents as files.

Implements `BetaAbstractMemoryTool` and its asynchronous variant of the package `anthropic`
(https://github.com/anthropics/anthropic-sdk-python), for `client.beta.messages.tool_runner`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from hybridstore.errors import MissingExtra
from hybridstore.integrations.memory_files import LARGEST, CommandError, MemoryFiles
from hybridstore.store import Store

try:
    from anthropic.lib.tools import BetaAbstractMemoryTool, BetaAsyncAbstractMemoryTool, ToolError
    from anyio.to_thread import run_sync
except ImportError as error:
    raise MissingExtra("anthropic", "the memory tool of Claude", "anthropic") from error

if TYPE_CHECKING:
    from anthropic.types.beta import (
        BetaCacheControlEphemeralParam,
        BetaMemoryTool20250818CreateCommand,
        BetaMemoryTool20250818DeleteCommand,
        BetaMemoryTool20250818InsertCommand,
        BetaMemoryTool20250818RenameCommand,
        BetaMemoryTool20250818StrReplaceCommand,
        BetaMemoryTool20250818ViewCommand,
    )


class HybridStoreMemoryTool(BetaAbstractMemoryTool):
    """The memory tool over a store: a file under /memories is a document, searchable like any other.

    `namespace`, a text without slashes, separates the files of several users in one store. `largest` is the limit of a
    file in bytes. `files` gives a program access to the files, and `store.search(…, where=tool.files.where)` searches
    them.

    A command that cannot be done raises a ToolError with the message of Anthropic's own tool. Differences to that tool,
    which keeps files on disk: a folder disappears with its last file; a folder's size is that of the files in it; a
    path with ".." is rejected even if it leads back; /memoriesX does not pass for /memories/X.
    """

    def __init__(
        self,
        store: Store,
        *,
        namespace: str = "",
        largest: int = LARGEST,
        cache_control: BetaCacheControlEphemeralParam | None = None,
    ) -> None:
        super().__init__(cache_control=cache_control)
        self.files = MemoryFiles(store, namespace=namespace, largest=largest)

    def view(self, command: BetaMemoryTool20250818ViewCommand) -> str:
        """Show a file with line numbers, or a folder's files and folders two levels deep."""
        with _tool_errors():
            return self.files.view(_text(command, "path"), _range(command))

    def create(self, command: BetaMemoryTool20250818CreateCommand) -> str:
        """Create a new file."""
        with _tool_errors():
            return self.files.create(_text(command, "path"), _text(command, "file_text"))

    def str_replace(self, command: BetaMemoryTool20250818StrReplaceCommand) -> str:
        """Replace a text that occurs once in a file."""
        with _tool_errors():
            return self.files.str_replace(
                _text(command, "path"), _text(command, "old_str"), _text(command, "new_str", default="")
            )

    def insert(self, command: BetaMemoryTool20250818InsertCommand) -> str:
        """Insert lines into a file."""
        with _tool_errors():
            line = int(_argument(command, "insert_line", None, "a whole number", _is_number))
            return self.files.insert(_text(command, "path"), line, _text(command, "insert_text"))

    def delete(self, command: BetaMemoryTool20250818DeleteCommand) -> str:
        """Delete a file or a folder."""
        with _tool_errors():
            return self.files.delete(_text(command, "path"))

    def rename(self, command: BetaMemoryTool20250818RenameCommand) -> str:
        """Move a file or a folder to an unused path."""
        with _tool_errors():
            return self.files.rename(_text(command, "old_path"), _text(command, "new_path"))

    def clear_all_memory(self) -> str:
        """Delete all files of the namespace."""
        with _tool_errors():
            return self.files.clear()


def _in_thread(method: Callable[[HybridStoreMemoryTool, Any], str]) -> Callable[..., Coroutine[Any, Any, str]]:
    """Return a command's asynchronous variant."""

    @wraps(method)
    async def variant(self: AsyncHybridStoreMemoryTool, command: Any) -> str:
        return await run_sync(method, self._tool, command)

    return variant


class AsyncHybridStoreMemoryTool(BetaAsyncAbstractMemoryTool):
    """HybridStoreMemoryTool for `AsyncAnthropic`; the store works in a thread and does not block the event loop."""

    def __init__(
        self,
        store: Store,
        *,
        namespace: str = "",
        largest: int = LARGEST,
        cache_control: BetaCacheControlEphemeralParam | None = None,
    ) -> None:
        super().__init__(cache_control=cache_control)
        self._tool = HybridStoreMemoryTool(store, namespace=namespace, largest=largest)
        self.files = self._tool.files

    view = _in_thread(HybridStoreMemoryTool.view)
    create = _in_thread(HybridStoreMemoryTool.create)
    str_replace = _in_thread(HybridStoreMemoryTool.str_replace)
    insert = _in_thread(HybridStoreMemoryTool.insert)
    delete = _in_thread(HybridStoreMemoryTool.delete)
    rename = _in_thread(HybridStoreMemoryTool.rename)

    async def clear_all_memory(self) -> str:
        """Delete all files of the namespace."""
        return await run_sync(self._tool.clear_all_memory)


@contextmanager
def _tool_errors() -> Iterator[None]:
    """Turn an error into what the tool runner passes to the model."""
    try:
        yield
    except CommandError as error:
        raise ToolError(str(error)) from error


def _text(command: Any, name: str, *, default: str | None = None) -> str:
    return str(_argument(command, name, default, "a text", lambda value: isinstance(value, str)))


def _range(command: Any) -> list[int] | None:
    def fits(value: object) -> bool:
        return value is None or (isinstance(value, list) and all(map(_is_number, value)))

    view_range: list[int] | None = _argument(command, "view_range", None, "a list of two whole numbers", fits)
    return view_range


def _argument(command: Any, name: str, default: Any, expected: str, fits: Callable[[Any], bool]) -> Any:
    """Return a command's argument, checked: the SDK makes commands of whatever the model wrote."""
    value = getattr(command, name, None)
    value = default if value is None else value
    if not fits(value):
        raise CommandError(f"Invalid `{name}` parameter of {command.command}: {value!r}. It should be {expected}.")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
