"""The operations of a server, without any transport: search, recall, fetch, list, stats; and those that write.

Their docstrings, and the descriptions of their arguments, are what a model reads: when to use which. Missing text
arguments are "", never `str | None`: the MCP SDK parses JSON in texts of any type but plain `str`, and a note that
looks like JSON is still a note.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from hybridstore import filters
from hybridstore.errors import InputError, NotFound
from hybridstore.ingest import sync
from hybridstore.memory import ForgetReport, Memory, Note
from hybridstore.memory.notes import note_of
from hybridstore.memory.recall_result import CONFIDENT
from hybridstore.search.spelling import is_suggestion
from hybridstore.serving import answers
from hybridstore.serving.access import Folders, Scope
from hybridstore.serving.answers import Answer, AnswerRow, cut, framed
from hybridstore.serving.paging import SMALLEST, AnswerRows, Budget, digest

MOST = 50  # passages that one search returns, over all of its pages
LONGEST_SESSION = 100  # characters; the ids of its turns repeat it
_ALL = 1_000_000  # tokens: more than all that a recall looks at
_UNSURE = "Nothing here seems to answer this; the closest items are shown."


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument as clients see it: its description, and the least and greatest number."""

    description: str
    least: int | None = None
    greatest: int | None = None


Where = Annotated[
    dict[str, Any] | None,
    Argument('Filter over metadata: {"lang": "en", "year": {"$gte": 2020}}; operators as in MongoDB.'),
]
Cursor = Annotated[str, Argument("From the previous answer, for the next page; keep the other arguments.")]
Most = Annotated[int | None, Argument("Fewer tokens than the server allows.", SMALLEST)]
Metadata = Annotated[dict[str, Any] | None, Argument("Facts to filter by later.")]
Occurred = Annotated[str, Argument("When it happened, ISO 8601, if not now.")]


