"""Rows of an answer: passages, notes and documents as facts, the id first, and a text."""

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

BEGINNING = 160  # characters of a text that a list shows, and of a title


def of_hit(hit: Hit, namespace: Namespace) -> AnswerRow:
    """Return a passage of a document, or of one of the namespace's notes."""
    place = {"span": f"{hit.start}-{hit.end}", "relevance": _rounded(hit.relevance)}
    key = f"{hit.document_id}#{hit.start}"
    if namespace.note(hit.document_id) is not None:
        note = note_of(hit.document_id, hit.text, hit.metadata)
        return _row(key, {**_note_facts(note), **place}, note.text)
    facts = _document_facts(hit.document_id, hit.title, hit.uri) | {"heading": line(hit.heading, BEGINNING)}
    return _row(key, {**facts, **place}, hit.text)


def of_recalled(item: Recalled) -> AnswerRow:
    """Return a recalled item."""
    place = {"span": f"{item.start}-{item.end}", "relevance": _rounded(item.relevance), "beside": item.beside}
    facts = {name: value for name, value in _note_facts(item.note).items() if name != "kind"}  # all are notes
    return _row(f"{item.uri}#{item.start}", {**facts, **place}, item.text)


def of_note(note: Note) -> AnswerRow:
    """Return a whole note, with its history."""
    history = {"superseded_by": note.superseded_by, "supersedes": list(note.supersedes), "links": list(note.links)}
    return _row(note.uri, {**_note_facts(note), **history, "metadata": dict(note.metadata)}, note.text)


def of_document(document: Document) -> AnswerRow:
    """Return a whole document."""
    id_ = str(document.id)
    facts = _document_facts(id_, document.title, document.uri)
    return _row(id_, {**facts, "metadata": dict(document.metadata)}, document.text)


def beginning(document: Document, namespace: Namespace) -> AnswerRow:
    """Return the beginning of a stored note or document."""
    id_ = str(document.id)
    if namespace.note(id_) is not None:
        return beginning_of_note(note_of(id_, document.text, document.metadata))
    return _beginning(id_, _document_facts(id_, document.title, document.uri), document.text)


def beginning_of_note(note: Note) -> AnswerRow:
    """Return the beginning of a note."""
    return _beginning(note.uri, {**_note_facts(note), "metadata": dict(note.metadata)}, note.text)


def _beginning(key: str, facts: Mapping[str, Any], text: str) -> AnswerRow:
    length = len(text) if len(text) > BEGINNING else None
    return _row(key, {**facts, "characters": length}, line(text, BEGINNING))


def _document_facts(id_: str, title: str, uri: str) -> dict[str, Any]:
    return {"id": id_, "kind": "document", "title": line(title, BEGINNING), "uri": uri if uri != id_ else None}


def _note_facts(note: Note) -> dict[str, Any]:
    return {
        "id": note.id,
        "kind": note.kind,
        "by": note.speaker,
        "time": short_iso(note.time) if note.time else None,
        "until": short_iso(note.valid_to) if note.valid_to else None,
        "session": note.session if note.kind == "note" else None,  # a turn's id begins with it
    }


def _row(key: str, facts: Mapping[str, Any], text: str) -> AnswerRow:
    """Make a row; empty facts are left out."""
    return AnswerRow(key, {name: value for name, value in facts.items() if value not in (None, "", [], {})}, text)


def _rounded(relevance: float | None) -> float | None:
    return None if relevance is None else round(relevance, 2)
