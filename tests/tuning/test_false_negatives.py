"""What keeps answers from being taken for negatives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridstore.records import Ranking, Term, Trace
from hybridstore.text.analysis import Analyser
from hybridstore.tuning.false_negatives import Candidate, LexicalJudge, proximity, too_near


def trace(query, **idf):
    nothing = Ranking(np.empty(0, np.int64), np.empty(0))
    return Trace(
        query=query,
        mode="hybrid",
        fusion="adaptive",
        limit=1,
        depth=200,
        terms=tuple(Term(Analyser("english").terms(word)[0], 1, value) for word, value in idf.items()),
        phrases=(),
        excluded=(),
        keyword=None,
        vector=None,
        weights=(0.5, 0.5),
        fused=nothing,
        hits=(),
        timings={},
    )


def candidate(text, cosine):
    """Return a candidate whose cosine to the positive, (1, 0), is this."""
    vector = np.array([cosine, (1 - cosine**2) ** 0.5], np.float32)
    return Candidate(chunk=1, document_id="d", text=text, score=0.5, vector=vector)


def judging(low=0.0, high=0.2, count=10_000):
    """Return a judge of a store whose chunks' cosines to the positive are `low` and `high` in turn."""
    cosines = np.array([low, high] * (count // 2), np.float32)
    return LexicalJudge(Analyser("english"), np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1))


POSITIVE = candidate("The pump is primed with water.", 1.0)
ASKED = trace("prime the pump", prime=3.0, pump=1.0)
# At large, cosines are 0.1 on average with a deviation of 0.1: n deviations are a cosine of 0.1 + n / 10.


def test_the_margin_is_a_share_of_the_positives_score():
    assert too_near(0.31, 0.5, 0.6)
    assert not too_near(0.30, 0.5, 0.6)
    assert too_near(0.1, 0.0)


def test_a_near_copy_of_the_positive_answers_whatever_words_it_holds():
    assert judging()(ASKED, POSITIVE, candidate("Nothing of the kind.", 0.45)) == "answers"
    assert judging()(ASKED, POSITIVE, candidate("Nothing of the kind.", 0.35)) == "no"


def test_similarity_is_relative_to_the_embedders_cosines():
    crowded = judging(0.8, 0.9)  # 0.85 on average, deviation 0.05
    assert crowded(ASKED, POSITIVE, candidate("Nothing of the kind.", 0.95)) == "no"
    assert crowded(ASKED, POSITIVE, candidate("Nothing of the kind.", 1.0)) == "no"
    assert judging(0.84, 0.86)(ASKED, POSITIVE, candidate("Nothing of the kind.", 0.95)) == "answers"


def test_an_unlike_passage_does_not_answer_even_with_all_the_words():
    assert judging()(ASKED, POSITIVE, candidate("priming pumps", 0.15)) == "no"


def test_between_them_the_proximity_of_the_questions_words_decides():
    judge = judging()
    assert judge(ASKED, POSITIVE, candidate("You prime a pump by hand.", 0.3)) == "answers"  # 2 + 2.4
    assert judge(ASKED, POSITIVE, candidate("A pump by the river.", 0.3)) == "no"  # 2 + 2.4 / 4
    apart = "prime " + "word " * 20 + "pump"
    assert judge(ASKED, POSITIVE, candidate("prime pump", 0.2)) == "answers"  # 1 + 2.4
    assert judge(ASKED, POSITIVE, candidate(apart, 0.2)) == "no"  # 1 + 2.4 · 3 / 4


def test_every_positive_is_judged_by_its_own_cosines():
    judge = judging()
    other = Candidate(chunk=2, document_id="e", text="", score=0.5, vector=np.array([0.0, 1.0], np.float32))
    assert judge(ASKED, POSITIVE, candidate("Nothing.", 0.45)) == "answers"
    assert judge(ASKED, other, candidate("Nothing.", 0.45)) == "no"  # at large, all chunks are as near to this one
    assert judge(ASKED, POSITIVE, candidate("Nothing.", 0.45)) == "answers"


def test_proximity_is_the_share_of_idf_within_the_window():
    idf = {"a": 3.0, "b": 1.0}
    assert proximity(["a", "x", "b"], idf, width=3) == 1.0
    assert proximity(["a", "x", "b"], idf, width=2) == 3 / 4
    assert proximity(["x", "b", "b"], idf) == 1 / 4
    assert proximity(["x"], idf) == 0.0
    assert proximity(["a"], {}) == 0.0


@given(st.lists(st.sampled_from("abcx"), max_size=30), st.integers(1, 10))
def test_proximity_is_that_of_the_best_of_all_windows(tokens, width):
    idf = {"a": 1.0, "b": 2.0, "c": 4.0}
    windows = [set(tokens[start : start + width]) for start in range(max(len(tokens), 1))]
    best = max(sum(idf[word] for word in window if word in idf) for window in windows)
    assert proximity(tokens, idf, width) == pytest.approx(best / 7)
