"""What the reading tools do, without any transport: search, recall, fetch, list, stats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hybridstore.errors import InputError, NotFound
from hybridstore.memory import Memory, Note
from hybridstore.memory.notes import note_of
from hybridstore.memory.recall_result import CONFIDENT
from hybridstore.serving import answer_rows
from hybridstore.serving.access import Scope
from hybridstore.serving.answer_text import Answer, cut, framed
from hybridstore.serving.cursors import digest
from hybridstore.serving.paging import AnswerRow, AnswerRows, Budget

MOST = 50  # passages that one search gives, over all of its pages
_EVERYTHING = 1_000_000  # tokens: more than all that a recall looks at
_UNSURE = "Nothing here seems to answer this; what comes nearest is shown."


@dataclass(frozen=True, slots=True)
class Reading:
    """The tools that change nothing, over what `scope` shows, each answer within `budget`."""

    scope: Scope
    budget: Budget

    def search(
        self,
        query: str,
        *,
        kind: str = "all",
        where: Mapping[str, Any] | None = None,
        limit: int = 10,
        cursor: str = "",
    ) -> Answer:
        """Give the passages that answer a query best: of documents, of notes, or of both."""
        if not query.strip():
            raise InputError("there is nothing to search for: the query is empty")
        if not 1 <= limit <= MOST:
            raise InputError(f"limit is from 1 to {MOST}, not {limit}")
        found = self.scope.memory.store.search(query, where=self.scope.filter(kind, where=where), limit=limit)
        said = [_UNSURE] if found and found.confidence is not None and found.confidence < CONFIDENT else []
        passages = AnswerRows.of([answer_rows.of_hit(hit, self.scope.namespace) for hit in found])
        frame = framed("found", len(found), self.budget.count, said)
        return self.budget.page(passages, digest(["search", query, kind, where, limit]), cursor, frame)

    def recall(
        self,
        query: str,
        *,
        session: str = "",
        where: Mapping[str, Any] | None = None,
        as_of: str = "",
        neighbours: int = 0,
        max_tokens: int | None = None,
        cursor: str = "",
    ) -> Answer:
        """Give the notes and turns that answer a question best."""
        budget = self.budget.within(max_tokens)
        memory = self.scope.memory
        # All that a recall looks at is cut into pages here, so nothing needs to be counted there.
        all_of_it = Memory(memory.store, memory.namespace, count_tokens=lambda _: 0, clock=memory.clock)
        found = all_of_it.recall(
            query,
            max_tokens=_EVERYTHING,
            session=session or None,
            where=where,
            as_of=as_of or None,
            neighbours=neighbours,
        )
        said = [_UNSURE] if found and not found.confident else []
        if found.left_out.copies:
            said.append(f"{found.left_out.copies} more say the same as these.")
        frame = framed("recalled", len(found), budget.count, said)
        question = digest(["recall", query, session, where, as_of, neighbours])
        return budget.page(AnswerRows.of([answer_rows.of_recalled(item) for item in found]), question, cursor, frame)

    def fetch(self, name: str, *, max_tokens: int | None = None, cursor: str = "") -> Answer:
        """Give a note or a document whole, a page at a time."""
        if not name.strip():
            raise InputError("there is nothing to fetch: give the id of a note or a document")
        budget, row = self.budget.within(max_tokens), self._whole(name)
        # With the text in the question no text is put together of pages from before and after a change.
        question = digest(["fetch", row.key, row.text])
        return budget.page(AnswerRows.of([row]), question, cursor, framed("fetched", 1, budget.count))

    def listed(
        self, *, kind: str = "notes", where: Mapping[str, Any] | None = None, session: str = "", cursor: str = ""
    ) -> Answer:
        """Give notes or documents, the newest first, each by how its text begins."""
        seen = self.scope.filter(kind, where=where, session=session or None)
        store, namespace = self.scope.memory.store, self.scope.namespace
        with store.snapshot():
            ids = store.ids(seen)[::-1]
            listed = AnswerRows(ids, lambda number: answer_rows.beginning(store.get(ids[number]), namespace))
            frame = framed("listed", len(ids), self.budget.count)
            return self.budget.page(listed, digest(["list", kind, where, session]), cursor, frame)

    def stats(self) -> Answer:
        """Say how much there is."""
        memory, namespace = self.scope.memory, self.scope.namespace.text
        counted = memory.stats()
        numbers = {name: counted[name] for name in ("notes", "turns", "sessions", "history")}
        seen = self.scope.documents
        numbers["documents"] = len(memory.store.ids(self.scope.filter("documents"))) if seen else 0
        embedding = counted["store"]["embedding"]
        embedder = embedding["fingerprint"] if embedding else "none"
        told = ", ".join(f"{number} {name}" for name, number in numbers.items())

        def built(width: int) -> Answer:
            names = {"namespace": cut(namespace, width), "embedder": cut(embedder, width)}
            return Answer(f"{names['namespace']}: {told}; embedder {names['embedder']}.", {**names, **numbers})

        return self.budget.short(built)

    def recent(self, number: int) -> Sequence[Note]:
        """Give the notes that were kept last, the newest first."""
        store = self.scope.memory.store
        with store.snapshot():
            ids = store.ids(self.scope.filter("notes"))[: -number - 1 : -1]
            documents = [store.get(id_) for id_ in ids]
        return [note_of(str(each.id), each.text, each.metadata) for each in documents]

    def _whole(self, name: str) -> AnswerRow:
        try:
            return answer_rows.of_note(self.scope.memory.get(self.scope.note(name)))
        except NotFound:
            return answer_rows.of_document(self.scope.document(name))
