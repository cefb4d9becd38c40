"""How the benchmark of the gate counts verdicts that are right and wrong."""

from pathlib import Path

import pytest

QUALITY = Path(__file__).parents[2] / "benchmarks" / "quality"


@pytest.fixture
def gating(monkeypatch):
    monkeypatch.syspath_prepend(str(QUALITY))
    import gating

    return gating


def change(difference, half=0.01):
    return {"difference": difference, "low": difference - half, "high": difference + half}


def row(gate, people, *parts, version="as trained"):
    found = None if gate is None else change(gate)
    accepted = found is not None and found["low"] > 0 and all(part["high"] >= 0 for part in parts)
    return {"version": version, "accepted": accepted, "gate": found, "parts": parts, "people": change(people)}


def test_a_wider_interval_refuses_what_a_narrower_one_lets_in(gating):
    barely = row(0.008, 0.01)  # the 95 % interval reaches from -.002 to .018
    assert [gating.accepts(barely, level) for level in gating.LEVELS] == [True, True, False, False, False]
    assert not gating.accepts(row(None, 0.01), 0.5)


def test_a_part_that_loses_refuses_the_whole(gating):
    assert gating.accepts(row(0.02, 0.01, change(-0.009)), 0.95)
    assert not gating.accepts(row(0.02, 0.01, change(-0.011)), 0.95)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_verdicts_are_counted_by_what_people_gain(gating, level):
    rows = [row(0.02, 0.01), row(0.02, -0.02), row(-0.02, 0.01), row(-0.02, -0.02), row(0.02, 0.0001)]
    told = gating.counted(rows, level)
    assert (told["let in"], told["worse let in"], told["worse"]) == (3, 1, 2)
    assert (told["better refused"], told["better"]) == (1, 2)
    assert told["mean"] == pytest.approx((0.01 - 0.02 + 0.0001) / 5, abs=1e-5)
    assert told["least"] == -0.02


def test_the_page_agrees_with_the_gates_own_verdicts_at_its_own_level(gating):
    rows = [row(0.02, 0.01), row(0.005, 0.01), row(None, 0.01, version="four times")]
    rows += [row(0.0, 0.0, version=name) for name in gating.SCALES if name not in {"as trained", "four times"}]
    lines = gating.page({"collections": {"a": rows}})
    assert f"| 95% | {sum(each['accepted'] for each in rows)} | 0 of 0 | 2 of 3 |" in "\n".join(lines)
    assert "| four times | 0 of 1 | – | +0.0100 | +0.0100 |" in lines
