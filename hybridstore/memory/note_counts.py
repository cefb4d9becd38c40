"""How much a namespace holds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hybridstore.memory.note_storage import Place


def counted(place: Place) -> dict[str, Any]:
    """Give the numbers of `Memory.stats`; what has expired is counted no more, whether it is swept or not."""
    now = place.now()
    notes = [note for note in place.all() if not note.expired(now)]
    held = [note for note in notes if note.holds(now)]
    return {
        "namespace": list(place.namespace.parts),
        "notes": sum(note.kind == "note" for note in held),
        "turns": sum(note.kind == "turn" for note in held),
        "sessions": len({note.session for note in held if note.session is not None}),
        "history": len(notes) - len(held),
        "store": asdict(place.store.stats()),
    }
