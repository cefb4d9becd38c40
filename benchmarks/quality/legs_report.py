"""The results of legs.py as Markdown."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import wrap
from typing import Any

from cells import interval, table

from hybridstore.evaluation.metrics import mean

_ABOUT = (
    "Words, all-MiniLM-L6-v2 (for English) and multilingual-e5-small, in one store that is searched with every choice "
    "of these legs; whole documents as one chunk."
)
_SHORT = {"keyword": "words", "all-MiniLM-L6-v2": "MiniLM", "multilingual-e5-small": "e5"}


def legs_page(result: dict[str, Any]) -> list[str]:
    """Return a result of legs.py."""
    rows, choices = result["rows"], list(result["rows"][0]["means"]["ndcg@10"])
    *choices, rrf = choices
    fused = [choice for choice in choices if " + " in choice]
    names = [_short(choice) for choice in choices]
    powers = list(rows[0]["power"])

    def numbers(metric: str) -> list[list[str]]:
        def line(name: str, number: Callable[[str], float]) -> list[str]:
            found = [number(way) for way in (*choices, rrf)]
            best = max(round(each, 4) for each in found)
            return [name, *(f"**{each:.4f}**" if round(each, 4) == best else f"{each:.4f}" for each in found)]

        lines = [line(row["name"], row["means"][metric].__getitem__) for row in rows]
        return [*lines, line("mean", lambda way: mean(row["means"][metric][way] for row in rows))]

    sizes = [
        [row["name"], f"{row['documents']:,}", f"{row['queries']:,}", *(f"{row['power'][leg]:.1f}" for leg in powers)]
        for row in rows
    ]
    against = [[row["name"], *(interval(row["against"][choice]) for choice in fused)] for row in rows]
    over_all = [[_short(choice), interval(found)] for choice, found in result["over all"].items()]
    return [
        f"## {result['title']}",
        "",
        *wrap(f"{_ABOUT} {result['note']}", 120),
        "",
        *table(["collection", "passages", "questions", *(f"power of {_SHORT[leg]}" for leg in powers)], sizes),
        "",
        "nDCG@10; the last column is reciprocal rank fusion of all legs:",
        "",
        *table(["collection", *names, "rrf"], numbers("ndcg@10")),
        "",
        "recall@100:",
        "",
        *table(["collection", *names, "rrf"], numbers("recall@100")),
        "",
        "nDCG@10 minus that of the best of the legs that are fused, with 95 % intervals (paired bootstrap); bold ones",
        "leave 0 out:",
        "",
        *table(["collection", *map(_short, fused)], against),
        "",
        "nDCG@10 minus that of words + MiniLM, as a mean over these collections:",
        "",
        *table(["legs", "difference"], over_all),
    ]


def _short(choice: str) -> str:
    return " + ".join(_SHORT[leg] for leg in choice.split(" + "))
