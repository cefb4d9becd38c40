"""Passages, notes and documents as rows of an answer: what is said of each, the id first, and its text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hybridstore.memory import Note, Recalled
from hybridstore.memory.note_ids import Namespace
from hybridstore.memory.notes import note_of
from hybridstore.memory.timestamps import short_iso
from hybridstore.records import Document, Hit
from hybridstore.serving.answer_text import line
from hybridstore.serving.paging import AnswerRow

BEGINNING = 160  # characters of a text by which a list tells what it is, and of a title


def of_hit(hit: Hit, namespace: Namespace) -> AnswerRow:
    """Give a passage of a document, or of one of the namespace's notes."""
    where = {"span": f"{hit.start}-{hit.end}", "relevance": _rounded(hit.relevance)}
    key = f"{hit.document_id}#{hit.start}"
    if namespace.note(hit.document_id) is not None:
        note = note_of(hit.document_id, hit.text, hit.metadata)
        return AnswerRow(key, _there({**_facts(note), **where}), note.text)
    facts = _document(hit.document_id, hit.title, hit.uri) | {"heading": line(hit.heading, BEGINNING)}
    return AnswerRow(key, _there({**facts, **where}), hit.text)


def of_recalled(item: Recalled) -> AnswerRow:
    """Give a piece of evidence."""
    where = {"span": f"{item.start}-{item.end}", "relevance": _rounded(item.relevance), "beside": item.beside}
    facts = {name: value for name, value in _facts(item.note).items() if name != "kind"}  # there are notes alone
    return AnswerRow(f"{item.uri}#{item.start}", _there({**facts, **where}), item.text)


def of_note(note: Note) -> AnswerRow:
    """Give a whole note, with its history."""
    history = {"superseded_by": note.superseded_by, "supersedes": list(note.supersedes), "links": list(note.links)}
    return AnswerRow(note.uri, _there({**_facts(note), **history, "metadata": dict(note.metadata)}), note.text)


def of_document(document: Document) -> AnswerRow:
    """Give a whole document."""
    id_ = str(document.id)
    facts = _document(id_, document.title, document.uri)
    return AnswerRow(id_, _there({**facts, "metadata": dict(document.metadata)}), document.text)


def beginning(stored: Document, namespace: Namespace) -> AnswerRow:
    """Give a note or a document by how it begins."""
    id_ = str(stored.id)
    if namespace.note(id_) is not None:
        return beginning_of_note(note_of(id_, stored.text, stored.metadata))
    return _begun(id_, _document(id_, stored.title, stored.uri), stored.text)


def beginning_of_note(note: Note) -> AnswerRow:
    """Give a note by how it begins."""
    return _begun(note.uri, {**_facts(note), "metadata": dict(note.metadata)}, note.text)


def _begun(key: str, facts: Mapping[str, Any], text: str) -> AnswerRow:
    longer = len(text) if len(text) > BEGINNING else None
    return AnswerRow(key, _there({**facts, "characters": longer}), line(text, BEGINNING))


def _document(id_: str, title: str, uri: str) -> dict[str, Any]:
    return {"id": id_, "kind": "document", "title": line(title, BEGINNING), "uri": uri if uri != id_ else None}


def _facts(note: Note) -> dict[str, Any]:
    return {
        "id": note.id,
        "kind": note.kind,
        "by": note.speaker,
        "time": short_iso(note.time) if note.time else None,
        "until": short_iso(note.valid_to) if note.valid_to else None,
        "session": note.session if note.kind == "note" else None,  # a turn's id begins with it
    }


def _there(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value not in (None, "", [], {})}


def _rounded(relevance: float | None) -> float | None:
    return None if relevance is None else round(relevance, 2)
