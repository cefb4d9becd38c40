"""Everything that reads accepts its valid inputs, and refuses changed ones with our errors only; see `make fuzz`."""

import random
import signal
import warnings

import fuzz
import pytest
from fuzz_surfaces import surfaces


@pytest.mark.thorough
def test_changed_inputs_are_read_or_refused_with_our_errors(tmp_path):
    before = signal.signal(signal.SIGALRM, fuzz._late)
    try:
        with warnings.catch_warnings(action="ignore"), surfaces(tmp_path) as known:
            for name, surface in known.items():
                found = list(fuzz.run(surface, random.Random(5), len(surface.seeds) + 30, 10))
                assert not [(name, what, where, given) for what, where, given in found if where or what == "large"]
                assert [what for what, *_ in found[: len(surface.seeds)]] == ["accepted"] * len(surface.seeds), name
    finally:
        signal.signal(signal.SIGALRM, before)
