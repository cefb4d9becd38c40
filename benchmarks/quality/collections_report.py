"""The results of over_collections.py as Markdown."""

from __future__ import annotations

from typing import Any

from cells import interval, table

from hybridstore.evaluation.metrics import heading


def collections_page(result: dict[str, Any]) -> list[str]:
    """Return a result of over_collections.py."""
    rows = result["collections"]
    ways = list(next(iter(rows.values()))["means"])
    default = result["default"]
    lines = [f"## Collections: {result.get('title', 'all')}", ""]
    lines.append(f"Whole documents as one chunk. The default is {default}. n is the number of judged queries.")
    for metric in result["metrics"]:
        lines += ["", f"### {heading(metric)}", ""]
        found = []
        for name, row in {**rows, "mean of the collections": result["macro"]}.items():
            means = [row["means"][way][metric] for way in ways]
            better = max(row["means"][leg][metric] for leg in ("keyword", "vector"))
            shown = [f"**{mean:.4f}**" if mean == max(means) else f"{mean:.4f}" for mean in means]
            found.append([name, f"{row['n']:,}", *shown, f"{row['means'][default][metric] - better:+.4f}"])
        lines += table(["collection", "n", *ways, "default − better leg"], found)
        others = [way for way in ways if way != default]
        against = []
        for name, row in {**rows, "mean of the collections": result["macro"]}.items():
            cells = [interval(row["against"][way][metric]) for way in others]
            against.append([name, *cells])
        lines += ["", f"The default minus the other, {heading(metric)}, with 95 % intervals:", ""]
        lines += table(["collection", *others], against)
    drawn = (
        f"Paired bootstrap, {result['resamples']:,} resamples, seed {result['seed']}: queries are drawn within their "
        "collection; for the mean of the collections, in all of them at once. Bold intervals leave 0 out."
    )
    return [
        *lines,
        "",
        drawn,
        "",
        f"hybridstore {result['hybridstore']}, {result['embedder']}.",
    ]
