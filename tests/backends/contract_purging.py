"""The contract of purging: what goes, what stays, what is said of it."""

import re

import numpy as np
import pytest
from made import ALL, EMBEDDING, OTHER, chunks_of, entry, found, near, ranked, source, units

from hybridstore.backends.learning import Negative, Triple
from hybridstore.errors import FileRefused, InputError, NotFound, Unsupported


def filled(backend, count: int = 30):
    vectors = units(np.random.default_rng(1), count)
    backend.put(
        [
            entry(f"document {n}", f"shared word{n} of the text", title=f"title{n}", vectors=vectors[n : n + 1])
            for n in range(count)
        ],
        embedding=EMBEDDING,
    )
    return vectors


def answers(backend, vectors) -> list:
    """Give what searches by word and by vector find, with scores."""
    rankings = [ranked(backend, ("shared", "text"))]
    rankings += [ranked(backend, (f"word{n}",)) for n in range(len(vectors))]
    rankings += [backend.nearest(vector, 10, ALL) for vector in vectors]
    return [(ranking.chunks.tolist(), ranking.scores.tolist()) for ranking in rankings]


def proved(backend) -> bool | None:
    """Return what a purge says of the files: that nothing is left, or nothing, where that cannot be verified."""
    return True if backend.capabilities.erasure is None else None


