"""Pages: what is text stays text."""

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from hybridstore.views.html_page import element, facts, figure, page, section, short, table

NASTY = "</style><script>alert('x')</script>&amp;\"<b>"


def read(text):
    return ET.fromstring(text)  # noqa: S314 - it was made here


def test_text_is_escaped_and_markup_is_not():
    assert element("b", "1 < 2 & \"3\" 'x'") == "<b>1 &lt; 2 &amp; &quot;3&quot; &#x27;x&#x27;</b>"
    assert element("p", element("br"), "<br>", class_='"', data_x=1.50) == (
        '<p class="&quot;" data-x="1.5"><br/>&lt;br&gt;</p>'
    )
    assert isinstance(element("b"), Markup)


@given(text=st.text(st.characters(exclude_categories=[])))
def test_any_text_makes_a_page_that_can_be_parsed_and_written(text):
    built = page(
        text, section(text, facts({text: text}), table([text], [[text]])), figure(text, Markup(), text, [text])
    )
    root = read(built)
    tags = [each.tag for each in root.iter()]
    head, main = "head meta meta meta title style", "body main h1 section h2 div table tbody tr th td"
    below = "div table thead tr th tbody tr td figure h3 ul li span figcaption"
    assert tags == ["html", *head.split(), *main.split(), *below.split()]
    built.encode("utf-8")


def test_markup_in_text_is_shown_as_it_was_written():
    root = read(page(NASTY, section(NASTY, facts({NASTY: NASTY}))))
    assert [root.findtext(path) for path in ("head/title", "body/main/h1", "body/main/section/h2")] == [NASTY] * 3
    assert root.find(".//script") is None


def test_a_page_needs_nothing_from_anywhere():
    built = page("t", section("s", "text"))
    assert not re.search(r"https?:|url\(|@import|<script|<link|src=", built)
    assert "prefers-color-scheme:dark" in built
    assert 'name="viewport"' in built
    assert built.startswith("<!DOCTYPE html>\n")


@pytest.mark.parametrize(
    ("number", "text"), [(0.0, "0"), (-0.001, "0"), (1.5, "1.5"), (100.0, "100"), (2, "2"), (0.456, "0.46")]
)
def test_numbers_are_short(number, text):
    assert short(number) == text


def test_number_columns_are_told_from_text_columns():
    root = read(table(["a", "b", "c"], [["x", "y", "1"]], texts=2))
    assert [cell.get("class") for cell in root.iter("td")] == [None, None, "n"]
    assert [cell.get("class") for cell in root.iter("th")] == [None, None, "n"]
