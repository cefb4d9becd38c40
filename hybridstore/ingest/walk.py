"""Walking folders: yields the files to be read, and reports those that are skipped, with the reason."""

from __future__ import annotations

import gzip
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hybridstore.errors import InputError
from hybridstore.ingest.readers.encodings import is_binary
from hybridstore.ingest.readers.file_types import binary_reason, kind_of_name, readable_members
from hybridstore.ingest.readers.noise import noise_of_name
from hybridstore.ingest.regular_files import open_file
from hybridstore.store.shared_folder import is_state_file

NEVER = frozenset((".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv"))

_LARGEST_RULES = 1 << 20  # bytes of a .gitignore
# What pathspec writes for a star, for a star and what stands before the next in a name, for `**` and the same.
_STARS = re.compile(r"(?:\[\^/\]\*){2,}")
_BETWEEN_STARS = re.compile(r"\[\^/\]\*((?:\[\^/\](?![*+])|(?!\[\^/\])[^/])+)(?=\[\^/\]\*)")
_BETWEEN_FOLDERS = re.compile(r"\(\?:(/\.\+|\.\+/)\)\?(.*?)(?=\(\?:/\.\+\)\?)")
_HEAD = 8192  # bytes in which git, too, looks for NUL to detect binary files


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that was skipped, and the reason in a word or two."""

    path: Path
    reason: str


class _Rules(NamedTuple):
    """The patterns of one .gitignore and the folder they are relative to."""

    base: str
    spec: Any


def walk(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    hidden: bool = False,
    follow_links: bool = False,
    skipped: Callable[[Skipped], None] | None = None,
) -> Iterator[Path]:
    """Yield the absolute paths of the files at and below these paths, once each, sorted by name in each folder.

    Skipped below a folder are: what a .gitignore there or further up its repository ignores, what `exclude` matches or
    `include` (if not empty) does not, hidden files unless `hidden`, links unless `follow_links`, binary files, those of
    an exchange between stores, and always .git, node_modules, __pycache__ and the like (NEVER). Patterns are those of
    .gitignore, relative to the folder. A path to a file is yielded whatever it is. `skipped` is called for all skipped
    entries except NEVER.

    Raises InputError for a path that does not exist, before the first file.
    """
    listed = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    roots = [Path(os.path.abspath(path)) for path in listed]  # noqa: PTH100 - Path.absolute keeps ".."
    for root in roots:
        if not root.exists():
            raise InputError(f"there is no file or folder {str(root)!r}; nothing was read")
    if not any(root.is_dir() for root in roots):
        return _without_repeats(None, roots)  # files alone need no patterns
    included = _spec(include) if include else None
    walker = _Walker(included, _spec(exclude), hidden, follow_links, skipped or (lambda _: None))
    return _without_repeats(walker, roots)


def _without_repeats(walker: _Walker | None, roots: Sequence[Path]) -> Iterator[Path]:
    several = len(roots) > 1
    seen: set[Path] = set()  # only if paths may overlap
    for root in roots:
        for path in walker.below(root) if walker and root.is_dir() else (root,):
            if several:
                if path in seen:
                    continue
                seen.add(path)
            yield path


def _spec(lines: Iterable[str]) -> Any:
    from pathspec import GitIgnoreSpec

    try:
        spec = GitIgnoreSpec.from_lines(lines)
        for pattern in spec.patterns:
            if pattern.regex is not None:
                pattern.regex = re.compile(_without_backtracking(pattern.regex.pattern))
    except ValueError as error:
        raise InputError(f"invalid pattern: {error}; write it as in a .gitignore") from error
    return spec


def _without_backtracking(regex: str) -> str:
    """Return pathspec's expression for a pattern with the first place for what stands between two stars as the only.

    The later star takes whatever else could be tried, which is 8 s of `*a*a*a*a*b` for one name of 200 characters.
    """
    regex = _STARS.sub("[^/]*", regex)
    regex = _BETWEEN_STARS.sub(r"(?>[^/]*?\1)", regex)
    return _BETWEEN_FOLDERS.sub(_first_place, regex)


def _first_place(found: re.Match[str]) -> str:
    folders = found[1].replace("+", "+?")
    return f"(?>(?:{folders})??{found[2]}(?=/))"


def _rules_of(folder: str) -> _Rules | None:
    try:
        with open_file(os.path.join(folder, ".gitignore")) as stream:  # noqa: PTH118 - as below
            text = stream.read(_LARGEST_RULES).decode("utf-8", "replace")
    except OSError:  # there is none, or it is not readable
        return None
    lines = []
    for line in text.splitlines():
        try:
            _spec([line])
        except InputError:  # git, too, skips invalid patterns
            continue
        lines.append(line)
    return _Rules(folder, _spec(lines))


def _is_ignored(rules: Sequence[_Rules], path: str, *, folder: bool) -> bool:
    """Return whether a path is ignored: the innermost .gitignore with a matching pattern decides, as in git."""
    for base, spec in reversed(rules):
        ignored: bool | None = spec.check_file(_relative(path, base, folder=folder)).include
        if ignored is not None:
            return ignored
    return False


def _relative(path: str, base: str, *, folder: bool) -> str:
    """Return a path relative to `base` as patterns match it: a folder ends in a slash."""
    return path[len(base.rstrip(os.sep)) + 1 :].replace(os.sep, "/") + "/" * folder


def _rules_above(root: str) -> list[_Rules]:
    """Return the rules of the folders between the repository's top and `root`; none if they ignore `root` itself."""
    parents: list[str] = []
    folder = root
    while not Path(folder, ".git").exists():
        parent = os.path.dirname(folder)  # noqa: PTH120 - the walk works on strings, for speed
        if parent == folder:
            return []
        parents.append(parent)
        folder = parent
    rules = [rule for parent in reversed(parents) if (rule := _rules_of(parent))]
    return [] if _is_ignored(rules, root, folder=True) else rules


