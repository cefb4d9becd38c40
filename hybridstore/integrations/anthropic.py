"""A store as the memory of Claude: Anthropic's memory tool, with documents in the place of files.

Implements `BetaAbstractMemoryTool` and its asynchronous twin of the package `anthropic`
(https://github.com/anthropics/anthropic-sdk-python), to be handed to `client.beta.messages.tool_runner`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hybridstore.errors import MissingExtra
from hybridstore.integrations.memory_files import LARGEST, MemoryFiles
from hybridstore.integrations.memory_paths import Refused
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
    """The memory tool over a store: a file under /memories is a document, searched as any other.

    `namespace` keeps several users' files apart in one store; it must not have a slash. `largest` is how many bytes a
    file may have. `files` are the files themselves, for a program that wants to read or write them, and
    `store.search(…, where=tool.files.where)` searches them.

    What a command cannot do is raised as a ToolError with the sentence that Anthropic's own tool says. Differences to
    that tool, which keeps files on disk: a folder is gone with its last file; a folder's size is that of the files in
    it; a path with ".." in it is refused even where it would lead back; /memoriesX does not pass for /memories/X.
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
        with _told():
            return self.files.view(_text(command, "path"), _range(command))

    def create(self, command: BetaMemoryTool20250818CreateCommand) -> str:
        """Make a new file."""
        with _told():
            return self.files.create(_text(command, "path"), _text(command, "file_text"))

    def str_replace(self, command: BetaMemoryTool20250818StrReplaceCommand) -> str:
        """Replace a text that occurs once in a file."""
        with _told():
            return self.files.str_replace(
                _text(command, "path"), _text(command, "old_str"), _text(command, "new_str", missing="")
            )

    def insert(self, command: BetaMemoryTool20250818InsertCommand) -> str:
        """Insert lines into a file."""
        with _told():
            return self.files.insert(
                _text(command, "path"), _number(command, "insert_line"), _text(command, "insert_text")
            )

    def delete(self, command: BetaMemoryTool20250818DeleteCommand) -> str:
        """Remove a file or a folder."""
        with _told():
            return self.files.delete(_text(command, "path"))

    def rename(self, command: BetaMemoryTool20250818RenameCommand) -> str:
        """Move a file or a folder to where nothing is yet."""
        with _told():
            return self.files.rename(_text(command, "old_path"), _text(command, "new_path"))

    def clear_all_memory(self) -> str:
        """Remove all files of the namespace."""
        with _told():
            return self.files.clear()


class AsyncHybridStoreMemoryTool(BetaAsyncAbstractMemoryTool):
    """HybridStoreMemoryTool for `AsyncAnthropic`: what the store does is done in a thread, so that nobody waits."""

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

    async def view(self, command: BetaMemoryTool20250818ViewCommand) -> str:
        """Show a file with line numbers, or a folder's files and folders two levels deep."""
        return await run_sync(self._tool.view, command)

    async def create(self, command: BetaMemoryTool20250818CreateCommand) -> str:
        """Make a new file."""
        return await run_sync(self._tool.create, command)

    async def str_replace(self, command: BetaMemoryTool20250818StrReplaceCommand) -> str:
        """Replace a text that occurs once in a file."""
        return await run_sync(self._tool.str_replace, command)

    async def insert(self, command: BetaMemoryTool20250818InsertCommand) -> str:
        """Insert lines into a file."""
        return await run_sync(self._tool.insert, command)

    async def delete(self, command: BetaMemoryTool20250818DeleteCommand) -> str:
        """Remove a file or a folder."""
        return await run_sync(self._tool.delete, command)

    async def rename(self, command: BetaMemoryTool20250818RenameCommand) -> str:
        """Move a file or a folder to where nothing is yet."""
        return await run_sync(self._tool.rename, command)

    async def clear_all_memory(self) -> str:
        """Remove all files of the namespace."""
        return await run_sync(self._tool.clear_all_memory)


@contextmanager
def _told() -> Iterator[None]:
    """Turn a refusal into what the tool runner hands to the model."""
    try:
        yield
    except Refused as refusal:
        raise ToolError(str(refusal)) from refusal


def _text(command: Any, name: str, *, missing: str | None = None) -> str:
    return str(_argument(command, name, missing, "a text", lambda value: isinstance(value, str)))


def _number(command: Any, name: str) -> int:
    return int(_argument(command, name, None, "a whole number", _is_number))


def _range(command: Any) -> list[int] | None:
    def fits(value: object) -> bool:
        return value is None or (isinstance(value, list) and all(map(_is_number, value)))

    found: list[int] | None = _argument(command, "view_range", None, "a list of two whole numbers", fits)
    return found


def _argument(command: Any, name: str, missing: Any, what: str, fits: Callable[[Any], bool]) -> Any:
    """Give a command's argument: the SDK makes commands of whatever the model wrote, unseen."""
    value = getattr(command, name, None)
    value = missing if value is None else value
    if not fits(value):
        raise Refused(f"Invalid `{name}` parameter of {command.command}: {value!r}. It should be {what}.")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
