"""Whatever reads text takes time linear in it, and gives no more than linear output, for every pattern of text.

A text is doubled: more than 2.6 times the time, or the output, fails. Below the floor a time is noise, and a pattern
that takes so little for 32,000 characters takes less than a second for a million even if it grew as the square.
"""

import gc
import time
from collections.abc import Callable

import pytest
from file_formats import patterns_of
from patterns import Pattern
from surfaces import Surface, surfaces

SIZE = 32_000  # characters
SLOW = {  # surfaces that take 0.1 ms for a character or more
    "memory files": 2_000,
    "read rst": 4_000,
    **dict.fromkeys(("passage", "read csv", "read tsv", "search and explain", "read html", "read epub"), 8_000),
    **dict.fromkeys(("advanced query", "hashing embedder", "chunk code", "chunk plain", "answer"), 16_000),
}
CORE = {"index": 8_000, "chunk markdown": 8_000, "query": 8_000, "filter": SIZE, "noise": SIZE}
CASES = [
    *(pytest.param(name, size, id=name) for name, size in CORE.items()),
    *(
        pytest.param(name, SLOW.get(name, SIZE), marks=pytest.mark.thorough, id=f"{name} thoroughly")
        for name in sorted(surfaces(None))
    ),
]
FLOOR = 0.03  # seconds of processor time for SIZE
MOST = 2.6  # times, for a doubling

Measured = Callable[[Surface, str], tuple[float, int]]  # seconds of processor time, characters given


def measured(surface: Surface, text: str) -> tuple[float, int]:
    gc.disable()  # its cost grows with everything that is loaded
    try:
        start = time.process_time()
        given = surface(text)
        return time.process_time() - start, given
    finally:
        gc.enable()


def growth(surface: Surface, pattern: Pattern, size: int = SIZE, measured: Measured = measured) -> str:
    """Return what grows too fast up to this size, "" if nothing does."""
    floor = max(FLOOR * size / SIZE, 0.01)
    small = min(measured(surface, pattern(size // 16))[0] for _ in range(2))
    if small > 4 * FLOOR:  # per character 16 times what is usual: the whole would take very long
        return f"{small:.2f} s for {size // 16:,} characters"
    whole, given = measured(surface, pattern(size))
    if whole < floor and given < 4 * size:
        return ""
    half = float("inf")
    for _ in range(20):  # the fastest of many, as others use the machine too
        seconds, before = measured(surface, pattern(size // 2))
        half, whole = min(half, seconds), min(whole, measured(surface, pattern(size))[0])
        if (whole < floor or whole < MOST * half) and given < MOST * max(before, size):
            return ""
    return f"{half * 1e3:.0f} ms, then {whole * 1e3:.0f} ms; output {before:,}, then {given:,} characters"


@pytest.mark.parametrize(("name", "size"), CASES)
def test_doubling_a_text_doubles_time_and_output_at_most(name, size, tmp_path):
    surface = surfaces(tmp_path)[name]
    found = {what: growth(surface, pattern, size) for what, pattern in patterns_of(name).items()}
    assert not {what: why for what, why in found.items() if why}


def test_the_measure_sees_quadratic_time_and_output():
    def squares(_: Surface, text: str) -> tuple[float, int]:
        return 1e-9 * len(text) ** 2, len(text)

    def lines(_: Surface, text: str) -> tuple[float, int]:
        return 1e-5 * len(text), len(text)

    assert "160 ms, then 640 ms" in growth(len, lambda size: "a" * size, 25_298, squares)
    assert not growth(len, lambda size: "a" * size, measured=lines)
    assert "output" in growth(lambda text: len(text) ** 2 // 1000, lambda size: "a" * size)
    assert not growth(len, lambda size: "a" * size)  # by the clock
