"""Single bytes changed in a sound store are told by `check`, refused, or change no answer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("byte_flips.py")
FINE = {"told", "refused", "refused when asked", "no answer changed"}


def outcomes(count: int, seed: int) -> dict[str, int]:
    ran = subprocess.run(
        [sys.executable, str(PROGRAM), str(count), str(seed)], capture_output=True, text=True, check=False
    )
    assert not ran.returncode, ran.stderr
    found: dict[str, int] = json.loads(ran.stdout.splitlines()[-1])
    assert set(found) <= FINE, ran.stdout
    return found


def test_changed_bytes_are_told_or_refused_or_change_no_answer():
    found = outcomes(120, 1)
    assert sum(found.values()) == 120
    assert found["told"] > 60


@pytest.mark.slow
def test_a_thousand_changed_bytes_are_told_or_refused_or_change_no_answer():
    assert sum(outcomes(1000, 2).values()) == 1000
