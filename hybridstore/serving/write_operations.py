"""What the writing tools do, without any transport: remember, supersede, forget, ingest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hybridstore import filters
from hybridstore.errors import InputError
from hybridstore.ingest import SyncReport, sync
from hybridstore.memory import ForgetReport, Remembered
from hybridstore.serving import answer_rows
from hybridstore.serving.access import Scope
from hybridstore.serving.allowed_folders import Folders
from hybridstore.serving.answer_text import Answer, Shown, cut, framed
from hybridstore.serving.cursors import digest
from hybridstore.serving.paging import AnswerRows, Budget

LONGEST_SESSION = 100  # characters; the ids of its turns repeat it
_TOLD = 5  # names or failures that a short answer gives


@dataclass(frozen=True, slots=True)
class Writing:
    """The tools that change the store: notes of the scope's namespace, and documents from files below `folders`."""

    scope: Scope
    budget: Budget
    folders: Folders

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
        """Keep a note, or what is new of a conversation."""
        if bool(text.strip()) == bool(messages):
            raise InputError("give a text or messages to remember, one of the two")
        if len(session) > LONGEST_SESSION:
            raise InputError(f"a session's name has at most {LONGEST_SESSION} characters, not {len(session)}")
        kept = self.scope.memory.remember(
            list(messages) if messages else text,
            session=session or None,
            metadata=metadata,
            occurred_at=occurred_at or None,
            on_similar=on_similar,
        )
        return self._kept(kept)

    def supersede(
        self, old: str, text: str, *, metadata: Mapping[str, Any] | None = None, occurred_at: str = ""
    ) -> Answer:
        """Keep a note that takes the place of an older one."""
        if not old.strip():
            raise InputError("say which note is no longer so: give its id")
        if not text.strip():
            raise InputError("say what is so now; to drop a note without another in its place, forget it")
        kept = self.scope.memory.remember(
            text, metadata=metadata, occurred_at=occurred_at or None, supersedes=self.scope.note(old)
        )
        return self._kept(kept)

    def forget(
        self, ids: Sequence[str] = (), *, where: Mapping[str, Any] | None = None, dry_run: bool = True, cursor: str = ""
    ) -> Answer:
        """Tell which notes would go, or with `dry_run` false remove them; by ids or by a filter, never all of them."""
        if bool(ids) == bool(where):
            raise InputError("name the notes to forget by ids or by a filter, one of the two; nothing was forgotten")
        if cursor and not dry_run:
            raise InputError("a cursor leads through what would go; leave it out to forget; nothing was forgotten")
        names = [self.scope.note(id_) for id_ in ids]
        gone = self.scope.memory.forget(names, dry_run=dry_run) if names else self._by_filter(where, dry_run=dry_run)
        namespace = self.scope.namespace
        listed = AnswerRows.of([answer_rows.beginning_of_note(note) for note in gone.notes])
        remark = "Nothing is forgotten yet: pass dry_run=false to do it." if dry_run else "They are forgotten."
        remarks = [remark] if gone.notes else []
        frame = framed("forgotten", len(gone.notes), self.budget.count, remarks, {"dry_run": dry_run})
        question = digest(["forget", namespace.text, names, where])

        def last(shown: Sequence[Shown], _: str) -> Answer:
            return frame(shown, "")  # what is gone has no further page

        return self.budget.page(listed, question, cursor, frame if dry_run else last)

    def _by_filter(self, where: Mapping[str, Any] | None, *, dry_run: bool) -> ForgetReport:
        filters.parse(where)  # what is wrong about the filter itself is told as it is
        try:
            return self.scope.memory.forget(where, dry_run=dry_run)
        except InputError as error:  # and what is left is that it takes every note
            raise InputError(
                "this filter takes every note there is; name what is to go more narrowly, or by ids: "
                "nothing was forgotten"
            ) from error

    def ingest(self, paths: Sequence[str]) -> Answer:
        """Read files and folders into the store; what did not change since is left alone."""
        if not paths:
            raise InputError("name the files or folders to read")
        report = sync(self.scope.memory.store, [self.folders.allowed(path) for path in paths])
        return self.budget.short(lambda width: _ingested(report, width))

    def _kept(self, kept: Remembered) -> Answer:
        def built(width: int) -> Answer:
            data: dict[str, Any] = {"id": cut(kept.id, width), "status": kept.status, "added": kept.added}
            older = [cut(id_, width) for id_ in kept.supersedes[:_TOLD]]
            alike: list[dict[str, Any]] = [
                {"id": cut(id_, width), "similarity": round(cosine, 2)} for id_, cosine in kept.similar
            ]
            data |= {"supersedes": older} if older else {}
            data |= {"similar": alike} if alike else {}
            how = {"added": "Kept as", "superseded": "Kept as", "unchanged": "Kept already as"}
            said = [f"{how.get(kept.status, 'Kept, with what is new, as')} {data['id']}."]
            said += [f"That supersedes {', '.join(older)}."] if older else []
            said += [f"{kept.added} of {len(kept.ids)} messages were new."] if len(kept.ids) > 1 else []
            said += [f"Much like it: {', '.join(each['id'] for each in alike)}."] if alike else []
            return Answer(" ".join(said), data)

        return self.budget.short(built)


def _ingested(report: SyncReport, width: int) -> Answer:
    documents = {name: number for name, number in asdict(report.documents).items() if name != "unchanged"}
    failures = [f"{cut(path, width)}: {cut(why.removeprefix(f'{path}: '), width)}" for path, why in report.failed]
    skipped = dict(sorted(report.skipped.items(), key=lambda item: -item[1])[:_TOLD])
    data = {
        "read": report.read,
        "unchanged": report.unchanged,
        "failed": len(report.failed),
        "skipped": sum(report.skipped.values()),
        **documents,
        "failures": failures[:_TOLD],
        "reasons": {cut(reason, width): number for reason, number in skipped.items()},
    }
    done = report.documents
    said = [f"Read {report.read} files, {report.unchanged} unchanged:"]
    said.append(f"{done.added} documents added, {done.replaced} replaced, {done.removed} removed.")
    if skipped:
        said.append(f"Left out: {', '.join(f'{number} {cut(reason, width)}' for reason, number in skipped.items())}.")
    if failures:
        said.append(f"{len(failures)} could not be read: {'; '.join(failures[:_TOLD])}.")
    return Answer(" ".join(said), data)
