"""Chunking: chunks cover the text, fit the window and follow the text's structure."""

from __future__ import annotations

import hashlib
import re
import time
from bisect import bisect_left
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridstore.errors import InputError
from hybridstore.text.chunking import FORMATS, VERSION, approximate_token_starts, chunk, first_heading

MARKDOWN_PARTS = st.lists(
    st.sampled_from(
        [
            *(
                "# One\n",
                "## Two\n",
                "### Deep ##\n",
                "Set\n===\n",
                "Sub\n---\n",
                "\n",
                "\n\n",
                "---\n",
                "```\n",
                "~~~~\n",
            ),
            *(
                "A sentence. Another one! ",
                "Mr. Smith came, e.g. today.\n",
                "- item\n",
                "  1. nested\n",
                "| a | b |\n",
            ),
            *(
                "你好。世界！",
                "สวัสดี ชาวโลก ",
                "\u0645\u0631\u062d\u0628\u0627\u061f ",
                "def f(x):\n",
                "    return 1\n",
            ),
            *(
                "class A {\n",
                "}\n",
                "x" * 40,
                "\r\n",
                "\f",
                "\u2028",
                "\x00",
                "> quoted\n",
                "    ```\n",
                "\t",
                "👩‍👩‍👧 ",
            ),
        ]
    ),
    max_size=60,
).map("".join)
TEXTS = st.one_of(st.text(max_size=400), MARKDOWN_PARTS)


def letters(text):
    """Every non-space character is a token, so windows are exact."""
    return [index for index, character in enumerate(text) if not character.isspace()]


def words(text):
    return [match.start() for match in re.finditer(r"\S+", text)]


def tokens_in(starts, a_chunk):
    return bisect_left(starts, a_chunk.end) - bisect_left(starts, a_chunk.start)


def shown(text, chunks):
    return [text[one.start : one.end] for one in chunks]


