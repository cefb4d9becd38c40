"""Argument types that commands share."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridstore.cli.shared_options import DURATION


def seconds(text):
    return DURATION.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", 90),
        ("15m", 15 * 60),
        ("12h", 12 * 3600),
        ("30d", 30 * 86_400),
        ("2w", 14 * 86_400),
        ("1d12h", 36 * 3600),
        ("1.5h", 5400),
        (" 1D 12 h ", 36 * 3600),
        ("0d5s", 5),
    ],
)
def test_numbers_with_their_units_are_added_up(text, length):
    assert seconds(text) == length


@pytest.mark.parametrize(
    "text", ["", " ", "5", "d", "5y", "-5d", "0d", "5 days", "1d 12", "1.d", ".5d", "1e3s", "٣d", "9" * 400 + "d"]
)
def test_anything_else_is_wrong_usage(text):
    with pytest.raises(click.BadParameter, match="is not a length of time"):
        seconds(text)


def test_the_option_says_how_to_write_one():
    with pytest.raises(click.BadParameter, match="'soon' is not a length of time; write 90s, 15m, 12h"):
        seconds("soon")
    assert seconds("1m") == 60.0
    assert seconds(60) == 60.0


@given(st.text("0123456789.smhdw -", max_size=12))
def test_a_length_is_positive_or_rejected(text):
    try:
        length = seconds(text)
    except click.BadParameter:
        return
    assert length > 0
