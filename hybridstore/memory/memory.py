"""Memory: what an agent remembers, in a store; no language model is needed for any of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridstore.backends.values import PurgeReport
from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import InputError
from hybridstore.filters import Filter
from hybridstore.memory import conversations, forks, history
from hybridstore.memory.consolidation import SIMILAR, Consolidation, consolidate
from hybridstore.memory.conversations import Message
from hybridstore.memory.history import ForgetReport, Target
from hybridstore.memory.note_ids import Namespace, check_note_id, check_session
from hybridstore.memory.note_space import NoteSpace
from hybridstore.memory.notes import Moment, Note, Span, check_metadata, moment_of, span_of
from hybridstore.memory.recall_result import Recall
from hybridstore.memory.recalling import RecallRequest, Recency, recall, record_feedback
from hybridstore.memory.remembering import ImportReport, NoteInput, Remembered, remember
from hybridstore.memory.token_budget import TokenCounter
from hybridstore.search.selection import NEAR_COPY_COSINE as NEARLY_THE_SAME
from hybridstore.store import Holder, Store
from hybridstore.store.inputs import Where, names_arguments

if TYPE_CHECKING:
    from hybridstore.ingest.line_files import File

_SWEEP_INTERVAL = 60.0  # seconds; looking for what has expired takes longer than storing a note


class Memory(Holder):
    """The notes and conversations of one namespace in a store; a context manager, safe to use from many threads.

    `path_or_store` is a store's file, created if it does not exist and opened with `embedder`, `language`, `threads`
    and `key` as `hybridstore.open` does, or an open Store, which then stays open. Namespaces share a file and never see
    each other's notes; one is named by its parts, ("user", "42"), or by a text in which slashes divide them, "user/42",
    as on the command line (%2F is a slash within a part). `count_tokens` should count as the model does that will read
    what is recalled; without it the embedder's tokenizer is used. `clock` returns the time in seconds since 1970.
    """

    def __init__(
        self,
        path_or_store: str | os.PathLike[str] | Store,
        namespace: str | Sequence[str] = ("default",),
        *,
        embedder: str | Path | Embedder | None = None,
        language: str | None = None,
        threads: int | None = None,
        key: str | None = None,
        count_tokens: Callable[[str], int] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        owner = Namespace.of(namespace)
        own = {"embedder": embedder, "language": language, "threads": threads, "key": key}
        if isinstance(path_or_store, Store) and any(value is not None for value in own.values()):
            raise InputError("an open store has its embedder, language, threads and key; pass these when opening it")
        self._hold(path_or_store, **own)
        self._space = NoteSpace(self.store, owner, clock)
        self._token_counter = TokenCounter(self.store, count_tokens)
        self._swept = float("-inf")

    @property
    def namespace(self) -> tuple[str, ...]:
        """The owner of the notes."""
        return self._space.namespace.parts

    @property
    def clock(self) -> Callable[[], float]:
        """The function that returns the time."""
        return self._space.clock

    # remembering

    def remember(
        self,
        what: str | list[Message] | tuple[Message, ...],
        *,
        id: str | None = None,  # noqa: A002 - the word for it
        metadata: Mapping[str, Any] | None = None,
        occurred_at: Moment | None = None,
        valid_from: Moment | None = None,
        valid_to: Moment | None = None,
        session: str | None = None,
        ttl: Span | None = None,
        supersedes: str | Iterable[str] = (),
        on_similar: str = "keep",
        similarity: float = SIMILAR,
    ) -> Remembered:
        """Store a note or the turns of a conversation, however short, and however similar to others.

        A text that is stored already, and valid, is not stored twice: the result's status says so, and new metadata or
        a new `ttl` are added to it. A known `id` gets the new text, and the old one becomes its older version.
        `supersedes` are the ids of notes that are no longer true: they are hidden from now on, except for
        `recall(as_of=…)` and `history`. A note is valid from `occurred_at`, when it happened, on, unless `valid_from`
        and `valid_to` say otherwise, and expires after `ttl` seconds.

        `on_similar` says what to do about notes whose cosine to it is at least `similarity`: "keep" both, "link" them,
        "supersede" them, or raise an "error".

        Messages are mappings {"role": "user", "content": "…"} that may have `name`, `time`, `id` and `metadata`, or
        messages and responses of the OpenAI and Anthropic SDKs and of LangChain, as objects or dicts. Tool calls become
        "[name {arguments}]"; a message that cannot be read is in `left_out` of the result. The others are appended to
        their `session`, except those that it has already, so a growing conversation can be passed again and again.
        Raises InputError for what cannot be stored, NotFound for an unknown id in `supersedes`.
        """
        self._sweep_now_and_then()
        if not isinstance(what, str):
            if id is not None or supersedes or on_similar != "keep" or valid_from or valid_to:
                raise InputError(
                    "turns of a conversation take no id, supersedes, on_similar, valid_from or valid_to; pass a text"
                )
            return conversations.append(
                self._space, what, session=session, metadata=metadata, occurred_at=occurred_at, ttl=ttl
            )
        if not isinstance(supersedes, Iterable):
            raise InputError(f"supersedes must be a note's id, or several, not {supersedes!r}")
        new = NoteInput(
            text=what,
            id=None if id is None else check_note_id(id),
            metadata=None if metadata is None else check_metadata(metadata),
            occurred_at=moment_of(occurred_at, "occurred_at"),
            valid_from=moment_of(valid_from, "valid_from"),
            valid_to=moment_of(valid_to, "valid_to"),
            session=None if session is None else check_session(session),
            ttl=None if ttl is None else span_of(ttl, "ttl"),
            supersedes=(supersedes,) if isinstance(supersedes, str) else tuple(supersedes),
        )
        return remember(self._space, new, on_similar=on_similar, similarity=similarity)

    # recalling

    @names_arguments
    def recall(
        self,
        query: str,
        *,
        max_tokens: int = 2000,
        as_of: Moment | None = None,
        session: str | None = None,
        where: Where = None,
        recency: Span | Recency | None = None,
        neighbours: int = 0,
        min_relevance: float | None = None,
        order: str = "score",
    ) -> Recall:
        """Search the notes, and pack the best of them into at most `max_tokens` tokens.

        `str()` of the result is a block for a model's context: whole notes, or chunks of long ones, each with its id,
        time, speaker and span, marked as data, and the number of those left out. Turns are ranked in the context of
        their neighbours; `neighbours` shows so many to either side of each, at most 1,000. `order` is "score" or
        "time".

        `as_of` searches what was valid at that moment. `session` and `where` restrict the search, by the notes'
        metadata or, as "memory.role", by their own facts. `recency` is the time in which a note's age takes half of
        what it can take of its score; see Recency. `min_relevance` is that of `Store.search`. Raises InputError for
        invalid arguments.
        """
        if recency is not None and not isinstance(recency, Recency):
            recency = Recency(recency)
        request = RecallRequest(
            query=query,
            max_tokens=max_tokens,
            as_of=moment_of(as_of, "as_of"),
            session=session,
            where=where,
            recency=recency,
            neighbours=neighbours,
            min_relevance=min_relevance,
            order=order,
        )
        return recall(self._space, request, self._token_counter.counter())

    def get(self, id: str) -> Note:  # noqa: A002 - the word for it
        """Return a note by its id, whether it is still valid or not; raises NotFound, also if it has expired."""
        note = self._space.required(id).note
        if note.expired(self._space.now()):
            raise self._space.not_found(id)
        return note

    def notes(self, *, where: Where = None, session: str | None = None, as_of: Moment | None = None) -> list[Note]:
        """Return the notes that are valid now, or were `as_of` a moment, in the order they were first stored."""
        return list(self._space.notes(self.scope(where=where, session=session, as_of=as_of)))

    def scope(self, *, where: Where = None, session: str | None = None, as_of: Moment | None = None) -> Filter:
        """Return the filter for these notes, for use with `Store.search`."""
        return self._space.visible(as_of=moment_of(as_of, "as_of"), session=session, where=where)

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a text, as `recall` counts them."""
        return self._token_counter.counter()(text)

    def history(self, id: str) -> list[Note]:  # noqa: A002 - the word for it
        """Return all versions of a note, oldest first: what it superseded, and what superseded it."""
        return history.history(self._space, id)

    def forks(self) -> list[tuple[Note, ...]]:
        """Return the notes that hold at once although they replaced the same note, in groups: see `choose`.

        Two devices corrected it before they were merged, so nobody can know which correction is true.
        """
        return forks.forks(self._space)

    def choose(self, id: str) -> None:  # noqa: A002 - the word for it
        """End a fork: this note supersedes the others of it. Raises NotFound, and InputError for another note.

        The next merge tells the other devices.
        """
        forks.choose(self._space, id)

    # forgetting

    def forget(self, target: Target, *, dry_run: bool = False, everything: bool = False) -> ForgetReport:
        """Remove notes, by id, several ids, or a filter over their metadata, together with their older versions.

        With `dry_run` only reports which. Raises NotFound for an unknown id, and InputError for what would remove every
        note by mistake: an empty id, an empty filter, or one that all notes pass, unless `everything` is true. What is
        forgotten is no longer found, but stays in the file's free pages until they are overwritten: see `purge`.
        """
        return history.forget(self._space, target, dry_run=dry_run, everything=everything)

    def purge(self, target: Target, *, verify: bool = True, everything: bool = False) -> PurgeReport:
        """Remove notes so that no byte of them is left in the file: text, words, vectors, log entries and triples.

        Takes the same targets as `forget`; ids that were forgotten before are erased too. With `verify` the file is
        scanned, and the report says whether it is clean; see `Store.purge`.
        """
        return history.purge(self._space, target, verify=verify, everything=everything)

    def sweep(self) -> int:
        """Remove expired notes, which are invisible already; return their number. `remember` does it now and then."""
        self._swept = self._space.clock()
        return history.sweep(self._space)

    def _sweep_now_and_then(self) -> None:
        if self._space.clock() - self._swept > _SWEEP_INTERVAL:
            self.sweep()

    # upkeep

    def consolidate(
        self, *, dry_run: bool = True, keep: str = "newest", similarity: float = NEARLY_THE_SAME
    ) -> Consolidation:
        """Let one of several notes that say the same supersede the others; `dry_run`, the default, only reports which.

        Notes say the same if the cosine of their vectors is at least `similarity`, their words, numbers and signs are
        the same in order, a few empty words aside, and their metadata, session and times are equal. A fact and its
        correction never do, nor turns. The "newest" is kept, or the most "used" by `feedback`; `history` returns the
        others. A second run finds nothing.
        """
        return consolidate(self._space, dry_run=dry_run, keep=keep, similarity=similarity)

    def export(self, file: File) -> int:
        """Write all notes, with history and turns, as JSON Lines; return their number. A name in .gz is compressed.

        Vectors and feedback are not exported: vectors are made anew where the notes are imported. Raises FileRefused
        for a file that is something else, or cannot be written.
        """
        from hybridstore.memory import transfer  # it imports the file readers, which a recall never needs

        return transfer.export(self._space, file)

    def import_(self, file: File) -> ImportReport:
        """Add the notes of an export to this namespace, whatever theirs was; return what happened to them.

        What is there already stays as it is: ids with other content are listed in `conflicts`. Raises InputError for a
        line that cannot be read, saying which and what was imported before it; running it again continues from there.
        """
        from hybridstore.memory import transfer  # as above

        self.sweep()  # an expired note must not block an imported one
        return transfer.import_(self._space, file)

    # learning

    def feedback(self, recall: Recall, *, used: Iterable[str], unused: Iterable[str] = ()) -> None:
        """Record which of the recalled notes were of use, by id: the store can learn from it (`hybridstore harvest`).

        Nothing is concluded from notes that are not named. Raises InputError for an id that was not recalled, NotFound
        for a note that was forgotten or got another text since; then nothing is recorded.
        """
        record_feedback(self._space, recall, used=used, unused=unused)

    def stats(self) -> dict[str, Any]:
        """Return the numbers of unexpired notes, turns, sessions and superseded notes, and the stats of the store."""
        now = self._space.now()
        notes = [note for note in self._space.notes() if not note.expired(now)]
        valid = [note for note in notes if note.holds(now)]
        return {
            "namespace": list(self.namespace),
            "notes": sum(note.kind == "note" for note in valid),
            "turns": sum(note.kind == "turn" for note in valid),
            "sessions": len({note.session for note in valid if note.session is not None}),
            "history": len(notes) - len(valid),
            "store": asdict(self.store.stats()),
        }
