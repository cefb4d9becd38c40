"""Many needles are found where they stand, and nowhere else."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import texts

from hybridstore.backends.sqlite import byte_search
from hybridstore.backends.sqlite.byte_search import SHORTEST, WINDOW, NeedleBuilder, Needles


def gathered(*given_: tuple[str, str]) -> Needles:
    gathering = NeedleBuilder()
    for kind, text in given_:
        gathering.text(kind, text)
    return gathering.build()


def hits(sought: Needles, data: bytes) -> set[tuple[int, str]]:
    places, numbers = sought.finder().find(data)
    return {(place, sought.kinds[number]) for place, number in zip(places, numbers, strict=True)}


@pytest.mark.parametrize("at_once", [byte_search._AT_ONCE, 50, 13])
def test_a_needle_is_found_wherever_it_stands(at_once, monkeypatch):
    monkeypatch.setattr(byte_search, "_AT_ONCE", at_once)
    choose = random.Random(1)
    long, short = "distinctive words", "sh0rtest"
    sought = gathered(("long", long), ("short", short))
    for _ in range(50):
        before, between = choose.randbytes(choose.randrange(80)), choose.randbytes(choose.randrange(80))
        data = before + long.encode() + between + short.encode() + choose.randbytes(choose.randrange(30))
        found = hits(sought, data)
        first, second = len(before), len(before) + len(long) + len(between)
        # At its beginning, where its second word begins were there room, and at its end.
        assert {place for place, kind in found if kind == "long"} == {first, first + len(long) - WINDOW}
        assert {place for place, kind in found if kind == "short"} == {second}


@settings(max_examples=settings().max_examples * 2)
@given(st.lists(texts, max_size=5), texts, st.integers(0, 30))
def test_what_is_found_is_what_bytes_find(parts, haystack, split):
    sought = gathered(*((str(n), part) for n, part in enumerate(parts)))
    data = (haystack[:split] + "".join(parts) + haystack[split:]).encode()
    places, numbers = sought.finder().find(data)
    windows = len(sought.hashes)
    for place, number in zip(places, numbers, strict=True):
        part = parts[int(sought.kinds[number])].encode()
        if number < windows:
            assert data[place : place + WINDOW] in part
        else:
            assert data[place : place + len(part)] == part
    assert set(numbers) == set(range(len(sought)))  # each part stands there whole


def test_nothing_is_found_in_random_bytes():
    rng = np.random.default_rng(1)
    gathering = NeedleBuilder()
    gathering.rows("vector", rng.integers(0, 256, (2000, 64), np.uint8))
    sought = gathering.build() + gathered(*(("id", f"id-{n:05}") for n in range(2000)))
    assert len(sought) > 10_000
    assert hits(sought, rng.integers(0, 256, 5_000_000, np.uint8).tobytes()) == set()


def test_what_is_short_or_plain_is_counted_and_not_looked_for():
    sought = gathered(("id", "a" * (SHORTEST - 1)), ("text", "-" * 100), ("title", ""), ("uri", "aaaaaaab"))
    assert len(sought) == 0
    assert sought.plain >= 3
    assert hits(sought, b"a" * 100 + b"-" * 100) == set()


def test_of_too_many_windows_an_even_share_is_looked_for(monkeypatch):
    monkeypatch.setattr(byte_search, "_MOST", 100)
    choose = random.Random(2)
    text = " ".join("".join(choose.choices("abcdefghij", k=8)) for _ in range(1000))
    sought = gathered(("text", text))
    assert 50 <= len(sought) <= 100
    places = [place for place, _ in hits(sought, text.encode())]
    assert max(places) - min(places) > 0.9 * len(text)


def test_some_of_the_needles_keep_their_kinds():
    sought = gathered(("one", "distinctive words"), ("two", "sh0rtest"), ("three", "altogether different"))
    assert len(sought.take(range(len(sought)))) == len(sought)
    for number, kind in enumerate(sought.kinds):
        assert sought.take([number]).kinds == (kind,)
    both = sought + gathered(("four", "quite unlike the others"), ("two", "sh0rtest"))
    assert set(both.kinds) == {"one", "two", "three", "four"}
    assert len(set(both.hashes.tolist())) == len(both.hashes)
