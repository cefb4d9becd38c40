"""Qrels and runs, and the files they are read from and written to."""

import gzip

import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from hybridstore.errors import InputError
from hybridstore.evaluation.judgments import Qrels, Run, read_qrels, read_run, write_qrels, write_run


def run_of(rankings):
    """A run with these rankings: n documents with the scores n, n - 1, … 1."""
    return Run.from_ranked(
        {query: [(document, float(len(ids) - n)) for n, document in enumerate(ids)] for query, ids in rankings.items()}
    )


QRELS = Qrels({"q1": {"d1": 2, "d2": 0}, "q2": {"d3": -1}})


def test_beir_qrels_are_read_with_and_without_a_header(tmp_path):
    for name, head in (("with.tsv", "query-id\tcorpus-id\tscore\n"), ("without.tsv", ""), ("bom.tsv", "\ufeff")):
        (tmp_path / name).write_text(head + "q1\td1\t2\nq1\td2\t0\n\nq2\td3\t-1\n", encoding="utf-8")
        assert read_qrels(tmp_path / name) == QRELS, name


def test_trec_qrels_are_read(tmp_path):
    (tmp_path / "qrels.txt").write_text("q1 0 d1 2\nq1 0 d2 0\nq2  0\td3 -1\n")
    assert read_qrels(tmp_path / "qrels.txt") == QRELS


@pytest.mark.parametrize("layout", ["beir", "trec"])
@pytest.mark.parametrize("name", ["qrels.tsv", "qrels.tsv.gz"])
def test_written_qrels_are_read_back_the_same(tmp_path, layout, name):
    write_qrels(QRELS, tmp_path / name, layout=layout)
    assert read_qrels(tmp_path / name) == QRELS
    assert ((tmp_path / name).read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")


def test_a_document_id_with_spaces_survives_the_tab_separated_layout_and_is_refused_by_trecs(tmp_path):
    qrels = Qrels({"q": {"my file.txt": 1}})
    write_qrels(qrels, tmp_path / "qrels.tsv")
    assert read_qrels(tmp_path / "qrels.tsv") == qrels
    with pytest.raises(InputError, match=r"my file\.txt.*white space"):
        write_qrels(qrels, tmp_path / "qrels.txt", layout="trec")
    with pytest.raises(InputError, match=r"my file\.txt.*white space"):
        write_run(run_of({"q": ["my file.txt"]}), tmp_path / "run.txt")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("q1\td2", "line 2: a judgment has three columns"),
        ("q1 0 d2 1 extra", "line 2: .* has 5"),
        ("q1\td2\t1.5", "line 2: the grade '1.5' is not a whole number"),
        ("q1\td1\t0", "line 2: .*'q1'.*'d1'.* 2 before and 0 here"),
        ("q1\t\t1", "line 2: a judgment has three columns"),
    ],
)
def test_a_broken_judgment_is_an_error_with_its_line(tmp_path, line, words):
    (tmp_path / "qrels.tsv").write_text(f"q1\td1\t2\n{line}\n")
    with pytest.raises(InputError, match=words):
        read_qrels(tmp_path / "qrels.tsv")


def test_a_bad_grade_in_the_first_line_is_not_taken_for_a_header(tmp_path):
    (tmp_path / "qrels.tsv").write_text("q1\td1\t1.0\n")
    with pytest.raises(InputError, match="line 1: the grade"):
        read_qrels(tmp_path / "qrels.tsv")


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path):
    with pytest.raises(InputError, match=r"none\.tsv cannot be read: No such file"):
        read_qrels(tmp_path / "none.tsv")
    (tmp_path / "latin.tsv").write_bytes("q\tdé\t1\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.tsv is not UTF-8"):
        read_qrels(tmp_path / "latin.tsv")
    (tmp_path / "plain.tsv.gz").write_bytes(b"q\td\t1\n")
    with pytest.raises(InputError, match=r"plain\.tsv\.gz cannot be read"):
        read_qrels(tmp_path / "plain.tsv.gz")
    (tmp_path / "cut.tsv.gz").write_bytes(gzip.compress(b"q\td\t1\n" * 1000)[:-9])
    with pytest.raises(InputError, match=r"cut\.tsv\.gz cannot be read"):
        read_qrels(tmp_path / "cut.tsv.gz")


def test_qrels_tell_which_queries_can_be_scored():
    assert (QRELS.answerable, QRELS.unanswerable) == (("q1",), ("q2",))
    assert QRELS.of("q3") == {}


def test_equal_scores_are_ranked_by_document_id_descending():
    run = Run.from_scores({"q": {"a": 1.0, "c": 1.0, "b": 2.0, "d": 1.0 + 1e-12}})
    assert run.documents("q") == ("b", "d", "c", "a")
    assert Run.from_scores({"q": {"z": 1.0, "a": 1.0 + 1e-12}}).documents("q") == ("z", "a")


