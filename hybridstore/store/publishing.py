"""Publishing: a store's changes that no device has put into the shared folder yet, written there.

What a device has published is read from its own bundles; no store keeps a record of it. So bundles that are lost are
written again, and a copy of a store needs no care.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from hybridstore.backends.protocols import Backend
from hybridstore.backends.sqlite.parts_file import write_parts
from hybridstore.backends.values import Embedding
from hybridstore.backends.versions import MERGED, Removal, Version, removal_of
from hybridstore.errors import FileRefused
from hybridstore.store.bundles import Index, packed
from hybridstore.store.merged_learning import Learned, learned
from hybridstore.store.shared_folder import BUNDLE, STATE, ExchangeReport, HeldBundle, digest_of_file, lacking_vectors
from hybridstore.whole_files import sync_file, sync_folder, write_whole

T = TypeVar("T")

_TRIES = 5
_SMALL, _MOST_SMALL = 2**20, 16  # bytes of a bundle that is joined with others, and how many of these there may be


@dataclass(frozen=True, slots=True)
class StoreState:
    """A store's state, as it is compared with what bundles hold."""

    documents: Mapping[str, tuple[bytes, str]]
    lacking: Collection[str]
    embedding: Embedding | None
    removals: Mapping[bytes, Removal]
    learned: Learned

    @classmethod
    def of(cls, own: Backend) -> StoreState:
        """Read the state of a store, in one snapshot of it."""
        removals = {key: row for key, row in own.removals().items() if key not in MERGED}
        return cls(own.versions(), lacking_vectors(own), own.embeddings().active, removals, learned(own))

    def counts(self) -> tuple[int, int, int]:
        """Return how many documents and removals there are, and how much else."""
        return len(self.documents), len(self.removals), len(told(self.learned))

    def current(self, index: Index) -> set[object]:
        """Return the items of a bundle that are as they are in the store: ids, keys of removals, what was told."""
        fingerprint = self.embedding.fingerprint if self.embedding else ""
        found: set[object] = {
            id_
            for id_, (digest, version, _) in index.documents.items()
            if self.documents.get(id_) == (digest, version)
            if not fingerprint or id_ in self.lacking or index.fingerprint(id_) == fingerprint
        }
        found |= {key for key, row in index.removals.items() if self.removals.get(key) == row}
        return found | (told(index.learned).keys() & told(self.learned).keys())

    def forgotten(self, index: Index) -> bool:
        """Return whether a bundle holds text that was purged here, or that the store was told to forget."""
        said = set(told(index.learned).values()) - set(told(self.learned).values())
        return bool(said) or any(True for _ in self.purged(index))

    def purged(self, index: Index) -> Iterator[str]:
        """Yield the documents of a bundle that were purged."""
        if any(row.purges for row in self.removals.values()):
            for id_, (_, version, _) in index.documents.items():
                if removal_of(id_, self.removals).purges > Version.of(version).purges:
                    yield id_


def told(said: Learned) -> dict[object, object]:
    """Return all that a store was told by its values, with what identifies it."""
    found: dict[object, object] = {each: each.query for each in said.queries}
    found |= {(replace(each, chunk=0), words): (each.query, each.document_id, words) for each, words in said.feedback}
    return found | {each: (each.query, each.document_id) for each in said.expectations}


def part_of(said: Learned, wanted: Callable[[object], bool]) -> Learned:
    """Return the part of what a store was told that is wanted, by its values in `told`."""
    return Learned(
        [each for each in said.queries if wanted(each)],
        [pair for pair in said.feedback if wanted((replace(pair[0], chunk=0), pair[1]))],
        [each for each in said.expectations if wanted(each)],
    )


