"""Whatever reads text takes time linear in it, and gives no more than linear output, for every pattern of text.

A text is doubled: more than 2.6 times the time, or the output, fails. Below the floor a time is noise, and a pattern
that takes so little for 32,000 characters takes less than a second for a million even if it grew as the square.
"""

import gc
import time

import pytest
from patterns import GENERAL, OWN, Pattern
from surfaces import Surface, surfaces

SIZE = 32_000  # characters
FLOOR = 0.03  # seconds of processor time
MOST = 2.6  # times, for a doubling
CORE = ("index", "terms", "chunk markdown", "filter", "query")  # the others take 5 to 30 s each
NAMES = [pytest.param(name, marks=[] if name in CORE else pytest.mark.thorough) for name in sorted(surfaces(None))]


def measured(surface: Surface, text: str) -> tuple[float, int]:
    gc.disable()  # its cost grows with everything that is loaded
    try:
        start = time.process_time()
        given = surface(text)
        return time.process_time() - start, given
    finally:
        gc.enable()


def growth(surface: Surface, pattern: Pattern) -> str:
    """Return what grows too fast, "" if nothing does."""
    small = min(measured(surface, pattern(SIZE // 16))[0] for _ in range(2))
    if small > 4 * FLOOR:  # per character 16 times what is usual: the whole would take very long
        return f"{small:.2f} s for {SIZE // 16:,} characters"
    whole, given = measured(surface, pattern(SIZE))
    if whole < FLOOR and given < 4 * SIZE:
        return ""
    half = float("inf")
    for _ in range(5):  # the fastest of several, as others use the machine too
        seconds, before = measured(surface, pattern(SIZE // 2))
        half, whole = min(half, seconds), min(whole, measured(surface, pattern(SIZE))[0])
        if (whole < FLOOR or whole < MOST * half) and given < MOST * max(before, SIZE):
            return ""
    return f"{half * 1e3:.0f} ms, then {whole * 1e3:.0f} ms; output {before:,}, then {given:,} characters"


@pytest.mark.parametrize("name", NAMES)
def test_doubling_a_text_doubles_time_and_output_at_most(name, tmp_path):
    surface = surfaces(tmp_path)[name]
    found = {what: growth(surface, pattern) for what, pattern in {**GENERAL, **OWN.get(name, {})}.items()}
    assert not {what: why for what, why in found.items() if why}


def test_the_measure_sees_quadratic_time_and_output():
    def quadratic(text: str) -> int:
        for _ in range(len(text) // 50):
            text.count("b")
        return len(text)

    assert "then" in growth(quadratic, lambda size: "a" * 20 * size)
    assert "output" in growth(lambda text: len(text) ** 2 // 1000, lambda size: "a" * size)
    assert not growth(len, lambda size: "a" * size)
