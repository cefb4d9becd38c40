"""The page's tables of learning and drift agree with the JSON: verdicts, intervals, means."""

from pathlib import Path

import pytest

QUALITY = Path(__file__).parents[2] / "benchmarks" / "quality"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(QUALITY))


def rows_of(lines, heading):
    """Return the cells of the first table below a heading, by the first cell."""
    lines = lines[lines.index(heading) :]
    first = next(place for place, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    head, _, *body = rows
    assert {len(row) for row in rows} == {len(head)}
    return [dict(zip(head, row, strict=True)) for row in body]


def compared(a, b, low, high, n=10):
    return {"mean_a": a, "mean_b": b, "difference": b - a, "low": low, "high": high, "n": n}


TOLD = {
    "hybridstore": "0",
    "embedder": "hashing",
    "metric": "nDCG@10",
    "seed": 0,
    "queries": None,
    "settings": {"rank": 64, "rate": 0.002, "seed": 0},
    "collections": {
        "good": {
            "chunks": 1200,
            "accepted": True,
            "gate": compared(0.2, 0.25, 0.01, 0.09),
            "people": compared(0.5, 0.75, 0.125, 0.375, 1000),
            "total_seconds": 12.4,
        },
        "bad": {
            "chunks": 90,
            "accepted": False,
            "gate": None,
            "people": compared(0.5, 0.25, -0.5, 0.125),
            "total_seconds": 3.0,
        },
    },
    "macro": {
        "before": 0.5,
        "gated": {"difference": 0.125, "low": 0.0625, "high": 0.1875},
        "ungated": {"difference": 0.0, "low": -0.125, "high": 0.125},
        "worst": [0.0, "bad"],
    },
    "labels": {
        "good": {
            "learned_from": "train",
            "labels": 1500,
            "accepted": True,
            "groups": {"all": compared(0.5, 0.75, 0.125, 0.375), "unseen documents": compared(0.5, 0.5, -0.1, 0.1, 4)},
        }
    },
}


def test_the_page_shows_the_gates_verdicts_and_differences():
    from learning_report import learning_page

    lines = learning_page(TOLD)
    good, bad, every, gated = rows_of(lines, "## Learning: what a store's own text teaches it")
    assert list(good.values()) == [
        "good",
        "1,000",
        "0.5000",
        "0.7500",
        "**+0.2500 (+0.1250 to +0.3750)**",
        "let in",
        "**+0.0500 (+0.0100 to +0.0900)**",
        "+0.2500",
        "12 s, 1,200 chunks",
    ]
    assert bad["difference"] == "-0.2500 (-0.5000 to +0.1250)"
    assert (bad["gate"], bad["difference it saw"], bad["difference with the gate"]) == (
        "refused",
        "too few to tell",
        "0",
    )
    assert (every["n"], every["before"], every["difference"]) == ("1,010", "0.5000", "+0.0000 (-0.1250 to +0.1250)")
    assert gated["with the new version"] == "0.6250"
    assert gated["gate"] == "1 of 2 let in"
    assert gated["difference with the gate"] == "**+0.1250 (+0.0625 to +0.1875)**"
    assert "rank 64, rate 0.002." in lines[-1]
    with_labels = rows_of(lines, "### With judgments")
    assert [row["questions about"] for row in with_labels] == ["all documents", "unseen documents"]
    assert with_labels[1]["difference"] == "+0.0000 (-0.1000 to +0.1000)"
    assert with_labels[0]["learned from"] == "1,500 judgments (train)"


def test_without_judgments_the_page_omits_them():
    from learning_report import learning_page

    assert "judgments" not in "\n".join(learning_page({**TOLD, "labels": {}}))
    assert "The first 50 questions" in "\n".join(learning_page({**TOLD, "queries": 50}))


def test_the_page_shows_drift_in_both_directions_with_means():
    from drift_report import drift_page

    def way(hybrid, vector, n):
        return {"n": n, "hybrid": hybrid, "vector": vector, "keyword": 0.25}

    def direction(old, n, state="active"):
        return {
            "old over old": way(old, 0.5, n),
            "new over old": way(0.25, 0.0, n),
            "new over old, mapped": way(0.375, 0.25, n),
            "new over new": way(0.75, 0.625, n),
            "map": {"agreement": 0.5, "state": state},
        }

    collections = {
        "a": {"to": direction(0.5, 10), "back": direction(0.75, 10)},
        "b": {"to": direction(1.0, 30, "refused"), "back": direction(0.25, 30)},
    }
    result = {"hybridstore": "0", "metric": "nDCG@10", "sample": 2000, "seed": 0}
    lines = drift_page({**result, "models": {"other@1": {"dim": 8, "collections": collections}}})
    a, b, mean = rows_of(lines, "### to other (8 dimensions)")
    assert list(a.values()) == [
        *("a", "10", "0.2500", "0.5000", "0.2500", "0.3750", "0.7500"),
        *("0.5000", "0.0000", "0.2500", "0.6250", "0.50"),
    ]
    assert b["agreement"] == "0.50, refused"
    assert (mean["n"], mean["hybrid: old questions"]) == ("40", f"{(0.5 + 1.0) / 2:.4f}")
    assert (
        rows_of(lines, "### from other (8 dimensions) back")[2]["hybrid: old questions"] == f"{(0.75 + 0.25) / 2:.4f}"
    )
