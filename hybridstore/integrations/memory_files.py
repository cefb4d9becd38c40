"""Files that a model writes for itself under /memories, kept as the documents of a store.

There are no files and no folders: a file is a document whose id is its path, and a folder is there as long as a file
is in it. What is told to the model, answers and refusals alike, are the sentences of Anthropic's memory tool
(https://platform.claude.com/docs/en/agents-and-tools/tool-use/memory-tool) as its Python SDK has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from hybridstore.errors import InputError, NotFound
from hybridstore.integrations.memory_paths import ROOT, Refused, parts_of
from hybridstore.records import Document
from hybridstore.store import Store

LARGEST = 1_000_000  # bytes of a file: what fits into no model's window is no note to oneself

_MOST_LINES = 999_999
_WIDTH = len(str(_MOST_LINES))
_AROUND = 2  # lines shown before and after a change
_MOST_PLACES = 100  # line numbers named where a text occurs more than once
_LEVELS = 2  # of folders that a view shows
_TRIES = 100  # at a change, while others change the same file

_Change = tuple[list[Document], list[Document], str]
"""What is there, what is to take its place, and what is said when it has."""


class MemoryFiles:
    """The files of one `namespace` in a store, which may hold many, and other documents too.

    Each method does what the command of its name asks and gives what the model is told, or raises Refused with what it
    is told then. A change is one step: others see all of it or nothing, and none is lost where two change one file at
    once. `largest` is how many bytes a file may have. Raises InputError for a namespace with a slash in it.
    """

    def __init__(self, store: Store, *, namespace: str = "", largest: int = LARGEST) -> None:
        if not isinstance(namespace, str) or "/" in namespace:
            raise InputError(
                f"a namespace is a text without slashes, not {namespace!r}: encode it, or use another sign"
            )
        if not isinstance(largest, int) or largest < 1:
            raise InputError(f"largest is a number of bytes, at least 1, not {largest!r}")
        self._store, self._namespace, self._largest = store, namespace, largest

    @property
    def where(self) -> dict[str, dict[str, str]]:
        """Give the filter that keeps these files alone: `store.search(…, where=files.where)`."""
        return {"@id": {"$prefix": f"{self._id(())}/"}}

    def view(self, path: str, view_range: Sequence[int] | None = None) -> str:
        """Show a file's lines with their numbers, [first, last] of them (-1: to the end), or what is in a folder."""
        parts = parts_of(path)
        document = self._file(parts)
        if document is None:
            return self._listing(path, parts)
        lines = document.text.split("\n")
        if len(lines) > _MOST_LINES:
            raise Refused(f"File {path} exceeds maximum line limit of 999,999 lines.")
        first, last = 0, len(lines)
        if view_range and len(view_range) == 2:
            first = max(1, view_range[0]) - 1
            last = last if view_range[1] == -1 else view_range[1]
        return f"Here's the content of {path} with line numbers:\n{_numbered(lines[first:last], first + 1)}"

    def create(self, path: str, file_text: str) -> str:
        """Make a new file; one that is there already is left as it is."""
        parts = parts_of(path)

        def change() -> _Change:
            if not parts or self._file(parts) or self._within(parts):
                raise Refused(f"File {path} already exists")
            self._see_that_a_folder_can_hold(parts)
            new = Document(
                id=self._id(parts), text=file_text, title=parts[-1], uri=_path(parts), format=_format(parts[-1])
            )
            return [], [new], f"File created successfully at: {path}"

        return self._changed(path, change)

    def str_replace(self, path: str, old_str: str, new_str: str) -> str:
        """Put a text in the place of one that occurs exactly once in a file."""
        parts = parts_of(path)

        def change() -> _Change:
            document = self._existing(path, parts)
            text = document.text
            if (count := text.count(old_str)) != 1:
                raise Refused(_not_once(path, text, old_str, count))
            line = text.count("\n", 0, text.find(old_str))
            changed = text.replace(old_str, new_str)
            first = max(0, line - _AROUND)
            around = changed.split("\n")[first : line + _AROUND + 1]
            told = "The memory file has been edited. Here is the snippet showing the change (with line numbers):\n"
            return [document], [replace(document, text=changed)], told + _numbered(around, first + 1)

        return self._changed(path, change)

    def insert(self, path: str, insert_line: int, insert_text: str) -> str:
        """Put lines into a file after line `insert_line`, 0 being its beginning."""
        parts = parts_of(path)

        def change() -> _Change:
            document = self._existing(path, parts)
            lines = document.text.split("\n")
            if not lines[-1]:
                lines.pop()
            if not 0 <= insert_line <= len(lines):
                raise Refused(
                    f"Invalid `insert_line` parameter: {insert_line}. It should be within the range [0, {len(lines)}]."
                )
            lines.insert(insert_line, insert_text.rstrip("\n"))
            text = "\n".join(lines)
            text = text if text.endswith("\n") else f"{text}\n"
            return [document], [replace(document, text=text)], f"The file {path} has been edited."

        return self._changed(path, change)

    def delete(self, path: str) -> str:
        """Remove a file, or a folder with all that is in it."""
        parts = parts_of(path)
        if not parts:
            raise Refused(f"Cannot delete the {ROOT} directory itself")
        return self._changed(path, lambda: (self._found(path, parts), [], f"Successfully deleted {path}"))

    def rename(self, old_path: str, new_path: str) -> str:
        """Give a file or a folder another path, where nothing is yet."""
        old, new = parts_of(old_path), parts_of(new_path)
        if not old:
            raise Refused(f"Cannot rename the {ROOT} directory itself")

        def change() -> _Change:
            if not new or self._file(new) or self._within(new):
                raise Refused(f"The destination {new_path} already exists")
            found = self._found(old_path, old)
            if new[: len(old)] == old:
                raise Refused(f"Cannot move {old_path} into itself, to {new_path}")
            self._see_that_a_folder_can_hold(new)
            moved = [self._moved(document, (*new, *self._parts(document)[len(old) :])) for document in found]
            return found, moved, f"Successfully renamed {old_path} to {new_path}"

        return self._changed(new_path, change)

    def clear(self) -> str:
        """Remove all files of the namespace."""
        return self._changed(ROOT, lambda: (self._within(()), [], "All memory cleared"))

    def _changed(self, path: str, change: Callable[[], _Change]) -> str:
        """Decide and write, and decide anew where somebody else wrote in between."""
        for _ in range(_TRIES):
            before, after, told = change()
            for document in after:
                if (size := len(document.text.encode(errors="replace"))) > self._largest:
                    raise Refused(
                        f"The file {path} would be {size:,} bytes long, and the limit is {self._largest:,}; "
                        "keep less in it, or split it into several files"
                    )
            try:
                if self._store.replace(before, after) is not None:
                    return told
            except InputError as error:
                raise Refused(f"Nothing was changed: {error}") from error
        raise Refused(f"{path} is being changed by others all the time; try again later")

    def _existing(self, path: str, parts: tuple[str, ...]) -> Document:
        document = self._file(parts)
        if document is None and (not parts or self._within(parts)):
            raise Refused(f"The path {path} is not a file.")
        if document is None:
            raise Refused(f"The path {path} does not exist. Please provide a valid path.")
        return document

    def _found(self, path: str, parts: tuple[str, ...]) -> list[Document]:
        document = self._file(parts)
        found = self._within(parts) if document is None else [document]
        if not found:
            raise Refused(f"The path {path} does not exist")
        return found

    def _see_that_a_folder_can_hold(self, parts: tuple[str, ...]) -> None:
        for length in range(1, len(parts)):
            if self._file(parts[:length]):
                raise Refused(f"{_path(parts[:length])} is a file, so nothing can be in it")

    def _listing(self, path: str, parts: tuple[str, ...]) -> str:
        found = self._within(parts)
        if parts and not found:
            raise Refused(f"The path {path} does not exist. Please provide a valid path.")
        sizes: dict[tuple[tuple[str, ...], str], int] = {}  # by names below the folder, and "/" after a folder's
        for document in found:
            names, size = self._parts(document)[len(parts) :], len(document.text.encode())
            for length in range(len(names)):
                sizes[names[:length], "/"] = sizes.get((names[:length], "/"), 0) + size
            sizes[names, ""] = size
        lines = [f"{_size(sizes.pop(((), '/'), 0))}\t{path}"]
        for (names, end), size in sorted(sizes.items()):
            if len(names) <= _LEVELS and not any(name.startswith(".") for name in names):
                lines.append(f"{_size(size)}\t{path}/{'/'.join(names)}{end}")
        header = f"Here're the files and directories up to {_LEVELS} levels deep in {path}, excluding hidden items:"
        return "\n".join([header, *lines])

    def _file(self, parts: tuple[str, ...]) -> Document | None:
        try:
            return self._store.get(self._id(parts)) if parts else None
        except NotFound:
            return None

    def _within(self, parts: tuple[str, ...]) -> list[Document]:
        return list(self._store.documents({"@id": {"$prefix": f"{self._id(parts)}/"}}))

    def _id(self, parts: tuple[str, ...]) -> str:
        return self._namespace + _path(parts)

    def _parts(self, document: Document) -> tuple[str, ...]:
        return tuple(str(document.id)[len(self._id(())) + 1 :].split("/"))

    def _moved(self, document: Document, new: tuple[str, ...]) -> Document:
        """Give the document under its new path; what was not made of the old one stays as it is."""
        old = self._parts(document)
        return replace(
            document,
            id=self._id(new),
            title=new[-1] if document.title == old[-1] else document.title,
            uri=_path(new) if document.uri == _path(old) else document.uri,
            format=_format(new[-1]) if document.format == _format(old[-1]) else document.format,
        )


