"""Exchanging changes through a folder that several devices see: one of Syncthing, Dropbox, a share, a stick, git."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hybridstore.backends.learning import Expectation, Feedback, LoggedQuestion
from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Calibration, Embedding, StoredDocument
from hybridstore.backends.versions import NOTHING, Removal, Version, removal_of
from hybridstore.errors import FileRefused, InputError, NotFound
from hybridstore.store.bundles import Bundle
from hybridstore.store.merged_learning import Learned
from hybridstore.store.merging import MergeReport, Progress, check_merging, merge_changes
from hybridstore.store.publishing import publish
from hybridstore.store.shared_folder import (
    NAME,
    STATE,
    ExchangeReport,
    HeldBundle,
    held_bundles,
    is_state_file,
    lacking_vectors,
    unread_files,
)

_MACHINE = Path("/etc/machine-id")


def device_name(location: str) -> str:
    """Return the name of the device that a store is: of this machine and the store's place, so a copy is another."""
    if location == ":memory:":
        raise InputError("a store in memory has no place that its device could be named by: pass name=")
    host = re.sub(r"[^A-Za-z0-9_-]+", "-", socket.gethostname().partition(".")[0]).strip("-")[:40] or "device"
    machine = ""
    with suppress(OSError):  # which not every system has
        machine = _MACHINE.read_text()
    place = location if "://" in location else str(Path(location).resolve())
    return f"{host}-{hashlib.blake2b(f'{machine}{host}{place}'.encode(), digest_size=3).hexdigest()}"


def exchange(
    own: Backend,
    folder: Path,
    *,
    name: str | None,
    fits: Callable[[Embedding], bool],
    dry_run: bool,
    progress: Progress | None,
) -> ExchangeReport:
    """Bring in what other devices have put into a folder, and put there what they lack."""
    check_merging(own)
    name = device_name(own.location) if name is None else name
    if not NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot be a device's name: it has letters, digits, '.', '_', '-', at most 64 of them"
        )
    if not os.path.isdir(folder):  # noqa: PTH112 - False for a disk that is not to be read
        raise InputError(f"{folder} is not a folder; make it first, on a disk that is there")
    if is_state_file(folder / STATE):
        raise InputError(f"{folder} is the folder of one device; name the one that it is in, which all devices share")
    report = ExchangeReport(name=name, dry_run=dry_run)
    came_in = ""
    try:
        strays = list(unread_files(folder / name))
        held = held_bundles(folder, own.key, report)
        strays += [folder / each for each in report.torn if each.startswith(f"{name}/")]
        receive(own, held, report, fits=fits, progress=progress)
        came_in = "; what came in is kept"
        publish(own, folder / name, held, report)
        for stray in () if dry_run else strays:
            stray.unlink(missing_ok=True)
    except OSError as error:
        raise FileRefused(str(folder), f"cannot be read or written ({_said(error)}){came_in}") from error
    return report


def _said(error: OSError) -> str:
    """Return what an error says, the same whenever it happens: a file that was being written has another name then."""
    named = error.filename is not None and not str(error.filename).endswith(".part")
    return f"{error.strerror}: {error.filename}" if named else str(error.strerror or error)


# what comes in


@dataclass(slots=True)
class _Rest:
    """What bundles hold beside documents, as changes that can be merged."""

    language: str
    told: Mapping[bytes, Removal]
    said: Learned = field(default_factory=Learned)
    embedding: Embedding | None = None
    calibration: Calibration | None = None

    def versions(self) -> dict[str, tuple[bytes, str]]:
        return {}

    def removals(self) -> dict[bytes, Removal]:
        return dict(self.told)

    def get(self, document_id: str, *, vectors: bool = False) -> StoredDocument:  # noqa: ARG002 - as all have it
        raise NotFound(document_id)

    def learned(self) -> Learned:
        return self.said


