"""The results of languages.py as Markdown."""

from __future__ import annotations

from typing import Any

from cells import interval, table

_NAMES = {"all-MiniLM-L6-v2": "MiniLM", "multilingual-e5-small": "e5"}


def languages_page(result: dict[str, Any]) -> list[str]:
    """Return a result of languages.py."""
    rows = []
    for row in result["rows"]:
        means = row["means"]
        numbers = [next(iter(means.values()))["keyword"]]
        numbers += [means[embedder][way] for embedder in _NAMES for way in ("vector", "hybrid")]
        shown = [f"**{number:.4f}**" if number == max(numbers) else f"{number:.4f}" for number in numbers]
        rows.append([row["name"], f"{row['documents']:,}", f"{row['queries']:,}", *shown])
    ways = [f"{name} {way}" for name in _NAMES.values() for way in ("vector", "hybrid")]
    against = [[row["name"], *(interval(row["against"][other]) for other in row["against"])] for row in result["rows"]]
    others = list(result["rows"][0]["against"])
    return [
        "## Languages",
        "",
        "nDCG@10 of the default model (MiniLM, for English) and of multilingual-e5-small (e5), whole documents as one",
        "chunk. “en → de” asks XQuAD's English questions of its German passages.",
        "",
        *table(["collection", "passages", "questions", "keyword", *ways], rows),
        "",
        "Hybrid search with e5 minus the other, with 95 % intervals (paired bootstrap); bold ones leave 0 out:",
        "",
        *table(["collection", *others], against),
    ]