@dataclass(frozen=True, slots=True)
class _Walker:
    include: Any
    exclude: Any
    hidden: bool
    follow_links: bool
    skipped: Callable[[Skipped], None]

    def below(self, root: Path) -> Iterator[Path]:
        """Yield the files below one folder."""
        top = str(root)
        visited: set[str] = set()  # real folders, so that a loop of links ends
        pending: list[tuple[str, tuple[_Rules, ...], bool]] = [(top, tuple(_rules_above(top)), True)]
        while pending:
            path, rules, is_folder = pending.pop()
            if not is_folder:
                yield Path(path)
                continue
            if self.follow_links:
                real = os.path.realpath(path)
                if real in visited:
                    continue
                visited.add(real)
            own = _rules_of(path)
            rules = (*rules, own) if own else rules
            entries = [(entry.path, rules, folder) for entry, folder in self._entries(path, rules, top)]
            pending.extend(reversed(entries))

    def _entries(self, folder: str, rules: Sequence[_Rules], top: str) -> Iterator[tuple[os.DirEntry[str], bool]]:
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            self.skipped(Skipped(Path(folder), f"cannot be opened ({error.strerror})"))
            return
        for entry in entries:
            if entry.name in NEVER:
                continue
            is_folder = entry.is_dir(follow_symlinks=self.follow_links)
            reason = self._reason(entry, rules, top, folder=is_folder)
            if reason:
                self.skipped(Skipped(Path(entry.path), reason))
            else:
                yield entry, is_folder

    def _reason(self, entry: os.DirEntry[str], rules: Sequence[_Rules], top: str, *, folder: bool) -> str | None:
        """Return why an entry is skipped, None if it is not."""
        if entry.is_symlink() and not self.follow_links:
            return "link"
        if not self.hidden and entry.name.startswith("."):
            return "hidden"
        if _is_ignored(rules, entry.path, folder=folder):
            return "ignored"
        relative = _relative(entry.path, top, folder=folder)
        if self.exclude.match_file(relative):
            return "excluded"
        if not folder and self.include is not None and not self.include.match_file(relative):
            return "not included"
        return None if folder else _binary_reason(entry)


def _binary_reason(entry: os.DirEntry[str]) -> str | None:
    """Return what kind of binary file or noise this is, by its name or, if that is unknown, its first bytes."""
    try:
        if not stat.S_ISREG(entry.stat().st_mode):
            return "not a regular file"
    except OSError:
        return "broken link"
    if is_state_file(Path(entry.path)):  # to read it would change the store, and the next exchange the file
        return "of an exchange"
    reason = readable_members(entry.path) or binary_reason(entry.name) or noise_of_name(entry.name)
    if reason or kind_of_name(entry.name):
        return reason
    try:
        with open_file(entry.path) as stream:
            compressed = entry.name.lower().endswith(".gz")
            head = gzip.GzipFile(fileobj=stream).read(_HEAD) if compressed else stream.read(_HEAD)
    except (OSError, EOFError, zlib.error):
        return None  # reading it will report the error
    return "binary" if is_binary(head) else None