def publish(own: Backend, folder: Path, held: Sequence[HeldBundle], report: ExchangeReport) -> None:
    """Write what no device has published yet, and give up this device's bundles that have become useless."""
    with own.snapshot():
        state = StoreState.of(own)
        mine = [each for each in held if each.device == report.name]
        kept, dropped = _divided(mine, state)
        there = set[object]().union(*(state.current(each.index) for each in kept))
        ours = set[object]().union(*(state.current(each.index) for each in dropped)) - there
        theirs = set[object]().union(*(state.current(each.index) for each in held if each not in mine))
        merged = report.merged
        going = {*merged.replaced, *merged.removed, *merged.purged} if report.dry_run else ()
        needed = _needed(state, ours, {*there, *theirs, *going})
        report.documents, report.removals, report.told = needed.counts()
        report.dropped = len(dropped)
        report.lingering = {
            device: count
            for device in report.devices
            if (count := sum(1 for each in held if each.device == device for _ in state.purged(each.index)))
        }
        if report.dry_run:
            return
        written = []
        if report.documents or report.removals or report.told:
            written = _write(own, folder, needed, report)
    names = sorted([each.path.name for each in kept] + written)
    if names or folder.exists():
        _write_state(folder, names, report)
    for each in dropped:
        each.path.unlink(missing_ok=True)


def _divided(mine: Sequence[HeldBundle], state: StoreState) -> tuple[list[HeldBundle], list[HeldBundle]]:
    """Divide a device's bundles into those that stay and those whose content is to be written anew.

    These are any with text that was purged or forgotten; those of which less than half counts; small ones, once there
    are many.
    """
    kept, dropped, seen = list[HeldBundle](), list[HeldBundle](), set[object]()
    for each in reversed(mine):
        current = state.current(each.index) - seen
        size = len(each.index.documents) + len(each.index.removals) + len(told(each.index.learned))
        useless = 2 * len(current) < size or not size
        (dropped if useless or state.forgotten(each.index) else kept).append(each)
        seen |= current
    small = [each for each in kept if each.size < _SMALL]
    if len(small) > _MOST_SMALL:
        kept, dropped = [each for each in kept if each not in small], dropped + small
    return kept, dropped


def _needed(state: StoreState, ours: Collection[object], there: Collection[object]) -> StoreState:
    """Return what is to be written: what this device has published and gives up, and what nobody has published."""

    def wanted(item: object) -> bool:
        return item in ours or item not in there

    said = state.learned
    return replace(
        state,
        documents={id_: found for id_, found in state.documents.items() if wanted(id_)},
        removals={key: row for key, row in state.removals.items() if wanted(key)},
        learned=part_of(said, wanted),
    )


def _write(own: Backend, folder: Path, needed: StoreState, report: ExchangeReport) -> list[str]:
    """Write bundles, and return their names."""
    folder.mkdir(exist_ok=True)
    names = [each.name for each in folder.iterdir() if BUNDLE.fullmatch(each.name)]
    last, written = max((int(name[:6]) for name in names), default=0), list[str]()
    documents = (
        (digest, version, own.get(id_, vectors=needed.embedding is not None))
        for id_, (digest, version) in needed.documents.items()
    )
    calibration = own.state().calibration
    index = Index(own.language, needed.embedding, calibration, {}, needed.removals, needed.learned)
    for number, parts in enumerate(packed(index, documents), last + 1):
        path = _tried_again(partial(_write_bundle, folder, number, parts, own.key))
        report.bytes += path.stat().st_size
        written.append(path.name)
    sync_folder(folder)
    return written


def _tried_again(write: Callable[[], T]) -> T:
    """Return what writing a file returns; tried again where another process takes the file for one that was left."""
    for _ in range(_TRIES - 1):
        with suppress(FileNotFoundError):
            return write()
    return write()


def _write_bundle(folder: Path, number: int, parts: Sequence[bytes], key: str | None) -> Path:
    """Write a bundle and return its path."""
    part = folder / f".{secrets.token_hex(4)}.part"
    try:
        part.touch(0o600)
        write_parts(part, parts, key)
        sync_file(part)
        return part.replace(folder / f"{number:06}-{digest_of_file(part)}.bundle")
    except FileRefused as error:
        raise FileRefused(str(folder), error.reason) from error
    finally:
        part.unlink(missing_ok=True)


def _write_state(folder: Path, names: Sequence[str], report: ExchangeReport) -> None:
    """Say which bundles there are, where that has changed."""
    content = json.dumps({"hybridstore": 1, "name": report.name, "bundles": names}, indent=1).encode() + b"\n"
    with suppress(FileNotFoundError):
        if (folder / STATE).read_bytes() == content:
            content = b""
    if content:
        _tried_again(partial(write_whole, folder / STATE, content))
