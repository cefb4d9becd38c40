"""The results of precision.py as Markdown."""

from __future__ import annotations

from typing import Any

from cells import interval, table

_WAYS = ("vector", "hybrid")


def precision_page(result: dict[str, Any]) -> list[str]:
    """Return a result of precision.py."""
    rows = []
    precisions = list(next(iter(result["collections"].values()))["ndcg@10"])
    for name, row in result["collections"].items():
        numbers = [f"{row['ndcg@10'][precision][way]:.4f}" for way in _WAYS for precision in precisions]
        rows.append([name, f"{row['passages']:,}", f"{row['queries']:,}", f"{row['least']:.3f}", f"{row['mean']:.4f}"])
        rows[-1] += numbers
    heads = [f"{way}, {precision}" for way in _WAYS for precision in precisions]
    differences = [[name, *(interval(found[way]) for way in _WAYS)] for name, found in result["differences"].items()]
    return [
        "## The default model in int8",
        "",
        "Passages in float32, as they are embedded (int8 where it suits), and half in each way; questions in float32.",
        "Least and mean cosine between a passage's two vectors, and nDCG@10:",
        "",
        *table(["collection", "passages", "questions", "least", "mean", *heads], rows),
        "",
        "nDCG@10 minus that of float32, as a mean over these collections, with 95 % intervals (paired bootstrap):",
        "",
        *table(["passages", *_WAYS], differences),
    ]