def receive(
    own: Backend,
    held: Sequence[HeldBundle],
    report: ExchangeReport,
    *,
    fits: Callable[[Embedding], bool],
    progress: Progress | None,
) -> None:
    """Merge all bundles: removals first, so that nothing comes in that goes again, then documents, then the rest."""
    removals: dict[bytes, Removal] = {}
    for each in held:
        for key, removal in each.index.removals.items():
            removals[key] = removals.get(key, NOTHING) | removal
    merged, dry_run = report.merged, report.dry_run
    merged.dry_run = dry_run
    first = merge_changes(own, _Rest(own.language, removals), fits=fits, dry_run=dry_run)
    _join(merged, first)
    wanted = _wanted(own, held, removals, fits)
    total, done = sum(map(len, wanted)), 0
    for each, ids in zip(held, wanted, strict=True):
        if not ids:
            continue
        try:
            with each.opened(own.key) as parts:
                bundle = Bundle(parts, each.index, ids, removals)
                _join(merged, merge_changes(own, bundle, fits=fits, dry_run=dry_run))
            report.read += 1
        except FileNotFoundError:  # its device has just written anew what is in it
            continue
        except FileRefused as error:  # whole, but not written by us
            if error.location != str(each.path):
                raise
            report.failed.append((f"{each.device}/{each.path.name}", error.reason))
        done += len(ids)
        if progress:
            progress(done, total)
    said = _joined(each.index.learned for each in held)
    _join(merged, merge_changes(own, _Rest(own.language, removals, said), fits=fits, dry_run=dry_run))


def _wanted(
    own: Backend, held: Sequence[HeldBundle], told: Mapping[bytes, Removal], fits: Callable[[Embedding], bool]
) -> list[list[str]]:
    """Return, for each bundle, the documents that may be news here: not known, not gone, in no later version."""
    mine, lacking = own.versions(), lacking_vectors(own)
    known = own.removals()
    removals = {key: known.get(key, NOTHING) | told.get(key, NOTHING) for key in known.keys() | told.keys()}
    candidates: dict[str, list[tuple[bytes, Version]]] = {}
    for each in held:
        takes = each.index.embedding is not None and fits(each.index.embedding)
        for id_, (digest, version, vectored) in each.index.documents.items():
            news = mine.get(id_) != (digest, version) or (vectored and takes and id_ in lacking)
            if news and not gone(id_, version, removals):
                candidates.setdefault(id_, []).append((digest, Version.of(version)))
    for id_, versions in candidates.items():
        if id_ in mine:
            versions.append((mine[id_][0], Version.of(mine[id_][1])))

    def overtaken(id_: str, digest: bytes, text: str) -> bool:
        version = Version.of(text)
        return any(later.order > version.order and later.descends_from(digest) for _, later in candidates.get(id_, ()))

    return [
        [
            id_
            for id_, (digest, version, _) in each.index.documents.items()
            if id_ in candidates and (digest, Version.of(version)) in candidates[id_]
            if not overtaken(id_, digest, version)
        ]
        for each in held
    ]


def gone(id_: str, text: str, removals: Mapping[bytes, Removal]) -> bool:
    """Return whether a version of a document was removed or purged."""
    if not removals:
        return False
    version, removal = Version.of(text), removal_of(id_, removals)
    return removal.purges > version.purges or Version.of(removal.version).order > version.order


def _joined(all_learned: Iterator[Learned]) -> Learned:
    """Return what several stores were told, each query once, as often and as late as any has it."""
    queries: dict[str, LoggedQuestion] = {}
    feedback: dict[tuple[str, str, bytes], tuple[Feedback, bytes]] = {}
    expectations: dict[tuple[str, str], Expectation] = {}
    for each in all_learned:
        for logged in each.queries:
            known = queries.get(logged.query, logged)
            joined = LoggedQuestion(logged.query, max(known.times, logged.times), max(known.last, logged.last))
            queries[logged.query] = joined
        for told, words in each.feedback:
            key = (told.query, told.document_id, words)
            feedback[key] = max(
                feedback.get(key, (told, words)), (told, words), key=lambda pair: (pair[0].when, pair[0].used)
            )
        for wish in each.expectations:
            pair = (wish.query, wish.document_id)
            expectations[pair] = max(expectations.get(pair, wish), wish, key=lambda one: (one.made, -one.within))
    return Learned(list(queries.values()), list(feedback.values()), list(expectations.values()))


def _join(report: MergeReport, other: MergeReport) -> None:
    """Add what a part of the merge brought to what came before it."""
    for name in ("added", "replaced", "removed", "purged", "kept", "conflicts", "notes"):
        setattr(report, name, list(dict.fromkeys([*getattr(report, name), *getattr(other, name)])))
    for name in ("unchanged", "queries", "feedback", "expectations"):
        setattr(report, name, getattr(report, name) + getattr(other, name))
    report.pending, report.ahead = other.pending, max(report.ahead, other.ahead)
    report.purge = other.purge or report.purge
