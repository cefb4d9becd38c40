"""The memory budget: it changes how long a search takes, and scores by less than is visible."""

import numpy as np
import pytest

import hybridstore as hs


def test_less_memory_gives_the_same_answers(tmp_path):
    words = ["valve", "pump", "pressure", "inlet", "paint", "green", "bar", "hall"]
    rng = np.random.default_rng(5)
    texts = [" ".join(rng.choice(words, 6)) for _ in range(60)]
    vectors = rng.standard_normal((60, 16))
    with hs.open(tmp_path / "one.db", embedder="none") as store:
        store.add(
            [hs.Document(id=str(n), text=text, metadata={"n": n}) for n, text in enumerate(texts)], vectors=vectors
        )
        with hs.open(tmp_path / "one.db", embedder="none", memory=0) as tight:
            for n in range(10):
                asked = {"query": texts[n], "vector": vectors[n + 20], "where": {"n": {"$lt": 40 + n}}}
                ours, theirs = store.search(**asked), tight.search(**asked)
                assert [hit.document_id for hit in ours] == [hit.document_id for hit in theirs]
                assert [hit.score for hit in ours] == pytest.approx(
                    [hit.score for hit in theirs],
                    rel=1e-4,  # impacts in memory are steps of 1 / 65,535
                )


@pytest.mark.parametrize("memory", [-1, 0.5, "much"])
def test_memory_is_a_whole_number_of_mebibytes(tmp_path, memory):
    with pytest.raises(hs.InputError, match="whole number of MiB"):
        hs.open(tmp_path / "one.db", memory=memory)