@pytest.mark.parametrize("form", FORMATS)
@given(text=TEXTS, window=st.integers(1, 60), count=st.sampled_from([letters, words, None]), data=st.data())
@settings(max_examples=settings().max_examples * 3 // 2)
def test_chunks_cover_every_character_ascend_and_fit_the_window(form, text, window, count, data):
    overlap = data.draw(st.one_of(st.none(), st.integers(0, window // 2)))
    chunks = chunk(text, format=form, max_tokens=window, overlap=overlap, token_starts=count)
    if not text.strip():
        assert [(one.start, one.end, one.heading) for one in chunks] == [(0, len(text), "")]
        return
    covered = set()
    for one in chunks:
        assert text[one.start : one.end].strip(), "a chunk is blank"
        covered.update(range(one.start, one.end))
    assert all(index in covered for index, character in enumerate(text) if not character.isspace())
    assert [one.start for one in chunks] == sorted({one.start for one in chunks})
    assert [one.end for one in chunks] == sorted({one.end for one in chunks})
    # The whole text's tokens, as the chunker counts them: pieces are larger than these texts.
    starts = (count or approximate_token_starts)(text)
    assert all(tokens_in(starts, one) <= window for one in chunks)


@given(text=TEXTS, window=st.integers(2, 40))
def test_without_overlap_no_character_is_in_two_chunks(text, window):
    chunks = chunk(text, format="markdown", max_tokens=window, overlap=0)
    assert all(one.end <= two.start for one, two in pairwise(chunks))


@pytest.mark.parametrize("text", ["", " ", "\n\n\t"])
def test_a_blank_text_is_one_chunk(text):
    (only,) = chunk(text, max_tokens=8)
    assert (only.start, only.end) == (0, len(text))


_TOKEN = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
    r"|[A-Za-z\u00c0-\u024f]{1,8}|\d{1,3}|[^\W\d_]{1,3}|[^\w\s]|_+|\w"
)


@given(st.one_of(st.text(), st.text("aZ9_- \n\x1c\x85é½ДД東́\u3000", max_size=60)))
def test_approximate_tokens_start_where_each_matches(text):
    assert approximate_token_starts(text) == [match.start() for match in _TOKEN.finditer(text)]


def test_a_short_text_is_one_chunk_without_the_space_around_it():
    assert shown("  One.  Two.\n", chunk("  One.  Two.\n", max_tokens=8)) == ["One.  Two."]


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_tokens": 0},
        {"max_tokens": 8, "overlap": 5},
        {"max_tokens": 8, "overlap": -1},
        {"max_tokens": 8, "format": "latex"},
    ],
)
def test_impossible_arguments_are_rejected_with_the_valid_range(wrong):
    with pytest.raises(InputError, match=r"use one of|use 1 or more|must be between"):
        chunk("text", **wrong)


def test_a_word_longer_than_the_window_is_cut_at_its_tokens():
    text = "x" * 100
    chunks = chunk(text, max_tokens=30, token_starts=letters)
    assert "".join(shown(text, chunks)) == text
    assert max(one.end - one.start for one in chunks) == 30


def test_a_character_of_more_tokens_than_the_window_is_a_chunk():
    text = "aﷺb"
    chunks = chunk(text, max_tokens=2, token_starts=lambda _: [0, 1, 1, 1, 1, 2])
    assert shown(text, chunks) == ["a", "ﷺ", "b"]


def test_paragraphs_are_cut_before_sentences():
    text = "One two three. Four five six.\n\nSeven eight nine. Ten eleven twelve.\n\nThirteen."
    assert shown(text, chunk(text, max_tokens=8, overlap=0, token_starts=words)) == [
        "One two three. Four five six.",
        "Seven eight nine. Ten eleven twelve.\n\nThirteen.",
    ]


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("We met Dr. Miller at noon today. Then we left for home.", "Then we left for home."),
        ("It costs 3.50 as e.g. Apples do here. Then we left for home.", "Then we left for home."),
        ("“Is it so?” he asked us all. Then we left for home.", "Then we left for home."),
        ("今日は天気がいいです。明日は雨が降るでしょう。", "明日は雨が降るでしょう。"),
        ("هل أنت هنا اليوم معنا؟ نعم نحن هنا اليوم.", "نعم نحن هنا اليوم."),
        ("यह पहला वाक्य है। यह दूसरा वाक्य है।", "यह दूसरा वाक्य है।"),
        ("ประโยคแรกอยู่ตรงนี้ ประโยคที่สองอยู่ตรงนั้น", "ประโยคที่สองอยู่ตรงนั้น"),
    ],
)
def test_sentences_are_cut_where_they_end_in_any_script(text, second):
    window = max(len(letters(second)), len(letters(text)) - len(letters(second)))
    assert shown(text, chunk(text, max_tokens=window, overlap=0, token_starts=letters))[-1] == second


def test_overlap_is_whole_sentences_of_the_same_paragraph():
    sentences = [f"This is sentence {name}." for name in ("one", "two", "three", "four", "five", "six")]
    text = "A heading line\n\n" + " ".join(sentences)
    chunks = shown(text, chunk(text, max_tokens=16, overlap=4, token_starts=words))
    for one, two in pairwise(chunks[1:]):
        assert two.startswith(one[one.rindex("This") :])
    assert not chunks[1].startswith("A heading line")


def test_nothing_overlaps_across_headings():
    text = "".join(f"# Part {n}\n\n" + "Words that fill the window well. " * 5 + "\n\n" for n in range(4))
    chunks = chunk(text, format="markdown", max_tokens=30, overlap=10, token_starts=words)
    for one, two in pairwise(chunks):
        assert one.heading == two.heading or one.end <= two.start


def test_headings_make_a_path_in_both_styles_of_markdown():
    body = "\n\n" + "Words to fill it. " * 10 + "\n\n"
    text = f"Guide *to* `it`\n===\n{body}## Install{body}### On [Linux](x) ###{body}Use\n---\n{body}# Other{body}"
    headings = [one.heading for one in chunk(text, format="markdown", max_tokens=60, token_starts=words)]
    assert headings == [
        "Guide to it",
        "Guide to it > Install",
        "Guide to it > Install > On Linux",
        "Guide to it > Use",
        "Other",
    ]