@dataclass(frozen=True, slots=True)
class Operations:
    """What clients can do with what `scope` shows, and with files below `folders`; each answer is within `budget`.

    `filling` says that missing vectors are made in the background.
    """

    scope: Scope
    budget: Budget
    folders: Folders
    filling: bool = False

    def search(
        self,
        query: Annotated[str, Argument('What to find; "quoted words" must occur as a phrase.')],
        *,
        kind: Annotated[Literal["all", "notes", "documents"], Argument("What to search.")] = "all",
        where: Where = None,
        exclude: Annotated[list[str] | None, Argument("Words and phrases that must not occur.")] = None,
        syntax: Annotated[
            Literal["simple", "algebra", "web"],
            Argument(
                "algebra: what to find, joined by & | ~, as in: solar power & storage & ~lithium. web: quotes loose."
            ),
        ] = "simple",
        keywords: Annotated[str, Argument("More words that a passage with the answer may have.")] = "",
        answer: Annotated[str, Argument("A passage, as you expect the answer to be written.")] = "",
        hops: Annotated[
            int, Argument("2: also what names in the best passages lead to, if the answer is in several.", 1, 4)
        ] = 1,
        limit: Annotated[int, Argument("Number of passages.", 1, MOST)] = 10,
        cursor: Cursor = "",
    ) -> Answer:
        """Find passages in the documents and notes, by words and by meaning.

        For what is written in files and documents. For what you remember about the user or earlier work, use recall.
        """
        if not 1 <= limit <= MOST:
            raise InputError(f"limit is from 1 to {MOST}, not {limit}")
        scope = self.scope.filter(kind, where=where)
        texts = {name: text for name, text in (("keywords", keywords), ("answer", answer)) if text.strip()}
        results = self.scope.memory.store.search(
            query, where=scope, exclude=exclude or (), limit=limit, syntax=syntax, hops=hops, rewrite=texts or None
        )
        unsure = bool(results) and results.confidence is not None and results.confidence < CONFIDENT
        rows = AnswerRows.of([answers.of_hit(hit, self.scope.namespace) for hit in results])
        remarks = [_UNSURE] if unsure else []
        remarks += filter(is_suggestion, results.trace.notes)
        remarks += answers.of_path(results.trace.path, self.scope.namespace)
        frame = framed("found", len(results), self.budget.count, remarks)
        request = digest(["search", query, kind, where, exclude or [], syntax, texts, hops, limit])
        return self.budget.page(rows, request, cursor, frame)

    def recall(
        self,
        query: Annotated[str, Argument("What you want to know, best as a question.")],
        *,
        session: Annotated[str, Argument("Only this conversation.")] = "",
        where: Where = None,
        as_of: Annotated[str, Argument("What held at this time, ISO 8601; includes superseded notes.")] = "",
        neighbours: Annotated[int, Argument("Turns to show before and after each.", 0, 5)] = 0,
        max_tokens: Most = None,
        cursor: Cursor = "",
    ) -> Answer:
        """Recall what you remembered: facts, preferences, decisions, earlier conversations.

        Use it before you answer anything that may depend on the user or on earlier work. Cite items by their ids.
        """
        budget = self.budget.within(max_tokens)
        memory = self.scope.memory
        # Everything that a recall looks at is split into pages here, so the recall itself need not count tokens.
        uncounted = Memory(memory.store, memory.namespace, count_tokens=lambda _: 0, clock=memory.clock)
        recalled = uncounted.recall(
            query, max_tokens=_ALL, session=session or None, where=where, as_of=as_of or None, neighbours=neighbours
        )
        remarks = [_UNSURE] if recalled and not recalled.confident else []
        if recalled.left_out.copies:
            remarks.append(f"{recalled.left_out.copies} more say the same as these.")
        frame = framed("recalled", len(recalled), budget.count, remarks)
        request = digest(["recall", query, session, where, as_of, neighbours])
        return budget.page(AnswerRows.of([answers.of_recalled(item) for item in recalled]), request, cursor, frame)

    def fetch(
        self,
        id: Annotated[str, Argument("Id or uri of a note or document, from another tool.")],  # noqa: A002
        *,
        max_tokens: Most = None,
        cursor: Cursor = "",
    ) -> Answer:
        """Read a whole note or document. Use it when a passage from search or recall is not enough."""
        if not id.strip():
            raise InputError("there is nothing to fetch: name the id of a note or a document")
        budget, row = self.budget.within(max_tokens), self._whole(id)
        # With the text in the digest, pages from before and after a change are never mixed.
        request = digest(["fetch", row.key, row.text])
        return budget.page(AnswerRows.of([row]), request, cursor, framed("fetched", 1, budget.count))

    def list_(
        self,
        *,
        kind: Annotated[Literal["notes", "documents", "all"], Argument("What to list.")] = "notes",
        where: Where = None,
        session: Annotated[str, Argument("Only this conversation.")] = "",
        cursor: Cursor = "",
    ) -> Answer:
        """List the beginnings of notes or documents, newest first. For an overview; to find something, search."""
        visible = self.scope.filter(kind, where=where, session=session or None)
        store, namespace = self.scope.memory.store, self.scope.namespace
        with store.snapshot():
            ids = store.ids(visible)[::-1]
            rows = AnswerRows(ids, lambda number: answers.beginning(store.get(ids[number]), namespace))
            frame = framed("listed", len(ids), self.budget.count)
            return self.budget.page(rows, digest(["list", kind, where, session]), cursor, frame)

    def stats(self) -> Answer:
        """Count the notes, conversations and documents."""
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
        text: Annotated[str, Argument("One fact, understandable on its own: names, not pronouns.")] = "",
        *,
        messages: Annotated[
            list[dict[str, Any]] | None,
            Argument('Instead of text: a conversation, [{"role": "user", "content": "…"}]; name, time too.'),
        ] = None,
        session: Annotated[str, Argument("The conversation's name; messages are appended to it.")] = "",
        metadata: Metadata = None,
        occurred_at: Occurred = "",
        on_similar: Annotated[
            Literal["keep", "link", "supersede", "error"],
            Argument('If similar notes exist: "link" names them, "error" rejects the text and names them.'),
        ] = "keep",
    ) -> Answer:
        """Keep a fact, or the messages of a conversation, for later.

        The same text is kept only once. When a fact has changed, use supersede.
        """
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
        return self.budget.short(lambda width: answers.of_remembered(remembered, width))

    def supersede(
        self,
        id: Annotated[str, Argument("The note that no longer holds.")],  # noqa: A002
        text: Annotated[str, Argument("What holds now.")],
        *,
        metadata: Metadata = None,
        occurred_at: Occurred = "",
    ) -> Answer:
        """Replace a note whose fact has changed. The old one becomes history, which recall finds with as_of."""
        if not id.strip():
            raise InputError("name the note that no longer holds: give its id")
        if not text.strip():
            raise InputError("say what holds now; to drop a note without a replacement, forget it")
        old_id = self.scope.note_id(id)
        remembered = self.scope.memory.remember(
            text, metadata=metadata, occurred_at=occurred_at or None, supersedes=old_id
        )
        return self.budget.short(lambda width: answers.of_remembered(remembered, width))

    def forget(
        self,
        ids: Annotated[list[str] | None, Argument("Notes to forget.")] = None,
        *,
        where: Annotated[
            dict[str, Any] | None, Argument('Instead of ids: a filter, such as {"memory.session": "chat-7"}.')
        ] = None,
        dry_run: Annotated[
            bool, Argument("true only shows which notes would be forgotten; false forgets them.")
        ] = True,
        cursor: Cursor = "",
    ) -> Answer:
        """Forget notes for good, with their older versions. Only when the user wants it.

        Call it first with dry_run, show what would be forgotten, and only then call it again with dry_run=false.
        """
        if bool(ids) == bool(where):
            raise InputError("name the notes to forget either by ids or by a filter; nothing was forgotten")
        if cursor and not dry_run:
            raise InputError("a cursor pages through a dry run; leave it out to forget; nothing was forgotten")
        names = [self.scope.note_id(id_) for id_ in ids or ()]
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

    def ingest(self, paths: Annotated[list[str], Argument("Files or folders.")]) -> Answer:
        """Read files or folders into the documents; unchanged files are skipped, so it can be repeated."""
        if not paths:
            raise InputError("name the files or folders to read")
        allowed = [self.folders.allowed(path) for path in paths]
        # A file may be replaced by a link after it was checked: what is opened below a root follows none.
        report = sync(self.scope.memory.store, allowed, beneath=self.folders.roots, embed=not self.filling)
        return self.budget.short(lambda width: answers.of_ingest(report, width))