def test_a_ranking_keeps_its_order_whatever_the_ids_are():
    order = ["a", "z", "m", "b"]
    run = run_of({"q": order})
    assert run.ranked["q"] == (("a", 4.0), ("z", 3.0), ("m", 2.0), ("b", 1.0))
    assert Run.from_scores({"q": dict(run.ranked["q"])}) == run
    assert run.documents("unknown") == ()


single = st.floats(width=32, min_value=-(2.0**120), max_value=2.0**120)
scores = st.one_of(single, st.sampled_from([0.0, 1.0, 1.0 + 1e-9, 1.0 - 1e-9, 1.0 + 1e-7, -1.0, 0.1]))


@given(ranking=st.lists(st.tuples(st.text("abz", min_size=1), scores), unique_by=lambda pair: pair[0], min_size=1))
def test_a_ranking_with_scores_is_read_back_in_its_order_whatever_ties(tmp_path_factory, ranking):
    run = Run.from_ranked({"q": ranking})
    assert run.documents("q") == tuple(document for document, _ in ranking)
    assert Run.from_scores({"q": dict(run.ranked["q"])}) == run
    write_run(run, tmp_path_factory.mktemp("runs") / "run.txt")
    assert all(kept <= score for (_, kept), (_, score) in zip(run.ranked["q"], ranking, strict=True))


def test_scores_that_tell_the_order_are_kept_and_ties_differ_by_less_than_a_millionth():
    apart = {"q": [("a", 0.5), ("b", 0.25), ("c", -1.0)]}
    assert Run.from_ranked(apart).ranked["q"] == tuple(apart["q"])
    tied = dict(Run.from_ranked({"q": [("a", 0.3), ("b", 0.3), ("c", 0.3)]}).ranked["q"])
    assert tied["a"] == 0.3
    assert 0.3 > tied["b"] > tied["c"] > 0.3 * (1 - 1e-6)
    # ids that fall decide a tie as it was ranked
    assert Run.from_ranked({"q": [("b", 0.3), ("a", 0.3)]}).ranked["q"] == (("b", 0.3), ("a", 0.3))


def test_scores_that_no_run_can_hold_are_refused():
    for score in (float("nan"), float("inf"), -1e300):
        with pytest.raises(InputError, match="'d' is not a number within"):
            Run.from_ranked({"q": [("d", score)]})
    with pytest.raises(InputError, match=r"'q': document 'b' .* more than once"):
        Run.from_ranked({"q": [("b", 2.0), ("b", 1.0)]})


def test_a_document_cannot_stand_twice_in_a_ranking():
    with pytest.raises(InputError, match=r"'q': document 'b' .* more than once"):
        run_of({"q": ["a", "b", "c", "b"]})


def test_a_score_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(InputError, match="'d' is not a number"):
        Run.from_scores({"q": {"d": float("nan")}})
    (tmp_path / "run.txt").write_text("q Q0 d 1 nan tag\n")
    with pytest.raises(InputError, match=r"line 1: .*not a number"):
        read_run(tmp_path / "run.txt")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("q Q0 e 2 0.5", "line 2: .* six columns .* has 5"),
        ("q Q0 e 2 high tag", "line 2: the score 'high'"),
        ("q Q0 d 2 0.5 tag", "line 2: query 'q': 'd' is listed twice"),
    ],
)
def test_a_broken_line_of_a_run_is_an_error_with_its_number(tmp_path, line, words):
    (tmp_path / "run.txt").write_text(f"q Q0 d 1 0.7 tag\n{line}\n")
    with pytest.raises(InputError, match=words):
        read_run(tmp_path / "run.txt")


identifiers = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1)
rankings = st.dictionaries(identifiers, st.lists(identifiers, unique=True, min_size=1), min_size=1)


@given(rankings=rankings, name=st.sampled_from(["run.txt", "run.txt.gz"]))
def test_a_written_run_is_read_back_in_the_same_order(tmp_path_factory, rankings, name):
    path = tmp_path_factory.mktemp("runs") / name
    run = run_of(rankings)
    write_run(run, path)
    assert read_run(path) == run


def test_other_tools_read_the_run_that_was_written(tmp_path):
    run = run_of({"q1": ["b", "a"], "q2": ["c"]})
    write_run(run, tmp_path / "run.txt", tag="mine")
    text = (tmp_path / "run.txt").read_text()
    assert text.splitlines()[1] == "q1 Q0 a 2 1.0 mine"
    assert pytrec_eval.parse_run(text.splitlines()) == {"q1": {"b": 2.0, "a": 1.0}, "q2": {"c": 1.0}}


def test_the_same_run_gives_the_same_bytes_compressed(tmp_path):
    run = run_of({"q": ["a"]})
    for name in ("one.gz", "two.gz"):
        write_run(run, tmp_path / name)
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()
