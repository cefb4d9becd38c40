"""The operations of a server, without any transport: search, recall, fetch, list, stats; and those that write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hybridstore import filters
from hybridstore.errors import InputError, NotFound
from hybridstore.ingest import SyncReport, sync
from hybridstore.memory import ForgetReport, Memory, Note, Remembered
from hybridstore.memory.notes import note_of
from hybridstore.memory.recall_result import CONFIDENT
from hybridstore.serving import answers
from hybridstore.serving.access import Folders, Scope
from hybridstore.serving.answers import Answer, AnswerRow, cut, framed
from hybridstore.serving.paging import AnswerRows, Budget, digest

MOST = 50  # passages that one search returns, over all of its pages
LONGEST_SESSION = 100  # characters; the ids of its turns repeat it
_ALL = 1_000_000  # tokens: more than all that a recall looks at
_NAMED = 5  # names or failures that a short answer lists
_UNSURE = "Nothing here seems to answer this; the closest items are shown."


@dataclass(frozen=True, slots=True)
class Operations:
    """What clients can do with what `scope` shows, and with files below `folders`; each answer is within `budget`."""

    scope: Scope
    budget: Budget
    folders: Folders

    def search(
        self,
        query: str,
        *,
        kind: str = "all",
        where: Mapping[str, Any] | None = None,
        limit: int = 10,
        cursor: str = "",
    ) -> Answer:
        """Return the passages that best answer a query, of documents, of notes, or of both."""
        if not query.strip():
            raise InputError("there is nothing to search for: the query is empty")
        if not 1 <= limit <= MOST:
            raise InputError(f"limit is from 1 to {MOST}, not {limit}")
        results = self.scope.memory.store.search(query, where=self.scope.filter(kind, where=where), limit=limit)
        unsure = bool(results) and results.confidence is not None and results.confidence < CONFIDENT
        rows = AnswerRows.of([answers.of_hit(hit, self.scope.namespace) for hit in results])
        frame = framed("found", len(results), self.budget.count, [_UNSURE] if unsure else [])
        return self.budget.page(rows, digest(["search", query, kind, where, limit]), cursor, frame)

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
        """Return the notes and turns that best answer a query."""
        budget = self.budget.within(max_tokens)
        memory = self.scope.memory
        # Everything that a recall looks at is split into pages here, so the recall itself need not count tokens.
        uncounted = Memory(memory.store, memory.namespace, count_tokens=lambda _: 0, clock=memory.clock)
        recalled = uncounted.recall(
            query,
            max_tokens=_ALL,
            session=session or None,
            where=where,
            as_of=as_of or None,
            neighbours=neighbours,
        )
        remarks = [_UNSURE] if recalled and not recalled.confident else []
        if recalled.left_out.copies:
            remarks.append(f"{recalled.left_out.copies} more say the same as these.")
        frame = framed("recalled", len(recalled), budget.count, remarks)
        request = digest(["recall", query, session, where, as_of, neighbours])
        return budget.page(AnswerRows.of([answers.of_recalled(item) for item in recalled]), request, cursor, frame)

    def fetch(self, name: str, *, max_tokens: int | None = None, cursor: str = "") -> Answer:
        """Return a whole note or document, a page at a time."""
        if not name.strip():
            raise InputError("there is nothing to fetch: name the id of a note or a document")
        budget, row = self.budget.within(max_tokens), self._whole(name)
        # With the text in the digest, pages from before and after a change are never mixed.
        request = digest(["fetch", row.key, row.text])
        return budget.page(AnswerRows.of([row]), request, cursor, framed("fetched", 1, budget.count))

    def list_(
        self, *, kind: str = "notes", where: Mapping[str, Any] | None = None, session: str = "", cursor: str = ""
    ) -> Answer:
        """Return the beginnings of notes or documents, newest first."""
        visible = self.scope.filter(kind, where=where, session=session or None)
        store, namespace = self.scope.memory.store, self.scope.namespace
        with store.snapshot():
            ids = store.ids(visible)[::-1]
            rows = AnswerRows(ids, lambda number: answers.beginning(store.get(ids[number]), namespace))
            frame = framed("listed", len(ids), self.budget.count)
            return self.budget.page(rows, digest(["list", kind, where, session]), cursor, frame)

    def stats(self) -> Answer:
        """Return the numbers of notes, turns, sessions and documents."""
        memory, namespace = self.scope.memory, self.scope.namespace.text
        stats = memory.stats()
        numbers = {name: stats[name] for name in ("notes", "turns", "sessions", "history")}
        visible = self.scope.documents
        numbers["documents"] = len(memory.store.ids(self.scope.filter("documents"))) if visible else 0
        embedding = stats["store"]["embedding"]
        embedder = embedding["fingerprint"] if embedding else "none"
        counts = ", ".join(f"{number} {name}" for name, number in numbers.items())

        def answer(width: int) -> Answer:
            names = {"namespace": cut(namespace, width), "embedder": cut(embedder, width)}
            return Answer(f"{names['namespace']}: {counts}; embedder {names['embedder']}.", {**names, **numbers})

        return self.budget.short(answer)

    def recent(self, number: int) -> Sequence[Note]:
        """Return the last notes, newest first."""
        store = self.scope.memory.store
        with store.snapshot():
            ids = store.ids(self.scope.filter("notes"))[: -number - 1 : -1]
            documents = [store.get(id_) for id_ in ids]
        return [note_of(str(document.id), document.text, document.metadata) for document in documents]

    def _whole(self, name: str) -> AnswerRow:
        try:
            return answers.of_note(self.scope.memory.get(self.scope.note_id(name)))
        except NotFound:
            return answers.of_document(self.scope.document(name))

    def remember(
        self,
        text: str = "",
        *,
        messages: Sequence[Mapping[str, Any]] | None = None,
        session: str = "",
        metadata: Mapping[str, Any] | None = None,
        occurred_at: str = "",
        on_similar: str = "keep",
    ) -> Answer:
        """Store a note, or what is new in a conversation."""
        if bool(text.strip()) == bool(messages):
            raise InputError("give either a text or messages to remember")
        if len(session) > LONGEST_SESSION:
            raise InputError(f"a session's name has at most {LONGEST_SESSION} characters, not {len(session)}")
        remembered = self.scope.memory.remember(
            list(messages) if messages else text,
            session=session or None,
            metadata=metadata,
            occurred_at=occurred_at or None,
            on_similar=on_similar,
        )
        return self.budget.short(lambda width: _remembered(remembered, width))

    def supersede(
        self, old: str, text: str, *, metadata: Mapping[str, Any] | None = None, occurred_at: str = ""
    ) -> Answer:
        """Store a note that replaces an older one."""
        if not old.strip():
            raise InputError("name the note that no longer holds: give its id")
        if not text.strip():
            raise InputError("say what holds now; to drop a note without a replacement, forget it")
        old_id = self.scope.note_id(old)
        remembered = self.scope.memory.remember(
            text, metadata=metadata, occurred_at=occurred_at or None, supersedes=old_id
        )
        return self.budget.short(lambda width: _remembered(remembered, width))

    def forget(
        self,
        ids: Sequence[str] = (),
        *,
        where: Mapping[str, Any] | None = None,
        dry_run: bool = True,
        cursor: str = "",
    ) -> Answer:
        """Show the notes that would be forgotten; forget them with `dry_run` False. Never all: by ids or a filter."""
        if bool(ids) == bool(where):
            raise InputError("name the notes to forget either by ids or by a filter; nothing was forgotten")
        if cursor and not dry_run:
            raise InputError("a cursor pages through a dry run; leave it out to forget; nothing was forgotten")
        names = [self.scope.note_id(id_) for id_ in ids]
        report = self.scope.memory.forget(names, dry_run=dry_run) if names else self._by_filter(where, dry_run=dry_run)
        rows = AnswerRows.of([answers.beginning_of_note(note) for note in report.notes])
        remark = "Nothing is forgotten yet: pass dry_run=false to forget these." if dry_run else "They are forgotten."
        remarks = [remark] if report.notes else []
        frame = framed("forgotten", len(report.notes), self.budget.count, remarks, {"dry_run": dry_run})
        request = digest(["forget", self.scope.namespace.text, names, where])
        # Forgotten notes have no next page.
        return self.budget.page(rows, request, cursor, frame if dry_run else lambda shown, _: frame(shown, ""))

    def _by_filter(self, where: Mapping[str, Any] | None, *, dry_run: bool) -> ForgetReport:
        filters.parse(where)  # raises InputError for a mistake in the filter itself
        try:
            return self.scope.memory.forget(where, dry_run=dry_run)
        except InputError as error:  # the remaining reason is that it matches every note
            raise InputError(
                "this filter matches every note; name the notes more narrowly, or by ids: nothing was forgotten"
            ) from error

    def ingest(self, paths: Sequence[str]) -> Answer:
        """Read files and folders into the store; unchanged files are skipped."""
        if not paths:
            raise InputError("name the files or folders to read")
        report = sync(self.scope.memory.store, [self.folders.allowed(path) for path in paths])
        return self.budget.short(lambda width: _ingested(report, width))


def _remembered(remembered: Remembered, width: int) -> Answer:
    data: dict[str, Any] = {
        "id": cut(remembered.id, width),
        "status": remembered.status,
        "added": remembered.added,
    }
    older = [cut(id_, width) for id_ in remembered.supersedes[:_NAMED]]
    similar = [{"id": cut(id_, width), "similarity": round(cosine, 2)} for id_, cosine in remembered.similar]
    data |= {"supersedes": older} if older else {}
    data |= {"similar": similar} if similar else {}
    verbs = {"added": "Kept as", "superseded": "Kept as", "unchanged": "Already kept as"}
    sentences = [f"{verbs.get(remembered.status, 'Updated with what is new, kept as')} {data['id']}."]
    sentences += [f"It supersedes {', '.join(older)}."] if older else []
    if len(remembered.ids) > 1:
        sentences.append(f"{remembered.added} of {len(remembered.ids)} messages were new.")
    sentences += [f"Similar: {', '.join(str(note['id']) for note in similar)}."] if similar else []
    return Answer(" ".join(sentences), data)


def _ingested(report: SyncReport, width: int) -> Answer:
    documents = {name: number for name, number in asdict(report.documents).items() if name != "unchanged"}
    failures = [f"{cut(path, width)}: {cut(why.removeprefix(f'{path}: '), width)}" for path, why in report.failed]
    skipped = dict(sorted(report.skipped.items(), key=lambda item: -item[1])[:_NAMED])
    data = {
        "read": report.read,
        "unchanged": report.unchanged,
        "failed": len(report.failed),
        "skipped": sum(report.skipped.values()),
        **documents,
        "failures": failures[:_NAMED],
        "reasons": {cut(reason, width): number for reason, number in skipped.items()},
    }
    added = report.documents
    sentences = [f"Read {report.read} files, {report.unchanged} unchanged:"]
    sentences.append(f"{added.added} documents added, {added.replaced} replaced, {added.removed} removed.")
    if skipped:
        reasons = ", ".join(f"{number} {cut(reason, width)}" for reason, number in skipped.items())
        sentences.append(f"Skipped: {reasons}.")
    if failures:
        sentences.append(f"{len(failures)} could not be read: {'; '.join(failures[:_NAMED])}.")
    return Answer(" ".join(sentences), data)
