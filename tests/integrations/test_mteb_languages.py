"""Which language a task's keyword index gets."""

import pytest

from hybridstore.integrations import mteb_languages
from hybridstore.integrations.mteb_languages import language_of
from hybridstore.text.analysis import LANGUAGES


@pytest.mark.parametrize(
    ("codes", "language"),
    [
        (["eng-Latn"], "english"),
        (["deu-Latn"], "german"),
        (["nob-Latn", "nno-Latn"], "norwegian"),
        (["rus-Cyrl"], "russian"),
        (["vie-Latn"], "none"),
        (["zho-Hans"], "english"),
        (["eng-Latn", "python-Code"], "english"),
        (["jpn-Jpan", "fra-Latn"], "french"),
        (["eng-Latn", "deu-Latn"], "none"),
        (["rus-Cyrl", "ell-Grek"], "english"),
        ([], "english"),
    ],
)
def test_the_languages_of_a_task_become_one_of_the_stores(codes, language):
    assert language_of(codes) == language
    assert language_of({"here": codes, "there": ["spa-Latn"]}, "here") == language


def test_a_subset_without_languages_is_taken_for_english():
    assert language_of({"here": ["spa-Latn"]}, "elsewhere") == "english"


def test_a_stemmer_that_is_not_installed_is_not_asked_for(monkeypatch):
    monkeypatch.setattr(mteb_languages, "LANGUAGES", ("none", "english"))
    assert language_of(["pol-Latn"]) == "none"
    assert language_of(["fas-Arab"]) == "english"


def test_every_stemmer_has_a_code():
    assert set(mteb_languages._STEMMED.values()) | {"none", "porter", "dutch_porter"} >= set(LANGUAGES)
    assert all(len(code) == 3 for code in mteb_languages._STEMMED)
