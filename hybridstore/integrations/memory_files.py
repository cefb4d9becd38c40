"""Files that a model writes for itself under /memories, stored as documents.

A file is a document whose id is its path, and a folder exists as long as there is a file in it. Answers and errors are
the sentences of Anthropic's memory tool (https://platform.claude.com/docs/en/agents-and-tools/tool-use/memory-tool) as
its Python SDK has them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import unquote

from hybridstore.errors import InputError, NotFound, StoreBusy
from hybridstore.records import Document
from hybridstore.store import Store, Writer

ROOT = "/memories"
LARGEST = 1_000_000  # bytes of a file: more does not fit into any model's context

_LONGEST_PATH = 1_024  # characters
_MOST_LINES = 999_999
_WIDTH = len(str(_MOST_LINES))
_CONTEXT = 2  # lines shown before and after a change
_MOST_OCCURRENCES = 100  # line numbers listed for a text that occurs more than once
_LEVELS = 2  # of folders that a view shows

_Change = tuple[list[Document], list[Document], str]
"""The documents before and after, and the answer to the model."""


class CommandError(Exception):
    """A command that cannot be done; the message is for the model that gave it."""


class MemoryFiles:
    """The files of one `namespace` in a store, which may hold others, and other documents too.

    Each method runs the command of its name and returns the answer for the model, or raises CommandError. A change is
    atomic, and none is lost when two change one file at once. `largest` is the limit of a file in bytes. Raises
    InputError for a namespace with a slash.
    """

    def __init__(self, store: Store, *, namespace: str = "", largest: int = LARGEST) -> None:
        if not isinstance(namespace, str) or "/" in namespace:
            raise InputError(
                f"namespace must be a text without slashes, not {namespace!r}: encode them, or use another character"
            )
        if not isinstance(largest, int) or largest < 1:
            raise InputError(f"largest must be a number of bytes, at least 1, not {largest!r}")
        self._store, self._namespace, self._largest = store, namespace, largest

    @property
    def where(self) -> dict[str, dict[str, str]]:
        """The filter for these files: `store.search(…, where=files.where)`."""
        return {"@id": {"$prefix": f"{self._id(())}/"}}

    def view(self, path: str, view_range: Sequence[int] | None = None) -> str:
        """Show a file's lines with their numbers, [first, last] of them (-1: to the end), or what is in a folder."""
        parts = parts_of(path)
        document = self._file(parts)
        if document is None:
            return self._listing(path, parts)
        lines = document.text.split("\n")
        if len(lines) > _MOST_LINES:
            raise CommandError(f"File {path} exceeds maximum line limit of 999,999 lines.")
        first, last = 0, len(lines)
        if view_range and len(view_range) == 2:
            first = max(1, view_range[0]) - 1
            last = last if view_range[1] == -1 else view_range[1]
        return f"Here's the content of {path} with line numbers:\n{_numbered(lines[first:last], first + 1)}"

    def create(self, path: str, file_text: str) -> str:
        """Create a new file; raises CommandError if it exists."""
        parts = parts_of(path)

        def change() -> _Change:
            if not parts or self._file(parts) or self._within(parts):
                raise CommandError(f"File {path} already exists")
            self._check_parents(parts)
            new = Document(
                id=self._id(parts), text=file_text, title=parts[-1], uri=_path(parts), format=_format(parts[-1])
            )
            return [], [new], f"File created successfully at: {path}"

        return self._changed(path, change)

    def str_replace(self, path: str, old_str: str, new_str: str) -> str:
        """Replace a text that occurs exactly once in a file."""
        parts = parts_of(path)

        def change() -> _Change:
            document = self._existing(path, parts)
            text = document.text
            if (count := text.count(old_str)) != 1:
                raise CommandError(_not_once(path, text, old_str, count))
            line = text.count("\n", 0, text.find(old_str))
            changed = text.replace(old_str, new_str)
            first = max(0, line - _CONTEXT)
            snippet = changed.split("\n")[first : line + _CONTEXT + 1]
            answer = "The memory file has been edited. Here is the snippet showing the change (with line numbers):\n"
            return [document], [replace(document, text=changed)], answer + _numbered(snippet, first + 1)

        return self._changed(path, change)

    def insert(self, path: str, insert_line: int, insert_text: str) -> str:
        """Insert lines into a file after line `insert_line`; 0 is its beginning."""
        parts = parts_of(path)

        def change() -> _Change:
            document = self._existing(path, parts)
            lines = document.text.split("\n")
            if not lines[-1]:
                lines.pop()
            if not 0 <= insert_line <= len(lines):
                raise CommandError(
                    f"Invalid `insert_line` parameter: {insert_line}. It should be within the range [0, {len(lines)}]."
                )
            lines.insert(insert_line, insert_text.rstrip("\n"))
            text = "\n".join(lines)
            text = text if text.endswith("\n") else f"{text}\n"
            return [document], [replace(document, text=text)], f"The file {path} has been edited."

        return self._changed(path, change)

    def delete(self, path: str) -> str:
        """Delete a file, or a folder with everything in it."""
        parts = parts_of(path)
        if not parts:
            raise CommandError(f"Cannot delete the {ROOT} directory itself")
        return self._changed(path, lambda: (self._documents(path, parts), [], f"Successfully deleted {path}"))

    def rename(self, old_path: str, new_path: str) -> str:
        """Move a file or a folder to an unused path."""
        old, new = parts_of(old_path), parts_of(new_path)
        if not old:
            raise CommandError(f"Cannot rename the {ROOT} directory itself")

        def change() -> _Change:
            if not new or self._file(new) or self._within(new):
                raise CommandError(f"The destination {new_path} already exists")
            documents = self._documents(old_path, old)
            if new[: len(old)] == old:
                raise CommandError(f"Cannot move {old_path} into itself, to {new_path}")
            self._check_parents(new)
            moved = [self._moved(document, (*new, *self._parts(document)[len(old) :])) for document in documents]
            return documents, moved, f"Successfully renamed {old_path} to {new_path}"

        return self._changed(new_path, change)

    def clear(self) -> str:
        """Delete all files of the namespace."""
        return self._changed(ROOT, lambda: (self._within(()), [], "All memory cleared"))

    def _changed(self, path: str, change: Callable[[], _Change]) -> str:
        """Decide on a change and write it; repeated if another process writes in between."""

        def decide(writer: Writer) -> str:
            before, after, answer = change()
            for document in after:
                if (size := len(document.text.encode(errors="replace"))) > self._largest:
                    raise CommandError(
                        f"The file {path} would be {size:,} bytes long, and the limit is {self._largest:,}; "
                        "keep less in it, or split it into several files"
                    )
            removed = {str(document.id) for document in before} - {str(document.id) for document in after}
            digests = self._store.digests([*removed, *(str(document.id) for document in after)])
            for id_ in removed:
                writer.remove(id_, stored=digests[id_])
            for document in after:
                writer.add(document, replaces=digests.get(str(document.id)))
            return answer

        try:
            return self._store.update(decide)
        except InputError as error:
            raise CommandError(f"Nothing was changed: {error}") from error
        except StoreBusy as error:
            raise CommandError(f"{path} is being changed by others all the time; try again later") from error

    def _existing(self, path: str, parts: tuple[str, ...]) -> Document:
        document = self._file(parts)
        if document is None and (not parts or self._within(parts)):
            raise CommandError(f"The path {path} is not a file.")
        if document is None:
            raise CommandError(f"The path {path} does not exist. Please provide a valid path.")
        return document

    def _documents(self, path: str, parts: tuple[str, ...]) -> list[Document]:
        document = self._file(parts)
        documents = self._within(parts) if document is None else [document]
        if not documents:
            raise CommandError(f"The path {path} does not exist")
        return documents

    def _check_parents(self, parts: tuple[str, ...]) -> None:
        for length in range(1, len(parts)):
            if self._file(parts[:length]):
                raise CommandError(f"{_path(parts[:length])} is a file, so nothing can be in it")

    def _listing(self, path: str, parts: tuple[str, ...]) -> str:
        documents = self._within(parts)
        if parts and not documents:
            raise CommandError(f"The path {path} does not exist. Please provide a valid path.")
        sizes: dict[tuple[tuple[str, ...], str], int] = {}  # by path below the folder; folders end in "/"
        for document in documents:
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
        """Return the document under its new path, with the title, uri and format that were made from the old one."""
        old = self._parts(document)
        return replace(
            document,
            id=self._id(new),
            title=new[-1] if document.title == old[-1] else document.title,
            uri=_path(new) if document.uri == _path(old) else document.uri,
            format=_format(new[-1]) if document.format == _format(old[-1]) else document.format,
        )