def _path(parts: tuple[str, ...]) -> str:
    return "/".join((ROOT, *parts))


def _format(name: str) -> str:
    return "markdown" if name.lower().endswith((".md", ".markdown")) else "plain"


def _numbered(lines: Sequence[str], first: int) -> str:
    return "\n".join(f"{number:>{_WIDTH}}\t{line}" for number, line in enumerate(lines, start=first))


def _not_once(path: str, text: str, sought: str, count: int) -> str:
    if not count:
        return f"No replacement was performed, old_str `{sought}` did not appear verbatim in {path}."
    lines: list[str] = []
    line, reached, place = 1, 0, text.find(sought)
    while place >= 0 and len(lines) < _MOST_PLACES:
        line, reached = line + text.count("\n", reached, place), place
        lines.append(str(line))
        place = text.find(sought, place + 1)
    told = ", ".join(lines) + (", …" if place >= 0 else "")
    return (
        f"No replacement was performed. Multiple occurrences of old_str `{sought}` in lines: {told}. "
        "Please ensure it is unique"
    )


def _size(size: int) -> str:
    """Write a number of bytes as in 0B, 90B, 1.5K, 2M."""
    step = min(max(size.bit_length() - 1, 0) // 10, 3)
    number = size / 1024**step
    return f"{number:.0f}{'BKMG'[step]}" if number == int(number) else f"{number:.1f}{'BKMG'[step]}"
