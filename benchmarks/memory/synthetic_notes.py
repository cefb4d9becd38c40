"""Synthetic notes like those of an assistant, of one to three sentences, and questions about them.

No two notes are alike: they differ in who, what, where, when and how much, and each is drawn until it is new.
"""

from __future__ import annotations

import random
from collections.abc import Callable

_PEOPLE = (
    "Anna", "Ben", "Carla", "Deniz", "Elif", "Farid", "Greta", "Hana", "Ivo", "Jonas", "Kemal", "Lena", "Mara", "Nils",
    "Olga", "Pavel", "Quinn", "Rosa", "Sven", "Tara", "Umut", "Vera", "Wanda", "Yusuf",
)  # fmt: skip
_PLACES = (
    "Lisbon", "the cellar", "the harbour office", "Ghent", "the second floor", "the workshop", "Turin", "the garden",
    "the staging cluster", "Oslo", "the town library", "the Thursday meeting", "the old mill", "Izmir", "the clinic",
)  # fmt: skip
_THINGS = (
    "boiler", "invoice template", "cargo bike", "login page", "espresso machine", "tax form", "backup script", "tent",
    "printer", "oak table", "search index", "piano", "passport", "greenhouse", "release checklist", "hearing aid",
    "customs declaration", "slide deck", "sourdough starter", "message queue", "bathroom tiles", "budget sheet",
)  # fmt: skip
_STATES = (
    "leaks again", "is paid for", "was moved", "needs a new owner", "has been repaired", "is two weeks late",
    "works better than before", "was returned", "must not be touched", "is waiting for a signature", "was lost again",
)  # fmt: skip
_LIKES = (
    "oat milk in the coffee", "short answers without lists", "window seats", "metric units", "calls before noon",
    "dark mode", "trains over planes", "tests written first", "no peanuts in anything", "jazz while working",
)  # fmt: skip
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")
_SENTENCES = (
    "{who} told {other} that the {thing} in {place} {state}.",
    "The {thing} that {who} ordered for {place} cost {number} euros and {state}.",
    "{who} prefers {like}, and said so on {day} {month}.",
    "On {day} {month} {who} meets {other} at {place} about the {thing}.",
    "{who} and {other} agreed to give the {thing} {number} more days.",
    "Ticket {number}: the {thing} {state}, says {who}.",
    "Whenever {who} is in {place}, {other} looks after the {thing}.",
    "{who} asked not to be reminded of the {thing} before {day} {month}.",
    "The key to {place} is with {who}; the spare is in box {number}.",
)
_QUESTIONS = (
    "What did {who} say about the {thing}?",
    "How much did the {thing} for {place} cost?",
    "What does {who} like?",
    "When does {who} meet {other}?",
    "Who looks after the {thing} in {place}?",
    "what happened to the {thing} in {month}",
    "Where is the spare key to {place}?",
)
_COUNTS, _WEIGHTS = (1, 2, 3), (5, 3, 2)  # sentences of a note


def notes(count: int, seed: int) -> list[str]:
    """Return this many distinct notes."""
    choose = random.Random(f"notes {seed}")
    return _different(
        count,
        lambda: " ".join(_filled(choose, _SENTENCES) for _ in range(choose.choices(_COUNTS, _WEIGHTS)[0])),
    )


def questions(count: int, seed: int) -> list[str]:
    """Return this many distinct questions."""
    choose = random.Random(f"questions {seed}")
    return _different(count, lambda: _filled(choose, _QUESTIONS))


def _different(count: int, draw: Callable[[], str]) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        found[draw()] = None
    return list(found)


def _filled(choose: random.Random, sentences: tuple[str, ...]) -> str:
    who, other = choose.sample(_PEOPLE, 2)
    words = {
        "who": who,
        "other": other,
        "thing": choose.choice(_THINGS),
        "place": choose.choice(_PLACES),
        "state": choose.choice(_STATES),
        "like": choose.choice(_LIKES),
        "month": choose.choice(_MONTHS),
        "day": str(choose.randint(1, 28)),
        "number": str(choose.randint(2, 900)),
    }
    said = choose.choice(sentences).format(**words)
    return said[0].upper() + said[1:]
