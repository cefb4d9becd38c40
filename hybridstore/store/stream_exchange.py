"""Exchanging changes over a pair of streams, such as a program's standard input and output, with a store at their end.

Both sides first find out in what they differ, by digests of ever smaller parts of their states (a hash tree over the
digests of ids), then send each other removals and versions, and at last the changes that the other side lacks. One
side speaks first in each step, and the other answers, so that neither waits for a stream that is full.
"""

from __future__ import annotations

import json
import struct
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from hybridstore.backends.protocols import Backend
from hybridstore.backends.sqlite.parts_file import temporary_parts
from hybridstore.backends.values import Embedding
from hybridstore.backends.versions import NOTHING, Removal, Version
from hybridstore.errors import HybridstoreError, InputError
from hybridstore.store.bundles import Index, packed, read_index, unpacked
from hybridstore.store.exchange import gone, receive
from hybridstore.store.merging import Progress, check_merging
from hybridstore.store.message_stream import Readable, Stream, Writable
from hybridstore.store.publishing import StoreState, part_of, told
from hybridstore.store.shared_folder import ExchangeReport, HeldBundle

_NODE = struct.Struct(">QI")  # the digests of a part of the state, and how many there are
_ITEM = struct.Struct(">QQ")  # the beginning of an item's key, and the digest of its state
_FEW = 32  # items of both sides that are listed rather than divided further: 16 bytes each, against 192 for a division

Item = tuple[str, Any]
"""What is compared: its kind ("document", "removal", "told") and its id, key, or what was told."""


def exchange_over(
    own: Backend,
    reader: Readable,
    writer: Writable,
    *,
    fits: Callable[[Embedding], bool],
    dry_run: bool,
    progress: Progress | None,
) -> ExchangeReport:
    """Bring in what the store at the other end has and send it what it lacks."""
    check_merging(own)
    stream, report = Stream(reader, writer), ExchangeReport(name="this store", devices=["the other side"])
    with ExitStack() as opened:
        try:
            with own.snapshot():
                held = _Conversation(own, stream, fits, report, dry_run=dry_run).run(opened)
        except HybridstoreError:
            raise
        except (ValueError, TypeError, LookupError, ArithmeticError, struct.error, zlib.error, RecursionError) as error:
            raise InputError(f"the other side sent something that is not a message of an exchange ({error})") from error
        receive(own, held, report, fits=fits, progress=progress)
    report.bytes, report.received = stream.sent, stream.received
    return report


