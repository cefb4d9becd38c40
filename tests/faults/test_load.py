"""Eight processes on one store, some of them killed; `make concurrency` and `make soak` take minutes over it."""

import load
import pytest


@pytest.mark.thorough
@pytest.mark.parametrize("kill", [0, 1])
def test_eight_processes_lose_nothing_and_read_nothing_stale(tmp_path, kill):
    counts, samples = load.run(tmp_path / "x.db", 8, kill)
    assert samples
    assert {name: counts[name] for name in ("errors", "failed", "stale", "lost", "unsound")} == dict.fromkeys(
        ("errors", "failed", "stale", "lost", "unsound"), 0
    )
