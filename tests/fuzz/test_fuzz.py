"""Everything that reads accepts its valid inputs, and refuses changed ones with our errors only; see `make fuzz`."""

import json
import random
import signal
import warnings

import fuzz
import pytest
from fuzz_surfaces import surfaces


@pytest.mark.thorough
def test_changed_inputs_are_read_or_refused_with_our_errors(tmp_path):
    before = {number: signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGPROF)}
    fuzz.watch()
    try:
        with warnings.catch_warnings(action="ignore"), surfaces(tmp_path) as known:
            for name, surface in known.items():
                found = list(fuzz.run(surface, random.Random(5), len(surface.seeds) + 30, 10))
                assert not [(name, what, where, given) for what, where, given in found if where or what == "large"]
                assert [what for what, *_ in found[: len(surface.seeds)]] == ["accepted"] * len(surface.seeds), name
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_inputs_are_spread_over_surfaces_until_there_are_enough_and_counted(capsys, tmp_path):
    arguments = ["--total", "100", "--inputs", "40", "--workers", "2", "--json", str(tmp_path / "table.json")]
    assert fuzz.main([*arguments, "filter", "filter as text"]) == 0
    table = json.loads((tmp_path / "table.json").read_text())
    assert 100 <= table["all"]["inputs"] == sum(table[name]["inputs"] for name in ("filter", "filter as text")) < 200
    assert table["filter"]["inputs"] >= 40
    assert table["filter"]["accepted"] > table["filter"]["inputs"] / 3
    assert 0 < table["filter"]["peak MB"] < 1000
    assert "filter as text" in capsys.readouterr().out