def parts_of(path: str) -> tuple[str, ...]:
    """Return the names in a path below /memories; () for /memories itself.

    Double or final slashes and names "." are ignored. Raises CommandError for a path elsewhere, one with ".." anywhere,
    also written with backslashes or percent signs, and one that no listing could show: with control characters or lone
    surrogates, or longer than 1,024 characters.
    """
    if path != ROOT and not path.startswith(f"{ROOT}/"):
        raise CommandError(f"Path must start with {ROOT}, got: {path}")
    if len(path) > _LONGEST_PATH:
        raise CommandError(f"Path is {len(path):,} characters long, over the limit of {_LONGEST_PATH:,}: {path[:80]}…")
    # ".." cannot lead out of a store, but these files may be written to a file system one day.
    plain = path
    while True:
        if ".." in plain.replace("\\", "/").split("/"):
            raise CommandError(f"Path {path} would escape {ROOT} directory")
        if (decoded := unquote(plain)) == plain:
            break
        plain = decoded
    if any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in path):
        raise CommandError(f"Path {path!r} has a control character or a lone surrogate in it; use another name")
    return tuple(name for name in path[len(ROOT) :].split("/") if name not in ("", "."))


def _path(parts: tuple[str, ...]) -> str:
    return "/".join((ROOT, *parts))


def _format(name: str) -> str:
    return "markdown" if name.lower().endswith((".md", ".markdown")) else "plain"


def _numbered(lines: Sequence[str], first: int) -> str:
    return "\n".join(f"{number:>{_WIDTH}}\t{line}" for number, line in enumerate(lines, start=first))


def _not_once(path: str, text: str, old: str, count: int) -> str:
    if not count:
        return f"No replacement was performed, old_str `{old}` did not appear verbatim in {path}."
    lines: list[str] = []
    line, counted, start = 1, 0, text.find(old)
    while start >= 0 and len(lines) < _MOST_OCCURRENCES:
        line, counted = line + text.count("\n", counted, start), start
        lines.append(str(line))
        start = text.find(old, start + 1)
    listed = ", ".join(lines) + (", …" if start >= 0 else "")
    return (
        f"No replacement was performed. Multiple occurrences of old_str `{old}` in lines: {listed}. "
        "Please ensure it is unique"
    )


def _size(size: int) -> str:
    """Return a number of bytes as in 0B, 90B, 1.5K, 2M."""
    step = min(max(size.bit_length() - 1, 0) // 10, 3)
    number = size / 1024**step
    return f"{number:.0f}{'BKMG'[step]}" if number == int(number) else f"{number:.1f}{'BKMG'[step]}"