class PurgingContract:
    def test_a_purged_document_is_gone_and_its_file_is_clean(self, backend):
        vectors = filled(backend)
        chunks = chunks_of(backend, "document 3")
        purged = backend.purge(["document 3", "document 3", "unknown"])
        assert (purged.documents, purged.chunks, purged.missing) == (1, 1, ("unknown",))
        assert (purged.clean, purged.wal_clean, purged.residues) == (proved(backend), bool(proved(backend)), ())
        if proved(backend):
            assert purged.needles > 5
            assert sum(size for _, size in purged.files) > 0
        assert purged.remedy == (backend.capabilities.erasure or "")
        assert purged.seconds > 0
        assert (found(backend, "word3"), backend.passages(chunks), backend.count()) == ([], [], 29)
        assert near(backend, vectors[3])[0] != "document 3"
        with pytest.raises(NotFound):
            backend.get("document 3")
        assert backend.check() == []

    def test_no_ids_purge_nothing(self, backend):
        vectors = filled(backend)
        before = backend.state().revision, list(backend.scan()), answers(backend, vectors)
        purged = backend.purge([])
        assert (purged.documents, purged.chunks, purged.missing, purged.clean) == (0, 0, (), proved(backend))
        assert (backend.state().revision, list(backend.scan()), answers(backend, vectors)) == before

    def test_an_empty_id_is_refused_and_nothing_purged(self, backend):
        filled(backend, 3)
        with pytest.raises(InputError):
            backend.purge(["document 1", ""])
        assert backend.count() == 3

    def test_whoever_does_not_look_claims_nothing(self, backend):
        filled(backend, 3)
        purged = backend.purge(["document 1"], verify=False)
        assert (purged.documents, purged.clean, purged.wal_clean, purged.needles, purged.files) == (
            1,
            None,
            bool(proved(backend)),
            0,
            (),
        )

    def test_what_remains_is_found_as_after_a_removal(self, open_backend):
        one, two, twin = open_backend("one"), open_backend("one"), open_backend("twin")
        vectors = filled(one)
        filled(twin)
        assert answers(two, vectors) == answers(one, vectors) == answers(twin, vectors)  # copies in memory
        gone = [f"document {n}" for n in range(0, 30, 3)]
        assert one.purge(gone).clean is proved(one)
        assert twin.remove(gone) == 10
        expected = answers(twin, vectors)
        assert answers(one, vectors) == expected
        assert answers(two, vectors) == expected
        assert answers(open_backend("one"), vectors) == expected
        assert [stored.document for stored in one.scan()] == [stored.document for stored in twin.scan()]

    def test_chunk_ids_are_not_used_again_after_a_purge(self, backend):
        vectors = filled(backend, 3)
        last = max(chunks_of(backend, "document 2"))
        assert backend.purge([f"document {n}" for n in range(3)]).clean is proved(backend)
        assert backend.count() == 0
        backend.put([entry("new", "new", vectors=vectors[:1])], embedding=EMBEDDING)
        assert chunks_of(backend, "new") == [last + 1]
        assert backend.check() == []

    def test_a_purge_is_one_revision(self, backend):
        filled(backend, 5)
        before = backend.state().revision
        backend.purge(["document 1"])
        assert backend.state().revision == before + 1

    def test_vectors_of_every_embedding_go(self, backend):
        filled(backend, 6)
        backend.begin(OTHER)
        chunks = [chunks_of(backend, f"document {n}")[0] for n in range(6)]
        backend.fill(OTHER, chunks, units(np.random.default_rng(2), 6, OTHER.dim))
        assert backend.purge(["document 0"]).clean is proved(backend)  # one is being built
        assert backend.switch(keep=True)
        assert backend.purge(["document 1"]).clean is proved(backend)  # one is kept
        backend.begin(EMBEDDING)
        assert backend.pending_count() == 0
        assert backend.check() == []

    def test_a_source_of_which_nothing_is_left_goes_and_another_stays(self, backend):
        backend.put(
            [entry("a", "x", source="/files/one"), entry("b", "y", source="/files/two"), entry("c", "z")],
            finished={source("/files/one"): frozenset({"a"}), source("/files/two"): frozenset({"b"})},
        )
        assert backend.purge(["a"]).clean is proved(backend)
        assert set(backend.sources()) == {"/files/two"}

    def test_what_is_learned_of_it_goes_and_other_learning_stays(self, backend):
        filled(backend, 6)
        gone, here, other = (chunks_of(backend, f"document {n}")[0] for n in (0, 1, 2))
        negatives = (Negative(chunk=gone, leg="keyword", score=0.1), Negative(chunk=other, leg="vector", score=0.2))
        backend.learning.add_triples(
            [
                Triple(query="about the one", kind="log", positive=gone, score=0.5),
                Triple(query="about the other", kind="log", positive=here, score=0.5, negatives=negatives),
            ]
        )
        backend.learning.add_feedback("the one", gone, used=True)
        backend.learning.add_feedback("the other", here, used=True)
        assert backend.purge(["document 0"]).clean is proved(backend)
        (triple,) = backend.learning.triples()
        assert (triple.query, [each.chunk for each in triple.negatives]) == ("about the other", [other])
        assert [each.query for each in backend.learning.feedback()] == ["the other"]
        assert backend.check() == []

    def test_questions_go_that_hold_what_no_document_holds_any_more(self, backend):
        backend.put(
            [
                entry("patient file 17", "Zanzibar was where they met again, in spring.", title="An unusual meeting"),
                entry("b", "Nobody knows where they met again, in spring or summer; they travelled."),
            ]
        )
        theirs = ["what is ZANZIBAR's capital", "and patient file 17?", "An unusual me", "was where they met"]
        others = ["in spring or summer", "where they met again", "something else", "do they travel"]
        backend.learning.log_queries([*theirs, *others])
        here = chunks_of(backend, "b")[0]
        backend.learning.add_feedback("zanzibar or not", here, used=True)
        backend.learning.add_triples([Triple(query="why Zanzibar", kind="log", positive=here, score=0.5)])
        purged = backend.purge(["patient file 17"])
        assert (purged.questions, purged.clean) == (6, proved(backend))
        assert {each.query for each in backend.learning.query_log()} == set(others)
        assert backend.learning.feedback() == []
        assert backend.learning.count_triples() == 0

    def test_what_other_documents_hold_too_is_no_residue(self, backend):
        rng = np.random.default_rng(3)
        vector = units(rng, 1)
        text = "The very same text stands in two documents, of which one goes."
        for id_ in ("one of the two", "other of the two"):
            backend.put(
                [entry(id_, text, title="The same title", metadata={"author": "nobody"}, vectors=vector)],
                embedding=EMBEDDING,
            )
        purged = backend.purge(["one of the two"])
        assert purged.clean is proved(backend)
        assert not proved(backend) or purged.excluded > 10
        assert backend.get("other of the two").document.text == text

    def test_a_purge_within_a_snapshot_is_refused(self, backend):
        filled(backend, 3)
        with backend.snapshot(), pytest.raises(InputError, match="snapshot"):
            backend.purge(["document 1"])
        assert backend.count() == 3

    # capabilities

    def test_a_store_copies_itself_to_a_file_or_says_why_it_cannot(self, backend, tmp_path):
        backend.put([entry("a", "word")])
        if backend.capabilities.backup is None:
            backend.backup(str(tmp_path / "copy.db"))
            assert (tmp_path / "copy.db").stat().st_size
            with pytest.raises(FileRefused):
                backend.backup(str(tmp_path / "copy.db"))
        else:
            with pytest.raises(Unsupported, match=re.escape(backend.capabilities.backup)):
                backend.backup(str(tmp_path / "copy.db"))
            pytest.skip(backend.capabilities.backup)

    def test_a_store_is_compacted_without_any_change_to_its_answers_or_says_why_not(self, backend):
        vectors = filled(backend)
        backend.remove([f"document {n}" for n in range(20, 30)])
        before = backend.state().revision, list(backend.scan()), answers(backend, vectors)
        if backend.capabilities.compacting is not None:
            with pytest.raises(Unsupported, match=re.escape(backend.capabilities.compacting)):
                backend.compact()
            pytest.skip(backend.capabilities.compacting)
        report = backend.compact()
        assert 0 < report.after < report.before
        assert (report.remedy, backend.stats().bytes) == ("", report.after)
        assert (backend.state().revision, list(backend.scan()), answers(backend, vectors)) == before
        assert backend.check() == []
        with backend.snapshot(), pytest.raises(InputError, match="leave it first"):
            backend.compact()

    def test_a_store_verifies_erasure_or_says_why_it_cannot(self, backend):
        backend.put([entry("a", "zanzibar")])
        assert backend.purge(["a"]).clean is (True if backend.capabilities.erasure is None else None)
        if backend.capabilities.erasure is not None:
            pytest.skip(backend.capabilities.erasure)