class _Conversation:
    """One exchange, up to where everything has been received."""

    def __init__(
        self,
        own: Backend,
        stream: Stream,
        fits: Callable[[Embedding], bool],
        report: ExchangeReport,
        *,
        dry_run: bool,
    ) -> None:
        self._own, self._stream, self._fits, self._report = own, stream, fits, report
        self._state = StoreState.of(own)
        report.dry_run = dry_run

    def run(self, opened: ExitStack) -> list[HeldBundle]:
        stream, state = self._stream, self._state
        stream.greet()
        embedding = state.embedding
        hello = {"embedding": embedding and [embedding.fingerprint, embedding.reference, embedding.dim]}
        theirs = json.loads(stream.swap(_json(hello | {"dry_run": self._report.dry_run})))
        other = Embedding(*theirs["embedding"]) if theirs["embedding"] else None
        self._report.dry_run |= bool(theirs["dry_run"])
        wanted = json.loads(stream.swap(_json(other is not None and self._fits(other))))
        same = embedding is not None and other is not None and embedding.fingerprint == other.fingerprint
        differing = self._differing(dict(_items(state, vectors=same)))
        return self._swap_changes(self._lacked(differing), vectors=bool(wanted), opened=opened)

    # what differs

    def _differing(self, items: Mapping[bytes, tuple[bytes, Item]]) -> list[Item]:
        """Return the items that are here and not, or otherwise, on the other side."""
        short = {int.from_bytes(key[:8]): (int.from_bytes(digest), item) for key, (digest, item) in items.items()}
        few = list[Sequence[int]]()
        parts: list[tuple[int, int, Sequence[int]]] = [(0, 64, sorted(short))]
        while parts:
            divided = [child for part in parts for child in _children(*part)]
            message = b"".join(_node(short, keys) for *_, keys in divided)
            heard = self._stream.swap(message)
            parts = []
            for part, here, there in zip(divided, _NODE.iter_unpack(message), _NODE.iter_unpack(heard), strict=True):
                if here == there:
                    continue
                if here[1] + there[1] <= _FEW or not part[1]:
                    few.append(part[2])
                else:
                    parts.append(part)
        listed = {key: short[key][0] for keys in few for key in keys}
        message = b"".join(_ITEM.pack(*pair) for pair in listed.items())
        theirs = dict(_ITEM.iter_unpack(self._stream.swap(message)))
        return [short[key][1] for key, digest in listed.items() if theirs.get(key) != digest]

    def _lacked(self, differing: Sequence[Item]) -> StoreState:
        """Return what the other side lacks of these items, once both have told their removals and versions."""
        state = self._state
        named = {value for kind, value in differing if kind == "document"}
        ids = [id_ for id_ in state.documents if id_ in named]
        keys = {value for kind, value in differing if kind == "removal"}
        removals = {key: row for key, row in state.removals.items() if key in keys}
        message = {
            "removals": [[key.hex(), row.version, row.purges] for key, row in removals.items()],
            "versions": [[_id_key(id_).hex(), state.documents[id_][0].hex(), state.documents[id_][1]] for id_ in ids],
        }
        heard = json.loads(unpacked(self._stream.swap(zlib.compress(_json(message)))))
        known = dict(state.removals)
        for key, version, purges in heard["removals"]:
            known[bytes.fromhex(key)] = known.get(bytes.fromhex(key), NOTHING) | Removal(str(version), int(purges))
        theirs = {bytes.fromhex(key): (bytes.fromhex(digest), str(text)) for key, digest, text in heard["versions"]}

        def lacks(id_: str) -> bool:
            digest, text = state.documents[id_]
            if gone(id_, text, known):
                return False
            there, version = theirs.get(_id_key(id_)), Version.of(text)
            if there is None or there == (digest, text):  # the same but for vectors
                return there is None or id_ not in state.lacking
            later = Version.of(there[1])
            return not (later.order > version.order and (later.descends_from(digest) or there[0] == digest))

        said = [value for kind, value in differing if kind == "told"]
        return replace(
            state,
            documents={id_: state.documents[id_] for id_ in ids if lacks(id_)},
            removals=removals,
            learned=part_of(state.learned, set(said).__contains__),
        )

    # changes

    def _swap_changes(self, lacked: StoreState, *, vectors: bool, opened: ExitStack) -> list[HeldBundle]:
        if self._stream.leads:
            self._send(lacked, vectors=vectors)
            held = self._receive(opened)
        else:
            held = self._receive(opened)
            self._send(lacked, vectors=vectors)
        self._stream.swap(b"received")
        return held

    def _send(self, lacked: StoreState, *, vectors: bool) -> None:
        report, own = self._report, self._own
        report.documents, report.removals, report.told = lacked.counts()
        calibration = own.state().calibration if vectors else None
        embedding = lacked.embedding if vectors else None
        index = Index(own.language, embedding, calibration, {}, lacked.removals, lacked.learned)
        for parts in packed(
            index, ((*found, own.get(id_, vectors=vectors)) for id_, found in lacked.documents.items())
        ):
            for part in parts:
                self._stream.send(part)
            self._stream.send(b"")
        self._stream.send(b"")

    def _receive(self, opened: ExitStack) -> list[HeldBundle]:
        """Receive all bundles; no file has a name, and those of a store with a key are in memory alone."""
        held = []
        while first := self._stream.receive():
            parts = opened.enter_context(temporary_parts(self._rest(first), in_memory=self._own.key is not None))
            held.append(HeldBundle("the other side", Path(parts.path), 0, read_index(parts), parts))
        return held

    def _rest(self, first: bytes) -> Iterator[bytes]:
        yield first
        while part := self._stream.receive():
            yield part


def _id_key(document_id: str) -> bytes:
    return blake2b(document_id.encode(), digest_size=16, person=b"exchange").digest()


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _items(state: StoreState, *, vectors: bool) -> Iterator[tuple[bytes, tuple[bytes, Item]]]:
    """Yield the items of a state by the digests of what they are about, each with the digest of what is known of it."""
    for id_, (digest, version) in state.documents.items():
        has = b"+" if vectors and id_ not in state.lacking else b"-"
        key = _digest(b"document", id_.encode())
        yield key, (_digest(key, digest, version.encode(), has), ("document", id_))
    for removed, row in state.removals.items():
        key = _digest(b"removal", removed)
        yield key, (_digest(key, f"{row.version} {row.purges}".encode()), ("removal", removed))
    for value, about in told(state.learned).items():
        key = _digest(b"told", repr(about).encode())
        yield key, (_digest(key, repr(value).encode()), ("told", value))


def _digest(*parts: bytes) -> bytes:
    digest = blake2b(digest_size=8)
    for part in parts:
        digest.update(len(part).to_bytes(4) + part)
    return digest.digest()


def _children(start: int, bits: int, keys: Sequence[int]) -> Iterator[tuple[int, int, Sequence[int]]]:
    """Divide the ascending keys from `start` on that differ in so many bits into sixteen parts of the same kind."""
    at = 0
    for n in range(16):
        begin = start + (n << bits - 4)
        end = bisect_left(keys, begin + (1 << bits - 4), at)
        yield begin, bits - 4, keys[at:end]
        at = end


def _node(items: Mapping[int, tuple[int, Item]], keys: Iterable[int]) -> bytes:
    together = count = 0
    for key in keys:
        together ^= items[key][0]
        count += 1
    return _NODE.pack(together, count)
