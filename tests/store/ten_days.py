"""Two agents on two devices for ten days: run to print what is done and what is seen, as docs/sync.md shows it.

python tests/store/ten_days.py
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import hybridstore as hs
from hybridstore.memory import Memory

_FIRST = datetime(2026, 3, 2, 9, tzinfo=UTC)


def story() -> Iterator[str]:
    """Do it, and yield the lines of the transcript."""
    today = _FIRST

    with tempfile.TemporaryDirectory() as name:
        shared = Path(name) / "shared"
        shared.mkdir()
        with hs.open(":memory:", embedder="none") as one, hs.open(":memory:", embedder="none") as two:
            stores = {"laptop": one, "phone": two}

            def clock() -> float:
                return today.timestamp()

            agents = {device: Memory(store, "anna", clock=clock) for device, store in stores.items()}

            def day(number: int) -> str:
                nonlocal today
                today = _FIRST + timedelta(days=number - 1)
                return f"day {number}"

            def said(device: str, command: str, text: str) -> str:
                return f"  {device + ':':8}{command:10}{text}"

            def exchange(device: str) -> str:
                report = stores[device].exchange(shared, name=device)
                merged = report.merged
                came = len(merged.added) + len(merged.replaced)
                purged = f", {len(merged.purged)} purged" if merged.purged else ""
                return said(device, "exchange", f"{came} came{purged}, {report.documents + report.removals} went")

            def remember(device: str, text: str, note: str, **options: str) -> str:
                agents[device].remember(text, id=note, **options)
                replacing = f" (in place of {options['supersedes']})" if options else ""
                return said(device, "remember", f"{note}: {text}{replacing}")

            def recall(device: str, question: str) -> Iterator[str]:
                yield said(device, "recall", f"{question}?")
                for item in agents[device].recall(question):
                    disputed = f"   disputed by {', '.join(item.disputed_by)}" if item.disputed_by else ""
                    yield f"{'':20}- {item.id}: {item.text}{disputed}"

            yield day(1)
            yield remember("laptop", "Anna lives in Paris", "paris")
            yield remember("laptop", "Anna's door code is 4711", "code")
            yield exchange("laptop")
            yield exchange("phone")
            yield from recall("phone", "where does Anna live")
            yield day(3) + ": both are offline"
            yield remember("laptop", "Anna lives in Rome", "rome", supersedes="paris")
            yield remember("phone", "Anna lives in Oslo", "oslo", supersedes="paris")
            yield remember("phone", "Anna is allergic to nuts", "nuts")
            yield day(5) + ": the phone is online, then the laptop"
            yield exchange("phone")
            yield exchange("laptop")
            yield from recall("laptop", "where does Anna live")
            yield day(6) + ": the phone hears of the fork, and chooses"
            yield exchange("phone")
            yield said("phone", "conflicts", ", ".join(note.id for notes in agents["phone"].forks() for note in notes))
            agents["phone"].choose("oslo")
            yield said("phone", "conflicts", "--keep oslo")
            yield exchange("phone")
            yield day(8)
            agents["phone"].purge("code")
            yield said("phone", "purge", "code")
            yield exchange("phone")
            yield exchange("laptop")
            yield from recall("laptop", "where does Anna live")
            yield from recall("laptop", "door code")
            yield day(10)
            yield exchange("phone")
            yield said("laptop", "history", "oslo")
            yield from (f"{'':20}- {note.id}: {note.text}" for note in agents["laptop"].history("oslo"))
            yield f"both hold the same: {'yes' if state(one) == state(two) else 'no'}"


def state(store: hs.Store) -> list[tuple[str | None, str]]:
    """Return what a store holds."""
    return sorted((document.id, document.text) for document in store.documents())


if __name__ == "__main__":
    print("\n".join(story()))  # noqa: T201
