"""`model history`, `promote`, `rollback` and `drift`: versions shown, taken and taken back."""

import json
import re

import numpy as np
import pytest

import hybridstore as hs
from hybridstore import embedders
from hybridstore.backends.learning import ModelVersion
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import ModelUnavailable
from hybridstore.search.transforms import Adapter, write
from hybridstore.store import Store

OLD, NEW = HashingEmbedder(32), HashingEmbedder(48)
WORDS = [f"{start}{middle}{end}" for start in "bdfglm" for middle in ("ai", "o", "u", "ea") for end in "kmnrst"]
REFUSED = {"verdict": {"accepted": False, "reason": "-0.0200 nDCG@10 on 60 held-out documents: it loses there"}}
ACCEPTED = {"verdict": {"accepted": True, "reason": "+0.0141 nDCG@10 on 60 held-out documents"}}


class Unlike(HashingEmbedder):
    """An embedder whose vectors have nothing to do with anything."""

    def __init__(self):
        super().__init__(16)
        self.fingerprint = "unlike-16@1"

    def embed_documents(self, texts):
        made = [np.random.default_rng(sum(map(ord, text))).standard_normal(16) for text in texts]
        return (np.array(made) / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def loadable(monkeypatch):
    """Let embedders be had by name: those of a test, without a model."""
    known = {each.fingerprint.partition("@")[0]: each for each in (OLD, NEW, Unlike())}

    def load(name, **_):
        if str(name) not in known:
            raise ModelUnavailable(str(name), "no such folder and no such model")
        return known[str(name)]

    monkeypatch.setattr(embedders, "load", load)
    return known


@pytest.fixture
def db(tmp_path, loadable):
    path, drawn = tmp_path / "notes.db", np.random.default_rng(1)
    with hs.open(path, embedder=OLD) as store:
        store.add([hs.Document(id=f"d{n}", text=" ".join(drawn.choice(WORDS, 12))) for n in range(120)])
    return path


@pytest.fixture
def propose(db):
    """Put a version into the history; give its number."""

    def propose(state="candidate", kind="adapter", embedder=OLD, report=ACCEPTED, reference=None):
        fingerprint, seed = embedder.fingerprint, np.random.default_rng(3)
        down, up = (seed.standard_normal(shape).astype(np.float32) for shape in ((embedder.dim, 2), (2, embedder.dim)))
        model = ModelVersion(
            kind=kind,
            state=state,
            source=fingerprint,
            target=fingerprint,
            reference=reference or fingerprint.partition("@")[0],
            report=report,
            weights=write(Adapter(fingerprint, down, up)) if kind == "adapter" else b"",
        )
        with hs.open(db, embedder="none") as store:
            return store.learning.propose(model)

    return propose


def active(run):
    return [each["number"] for each in json.loads(run("model", "history", "--json").stdout) if each["active"]]


def vectors_of(db):
    with hs.open(db, embedder="none") as store:
        return store.stats().embedding.fingerprint


def test_a_store_that_learned_nothing_says_how_to_train(run):
    assert "hybridstore tune --auto" in run("model", "history").stdout
    assert json.loads(run("model", "history", "--json").stdout) == []


def test_the_history_marks_the_active_version_and_shows_the_verdicts(run, propose):
    propose()
    propose("refused", report=REFUSED)
    run("model", "promote", 1)
    result = run("model", "history").stdout
    assert re.search(r"^\* +1 +adapter +active +\d{4}-\d\d-\d\d \d\d:\d\d +hashing-32 ", result, re.MULTILINE)
    assert re.search(r"^ +2 +adapter +refused ", result, re.MULTILINE)
    assert "+0.0141" in result
    assert "-0.0200" in result
    assert result.endswith("Version 1 (adapter) is active now.\n")
    rows = json.loads(run("model", "history", "--json").stdout)
    assert [(row["number"], row["state"], row["active"], row["previous"]) for row in rows] == [
        (1, "active", True, None),
        (2, "refused", False, None),
    ]
    assert rows[1]["report"] == REFUSED


def test_promote_without_a_number_takes_the_newest_that_waits(run, propose):
    assert "no version is waiting to be promoted" in run("model", "promote", code=1).stderr
    propose()
    propose()
    propose("refused", report=REFUSED)
    assert run("model", "promote").stdout == "Version 2 (adapter) is active now.\n"
    assert active(run) == [2]


def test_rolling_back_goes_back_step_by_step_to_the_plain_embedder(run, propose):
    for number in (propose(), propose()):
        run("model", "promote", number)
    assert run("model", "rollback").stdout == "Version 1 (adapter) is active now.\n"
    assert json.loads(run("model", "rollback", "--json").stdout) == {"active": None}
    assert "nothing to go back from" in run("model", "rollback", code=1).stderr


def test_the_plain_embedder_can_be_promoted(run, propose):
    run("model", "promote", propose())
    assert run("model", "promote", "plain").stdout == "The plain embedder is active now.\n"
    assert active(run) == []
    again = run("model", "promote", "plain")
    assert "nothing was changed" in again.stderr


def test_a_version_that_is_active_already_stays_and_the_message_says_so(run, propose):
    run("model", "promote", propose())
    again = run("model", "promote", 1)
    assert "nothing was changed" in again.stderr
    assert "Version 1" in again.stdout


def test_a_refused_version_needs_force_and_comes_with_a_warning(run, propose):
    propose("refused", report=REFUSED)
    said = run("model", "promote", 1, code=1).stderr
    assert "version 1 was rejected: -0.0200 nDCG@10" in said
    assert "--force" in said
    assert active(run) == []
    forced = run("model", "promote", 1, "--force")
    assert (
        forced.stderr == "Warning: version 1 was rejected: -0.0200 nDCG@10 on 60 held-out documents: it loses there.\n"
    )
    assert active(run) == [1]


def test_unknown_numbers_are_an_error_that_names_the_history(run):
    for version in ("9", "0"):
        assert f"no version {version}; `hybridstore model history`" in run("model", "promote", version, code=1).stderr
    assert "a version is a number, or 'plain'" in run("model", "promote", "newest", code=2).stderr


def test_a_version_for_other_vectors_is_rejected_and_says_for_which(run, propose):
    propose(embedder=NEW)
    said = run("model", "promote", 1, code=1).stderr
    assert NEW.fingerprint in said
    assert OLD.fingerprint in said
    assert active(run) == []


def test_a_version_that_is_another_embedder_brings_its_vectors_and_rollback_the_old_ones(run, db, propose):
    propose(kind="embedder", embedder=NEW)
    result = run("model", "promote", "--quiet")
    assert result.stdout == "Version 1 (embedder) is active now.\n"
    assert result.stderr == ""
    assert vectors_of(db) == NEW.fingerprint
    assert "`hybridstore model rollback` goes back" in run("model", "promote", "plain", code=1).stderr
    run("model", "rollback")
    assert vectors_of(db) == OLD.fingerprint
    assert active(run) == []


def test_an_embedder_whose_folder_is_gone_changes_nothing(run, db, propose):
    propose(kind="embedder", embedder=NEW, reference="/gone/models/1")
    said = run("model", "promote", 1, code=1).stderr
    assert "'/gone/models/1': no such folder and no such model; nothing was changed; restore its files" in said
    assert active(run) == []
    assert vectors_of(db) == OLD.fingerprint


def test_rolling_back_vectors_whose_embedder_is_gone_fails_and_changes_nothing(run, db, propose, loadable):
    run("model", "promote", propose(kind="embedder", embedder=NEW))
    del loadable["hashing-32"]
    said = run("model", "rollback", code=1).stderr
    assert "'hashing-32': no such folder and no such model; nothing was changed; restore its files" in said
    assert active(run) == [1]
    assert vectors_of(db) == NEW.fingerprint


def test_stopped_half_way_it_says_what_is_kept(run, propose, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    propose(kind="embedder", embedder=NEW)
    monkeypatch.setattr(Store, "reembed", stop)
    said = run("model", "promote", 1, code=130).stderr
    assert "Queries are answered as before, unless the change was complete" in said
    assert "the same command continues" in said


def test_drift_embeds_queries_with_another_embedder_over_the_existing_vectors(run, db):
    result = run("model", "drift", "hashing-48", "--quiet")
    said = r"Version 1 is active now: \d+% of the ten nearest neighbours stay the same, mean cosine 0\.\d\d, on "
    assert re.match(said, result.stdout)
    assert "on 24 held-out chunks" in result.stdout
    assert "`hybridstore reembed --embedder hashing-48` makes it exact" in result.stdout
    assert "`hybridstore model rollback` undoes it" in result.stdout
    assert vectors_of(db) == OLD.fingerprint
    assert re.search(r"^\* +1 +drift +active .*hashing-48 ", run("model", "history").stdout, re.MULTILINE)
    run("model", "rollback")
    assert active(run) == []


def test_a_map_that_keeps_too_little_is_rejected_with_exit_code_0(run):
    result = run("model", "drift", "unlike-16", "--sample", 110).stdout
    assert result.startswith("Rejected: ")
    assert "20% are needed. Nothing was changed, version 1 stays in the history" in result
    assert active(run) == []
    assert json.loads(run("model", "drift", "unlike-16", "--json").stdout)["state"] == "refused"


def test_drift_to_a_missing_or_the_same_model_is_an_error(run):
    assert "no such model" in run("model", "drift", "nowhere", code=1).stderr
    assert "so there is nothing to map" in run("model", "drift", "hashing-32", code=1).stderr
