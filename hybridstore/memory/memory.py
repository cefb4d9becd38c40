"""Memory: what an agent remembers, over a store; no language model is needed for any of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridstore.backends.values import Purged
from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import InputError
from hybridstore.filters import Filter
from hybridstore.memory import conversations, forgetting
from hybridstore.memory.consolidation import Consolidation, consolidate
from hybridstore.memory.conversations import Message
from hybridstore.memory.forgetting import ForgetReport, Target
from hybridstore.memory.history import history
from hybridstore.memory.importing import ImportReport
from hybridstore.memory.note_counts import counted
from hybridstore.memory.note_ids import Namespace
from hybridstore.memory.note_storage import Place
from hybridstore.memory.notes import Note, note_of
from hybridstore.memory.recall_feedback import note_feedback
from hybridstore.memory.recall_result import Recall
from hybridstore.memory.recalling import RecallRequest, Recency, recall
from hybridstore.memory.remembering import NoteInput, Remembered, remember
from hybridstore.memory.similarity import SIMILAR
from hybridstore.memory.timestamps import Moment, Span, moment_of, seconds_of
from hybridstore.memory.token_budget import TokenCounter
from hybridstore.memory.visibility import Where, visible
from hybridstore.search.selection import ALIKE as NEARLY_THE_SAME
from hybridstore.store import Holder, Store

if TYPE_CHECKING:
    from hybridstore.ingest.line_files import File

_SWEPT_EVERY = 60.0  # seconds between two looks for what has expired, which take longer than keeping a note


class Memory(Holder):
    """The notes and conversations of one namespace in a store; a context manager, safe to use from many threads.

    `path_or_store` is a store's file, made if it is not there, or an open Store, which then stays open. Namespaces
    share a file and never see each other's notes. `count_tokens` counts as the model does that will read what is
    recalled; without it the embedder's tokenizer is asked. `clock` gives the time in seconds since 1970.
    """

    def __init__(
        self,
        path_or_store: str | os.PathLike[str] | Store,
        namespace: str | Sequence[str] = ("default",),
        *,
        embedder: str | Path | Embedder | None = None,
        language: str | None = None,
        threads: int | None = None,
        count_tokens: Callable[[str], int] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        owner = Namespace.of(namespace)
        own = {"embedder": embedder, "language": language, "threads": threads}
        if isinstance(path_or_store, Store) and any(value is not None for value in own.values()):
            raise InputError("an open store has its embedder and language; give these where it is opened")
        self.hold(path_or_store, **own)
        self._place = Place(self.store, owner, clock)
        self._counting = TokenCounter(self.store, count_tokens)
        self._swept = float("-inf")

    @property
    def namespace(self) -> tuple[str, ...]:
        """Whose notes these are."""
        return self._place.namespace.parts

    @property
    def clock(self) -> Callable[[], float]:
        """What gives the time."""
        return self._place.clock

    # keeping

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
        """Keep a note, or the turns of a conversation; however short, and however like another.

        A text that is kept already, and holds, is not kept twice: the answer's status says so, and new metadata or a
        new `ttl` are taken over. An `id` that is known gets the new text, and the old one becomes its older version.
        `supersedes` are the ids of notes that are no longer so: they are hidden from now on, and found again by
        `recall(as_of=…)` and `history`. `occurred_at` is when it happened; it holds from then on, unless `valid_from`
        and `valid_to` say otherwise. After `ttl` seconds it vanishes.

        `on_similar` says what to do about notes whose cosine to it is at least `similarity`: "keep" both, "link" them,
        "supersede" them, or raise an "error".

        Messages are mappings {"role": "user", "content": "…"} that may have `name`, `time`, `id` and `metadata`. They
        are appended to their `session`; those that stand there already are left out, so a growing conversation can be
        given again and again. Raises InputError for what cannot be kept, NotFound for an unknown id in `supersedes`.
        """
        self._sweep_now_and_then()
        if not isinstance(what, str):
            if id is not None or supersedes or on_similar != "keep" or valid_from or valid_to:
                raise InputError("turns of a conversation are named by their place; they supersede nothing")
            return conversations.append(
                self._place, what, session=session, metadata=metadata, occurred_at=occurred_at, ttl=ttl
            )
        new = NoteInput.of(
            what,
            id=id,
            metadata=metadata,
            occurred_at=occurred_at,
            valid_from=valid_from,
            valid_to=valid_to,
            session=session,
            ttl=ttl,
            supersedes=supersedes,
        )
        return remember(self._place, new, on_similar=on_similar, similarity=similarity)

    # recalling

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
        """Find what answers a question, and pack the best of it into at most `max_tokens` tokens.

        `str()` of the answer is a block for a model's context: whole notes, or chunks of long ones, each with its id,
        time, speaker and span, marked as data; what was left out is said. Turns are judged in the light of their
        neighbours; `neighbours` shows so many to either side of each, at most 1,000. `order` is "score" or "time".

        `as_of` asks what held at that moment. `session` and `where` restrict what is searched, by the notes' metadata
        or, as "memory.role", by their own facts. `recency` is the time in which a note's age takes half of what it can
        take of its score; see Recency. `min_relevance` leaves out what hardly answers; see `Store.search`. Raises
        InputError for arguments that make no sense.
        """
        if recency is not None and not isinstance(recency, Recency):
            recency = Recency(recency)
        wanted = RecallRequest(
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
        return recall(self._place, wanted, self._counting.counter())

    def get(self, id: str) -> Note:  # noqa: A002 - the word for it
        """Give a note by its id, whether it still holds or not; raises NotFound, for what has expired too."""
        found = self._place.required(id).note
        if found.expired(self._place.now()):
            raise self._place.unknown(id)
        return found

    def notes(self, *, where: Where = None, session: str | None = None, as_of: Moment | None = None) -> list[Note]:
        """Give the notes that hold now, or held `as_of` a moment, in the order they were first kept."""
        wanted = self.scope(where=where, session=session, as_of=as_of)
        return [note_of(str(each.id), each.text, each.metadata) for each in self.store.documents(wanted)]

    def scope(self, *, where: Where = None, session: str | None = None, as_of: Moment | None = None) -> Filter:
        """Give the filter by which the store finds these notes: for `Store.search`, where passages are wanted."""
        at = None if as_of is None else seconds_of(as_of, "as_of")
        return visible(self._place.namespace, self._place.clock(), as_of=at, session=session, where=where)

    def count_tokens(self, text: str) -> int:
        """Count a text as recalls are counted."""
        return self._counting.counter()(text)

    def history(self, id: str) -> list[Note]:  # noqa: A002 - the word for it
        """Give all versions of what a note says, oldest first: what it superseded, and what superseded it."""
        return history(self._place, id)

    # forgetting

    def forget(self, target: Target, *, dry_run: bool = False, everything: bool = False) -> ForgetReport:
        """Remove notes, by id, several ids, or a filter over their metadata; their older versions go with them.

        `dry_run` only tells which. Raises NotFound for an unknown id; InputError for what would take every note without
        meaning to: an empty id, an empty filter, or one that all notes pass, unless `everything` says that it is meant.
        What is forgotten is found no more, but stays in the file's free pages until they are written over: see `purge`.
        """
        return forgetting.forget(self._place, target, dry_run=dry_run, everything=everything)

    def purge(self, target: Target, *, verify: bool = True, everything: bool = False) -> Purged:
        """Remove notes so that no byte of them is left in the file: text, words, vectors, log entries and triples.

        The same targets as `forget`; ids that were forgotten before are erased too. With `verify` the file is looked
        through, and the report says whether it is clean; see `Store.purge`.
        """
        return forgetting.purge(self._place, target, verify=verify, everything=everything)

    def sweep(self) -> int:
        """Remove what has expired, which is invisible already; give how many notes. `remember` does it now and then."""
        self._swept = self._place.clock()
        return forgetting.sweep(self._place)

    def _sweep_now_and_then(self) -> None:
        if self._place.clock() - self._swept > _SWEPT_EVERY:
            self.sweep()

    # keeping in order

    def consolidate(
        self, *, dry_run: bool = True, keep: str = "newest", similarity: float = NEARLY_THE_SAME
    ) -> Consolidation:
        """Let one of several notes that say the same supersede the others; `dry_run`, the default, only tells which.

        Notes say the same if their vectors' cosine is at least `similarity` and their words, numbers and signs are the
        same in order, a few empty words aside; and they must have the same metadata, session and times. A fact and its
        correction never do, nor turns. Kept is the "newest", or the most "used" by `feedback`; `history` gives the
        others. A second run finds nothing.
        """
        return consolidate(self._place, dry_run=dry_run, keep=keep, similarity=similarity)

    def export(self, file: File) -> int:
        """Write all notes, history and turns included, as JSON Lines; give how many. A name in .gz is compressed.

        Vectors and feedback stay behind: they are made anew where the notes are imported. Raises FileRefused for a file
        that is something else, or cannot be written.
        """
        from hybridstore.memory import transfer  # with it come the readers of files, which a recall never needs

        return transfer.export(self._place, file)

    def import_(self, file: File) -> ImportReport:
        """Take over the notes of an export into this namespace, whosever they were, and say what became of them.

        What is there already stays as it is: an id of other content is named in `conflicts`. Raises InputError for a
        line that cannot be read, saying which and what was taken over before it; running it again goes on from there.
        """
        from hybridstore.memory import transfer  # as above

        self.sweep()  # what has expired is in nobody's way
        return transfer.import_(self._place, file)

    # learning

    def feedback(self, recall: Recall, *, used: Iterable[str], unused: Iterable[str] = ()) -> None:
        """Say which of what was recalled was of use, by id: the store can learn from it (`hybridstore harvest`).

        Nothing is concluded from what is not named. Raises InputError for an id that was not recalled, NotFound for a
        note that was forgotten or got another text since; then no word is kept.
        """
        note_feedback(self._place, recall, used=used, unused=unused)

    def stats(self) -> dict[str, Any]:
        """Say what this namespace holds: notes, turns, sessions, what is history, and the store's own numbers."""
        return counted(self._place)