@pytest.mark.parametrize("fence", ["```", "~~~~"])
def test_a_heading_inside_a_fence_is_code(fence):
    text = f"# Real\n\nText.\n\n{fence}sh\n# comment\nTitle\n===\n{fence}\n\nMore.\n"
    (only,) = chunk(text, format="markdown", max_tokens=60)
    assert only.heading == "Real"


def test_a_code_fence_that_fits_is_never_cut():
    fence = "```py\n" + "\n\n".join(f"line_{n} = {n}" for n in range(8)) + "\n```"
    text = "# A\n\n" + "Some words before it. " * 4 + f"\n\n{fence}\n\n" + "Some words after it. " * 4
    assert fence in shown(text, chunk(text, format="markdown", max_tokens=30, token_starts=words))


def test_front_matter_is_not_a_heading():
    text = "---\ntitle: Something\n---\n\n# Real\n\nText.\n"
    assert first_heading(text) == "Real"


def test_short_sections_join_under_their_common_heading():
    text = "# Names\n\n## Ann\n\nTall.\n\n## Bob\n\nSmall.\n\n# Long\n\n" + "Words to fill it. " * 30
    chunks = chunk(text, format="markdown", max_tokens=100, token_starts=words)
    assert chunks[0].heading == "Names"
    assert shown(text, chunks)[0].endswith("Small.")
    assert {one.heading for one in chunks[1:]} == {"Long"}


def test_a_short_section_does_not_join_an_unrelated_one():
    text = "# Ann\n\nTall.\n\n# Bob\n\nSmall.\n"
    assert [one.heading for one in chunk(text, format="markdown", max_tokens=100)] == ["Ann", "Bob"]


def test_a_heading_stays_with_its_text():
    text = "# Only a title\n\n## Part\n\n" + "Words to fill it. " * 30
    first = chunk(text, format="markdown", max_tokens=40, token_starts=words)[0]
    assert first.heading == "Only a title > Part"
    assert text[first.start : first.end].startswith("# Only a title\n\n## Part\n\nWords")


def test_the_rest_of_a_section_is_halved_without_a_small_remainder():
    text = " ".join(f"Sentence number {n}." for n in range(36))
    sizes = [len(part.split()) for part in shown(text, chunk(text, max_tokens=100, overlap=0, token_starts=words))]
    assert sizes == [54, 54]


def test_token_starts_gets_pieces_of_bounded_size():
    sizes = []

    def count(text):
        sizes.append(len(text))
        return words(text)

    chunk("word " * 200_000, max_tokens=100, token_starts=count)
    assert max(sizes) <= 1 << 16
    assert len(sizes) < 50


@pytest.mark.parametrize(
    ("form", "unit", "length"),  # characters that take well over 2 ms, the least that is compared
    [
        ("plain", "x. ", 20_000),
        ("plain", "x", 50_000),
        ("plain", "\n\x00\n", 20_000),
        ("markdown", "# a\n", 5_000),
        ("markdown", "```\n", 10_000),
        ("code", "a(b, ", 20_000),
    ],
)
def test_time_is_linear_in_the_text(form, unit, length):
    def seconds(characters):
        text = unit * (characters // len(unit))
        begun = time.process_time()
        chunk(text, format=form, max_tokens=64)
        return time.process_time() - begun

    small = max(min(seconds(length) for _ in range(3)), 0.002)
    assert min(seconds(8 * length) for _ in range(3)) < 24 * small  # 8 times the text; quadratic would be 64


def test_other_chunks_are_another_version_of_the_chunker():
    """Where this fails because chunks changed on purpose, raise VERSION and put the new digest here."""
    sentence = "The valve in hall 3 leaks above 4 bar, as E4012 says; shut it. 水泵在三号厅漏水。 "
    code = "```py\ndef f(x):\n    return x\n```\n"
    text = f"# Pumps\n\n{sentence * 3}\n\n## Valves\n\n- one\n- two\n\n{code}{sentence * 9}\n"
    made = [
        (spot.start, spot.end, spot.heading)
        for form in FORMATS
        for tokens in (16, 64, 250)
        for spot in chunk(text * 3, format=form, max_tokens=tokens)
    ]
    assert (VERSION, hashlib.sha256(repr(made).encode()).hexdigest()[:16]) == (1, "96a2c8b29337fb92")
