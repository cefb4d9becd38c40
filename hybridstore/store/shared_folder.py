"""The folder through which devices exchange changes: which bundles there are, and what is in them.

Each device has a folder of its own in it, and writes nowhere else: bundles of changes, which are never changed, and a
state file that names them. A bundle's name has the digest of its content, so one that is torn, or still on its way, is
left for the next time.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from hybridstore.backends.protocols import Backend
from hybridstore.backends.sqlite.parts_file import PartsFile, open_parts
from hybridstore.errors import FileRefused
from hybridstore.store.bundles import Index, read_index
from hybridstore.store.merging import MergeReport

STATE = "device.json"
BUNDLE = re.compile(r"(\d{6})-([0-9a-f]{32})\.bundle", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(slots=True, kw_only=True)
class ExchangeReport:
    """What an exchange through a folder did, or with `dry_run` would do.

    `name` is this device's, `devices` are the others. `merged` is what came in, from `read` bundles with news.
    `documents`, `removals` and `told` (queries, feedback, expectations) count what was written for others, in `bytes`
    bytes; `dropped` bundles of this device became needless. `torn` bundles are not whole yet, `missing` ones are known
    of but not there: they are read when they are. `failed` are (bundle, reason) of those that cannot be used.
    `lingering` counts, by device, the documents that were purged and are still in its bundles, until it exchanges. Over
    streams, `bytes` and `received` are all that was sent and received.
    """

    name: str
    devices: list[str] = field(default_factory=list)
    merged: MergeReport = field(default_factory=MergeReport)
    read: int = 0
    documents: int = 0
    removals: int = 0
    told: int = 0
    bytes: int = 0
    received: int = 0
    dropped: int = 0
    torn: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    lingering: dict[str, int] = field(default_factory=dict)
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class HeldBundle:
    """A bundle that is whole."""

    device: str
    path: Path
    size: int
    index: Index
    parts: PartsFile | None = None  # where it is open

    def opened(self, key: str | None) -> AbstractContextManager[PartsFile]:
        """Open it for a block."""
        return open_parts(self.path, key) if self.parts is None else nullcontext(self.parts)


def held_bundles(folder: Path, key: str | None, report: ExchangeReport) -> list[HeldBundle]:
    """Read the indexes of all bundles that are whole, and report the others."""
    held: list[HeldBundle] = []
    for device in sorted(each for each in folder.iterdir() if NAME.fullmatch(each.name) and each.is_dir()):
        names = {each.name for each in device.iterdir() if BUNDLE.fullmatch(each.name)}
        published = _published(device)
        if device.name != report.name:
            if not names and published is None:
                continue  # someone else's folder
            report.devices.append(device.name)
            report.missing += [f"{device.name}/{each}" for each in sorted((published or set()) - names)]
        for name in sorted(names):
            with suppress(FileNotFoundError):  # its device, or what synchronises the folder, has removed it just now
                _take(held, device / name, key, report)
    return held


def first_index(folder: Path, key: str | None) -> Index | None:
    """Return the index of a bundle with documents, with their vectors if there is one; None where there is none."""
    found: list[HeldBundle] = []
    with suppress(OSError):  # there is no such folder: the exchange says so
        found = held_bundles(folder, key, ExchangeReport(name=""))
    indexes = [each.index for each in found if each.index.documents]
    return max(indexes, key=lambda index: index.embedding is not None, default=None)


def _take(held: list[HeldBundle], path: Path, key: str | None, report: ExchangeReport) -> None:
    """Add a bundle to those held, or to what the report says is torn or cannot be used."""
    place = f"{path.parent.name}/{path.name}"
    if digest_of_file(path) != path.name[7:39]:
        report.torn.append(place)
        return
    with open_parts(path, key) as parts:
        try:
            held.append(HeldBundle(path.parent.name, path, path.stat().st_size, read_index(parts)))
        except FileRefused as error:
            report.failed.append((place, error.reason))


def unread_files(device: Path) -> Iterator[Path]:
    """Yield the files in this device's folder that nobody reads: what was left half written, and copies of bundles."""
    for path in device.iterdir() if device.is_dir() else ():
        if path.is_file() and not BUNDLE.fullmatch(path.name) and path.suffix in {".part", ".bundle"}:
            yield path


def is_state_file(path: Path) -> bool:
    """Return whether a file is one in which a device says which bundles it has published."""
    return path.name == STATE and _published(path.parent) is not None


def _published(device: Path) -> set[str] | None:
    """Return the bundles that a device says it has published; None where it says nothing that can be read."""
    try:
        names = json.loads((device / STATE).read_bytes())["bundles"]
        return {name for name in names if isinstance(name, str) and BUNDLE.fullmatch(name)}
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None


def digest_of_file(path: Path) -> str:
    """Return the digest that a bundle's name has."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def lacking_vectors(own: Backend) -> set[str]:
    """Return the documents without all of their vectors, in a store that has some."""
    return set(own.documents_of(own.missing().tolist()))
