"""Which files a caller may have read: those below the folders that the server was started for, links followed first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hybridstore.errors import InputError
from hybridstore.serving.answer_text import cut

_TOLD = 80  # characters of a path that a refusal repeats


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders below which files may be read; none: nothing may. Made by `of`."""

    roots: tuple[Path, ...] = ()

    @classmethod
    def of(cls, roots: Sequence[str | Path]) -> Folders:
        """Take these folders, as they are now; raises InputError for what is none."""
        real = []
        for root in roots:
            path = Path(root).expanduser().resolve()
            if not path.is_dir():
                raise InputError(f"{str(root)!r} is no folder; name folders below which files may be read")
            real.append(path)
        return cls(tuple(dict.fromkeys(real)))

    def allowed(self, given: str) -> Path:
        """Give the file or folder that is meant, all links resolved; relative paths are looked for below each root.

        Raises InputError for what lies outside, whether there is such a file or not, for what is hidden, and for what
        is not there.
        """
        if not self.roots:
            raise InputError(
                "this server may read no files; whoever runs it can allow a folder: `hybridstore serve mcp --root DIR`"
            )
        if not given.strip():
            raise InputError(f"{given!r} is no path; name a file or folder")
        paths = [path for root in self.roots if (path := _resolved(root, given)) is not None]
        inside = [(path, root) for path in paths for root in self.roots if path.is_relative_to(root)]
        if not inside:
            # One sentence for both: whether a path leads anywhere is nothing to tell of what lies outside.
            raise InputError(f"{cut(given, _TOLD)!r} is no path, or lies outside of what may be read. {self.told()}")
        seen = [path for path, root in inside if not any(part[0] == "." for part in path.relative_to(root).parts)]
        if not seen:
            raise InputError(f"{given!r} is hidden, and hidden files are not read")
        path = next((path for path in seen if path.exists()), seen[0])
        if not (path.is_file() or path.is_dir()):
            raise InputError(f"there is no file or folder {given!r}")
        return path

    def told(self) -> str:
        """Say which they are."""
        if not self.roots:
            return "This server may read no files."
        return f"Files are read below {', '.join(str(root) for root in self.roots)}, and nowhere else."


def _resolved(root: Path, given: str) -> Path | None:
    """Give the path with all links followed; None for what the system has no path for, as loops and endless names."""
    try:
        path = (root / Path(given).expanduser()).resolve()
        path.exists()
    except (OSError, RuntimeError, ValueError):
        return None
    return path
