"""A store at a glance: what is drawn is what is stored, and no text becomes markup."""

import json
import math
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

import hybridstore as hs
from hybridstore.backends.learning import ModelVersion
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.memory import Memory
from hybridstore.serving import overview
from hybridstore.serving.passage_map import layout, placed, regions
from hybridstore.views import glance, past
from hybridstore.views.store_page import store_page

NASTY = "--> ]]> ' </title></style></script><script>alert('x')</script><img src=x onerror=alert(1)>\"&amp;"
TOPICS = ("valve pressure leak pump", "bread flour oven yeast", "note chord guitar melody")
OVERALL = {"mean_a": 0.5, "mean_b": 0.6, "difference": 0.1, "low": 0.04, "high": 0.16, "n": 30}


def documents():
    for n in range(90):
        words = TOPICS[n % 3].split()
        text = " ".join(words[(n * step) % 4] for step in range(1, 5)) + f" number {n}"
        facts = {
            "topic": str(n % 3),
            "lang": "en" if n % 2 else "de",
            "date": f"20{20 + n % 4}-05-01",
            "serial": f"s{n}",
        }
        yield hs.Document(id=f"d{n}", title=f"Text {n}", text=text, metadata=facts)


@pytest.fixture(scope="module")
def store():
    with hs.open(":memory:", embedder=HashingEmbedder(64), log_queries=True) as store:
        store.add(documents())
        memory = Memory(store, namespace="user/42")
        for text, id_, day in (
            ("Anna lives in Paris", "home", "2026-01-10"),
            ("Anna lives in Rome", "home", "2026-03-01"),
            ("Anna likes tea", "tea", "2026-02-01"),
        ):
            memory.remember(text, id=id_, occurred_at=day)
        memory.remember([{"role": "user", "content": "Hello there"}], session="chat")
        for query in ("valve leak", "valve leak", "zebra"):
            store.search(query)
        report = {"verdict": {"accepted": True, "reason": "better by 0.1", "overall": OVERALL, "questions": 60}}
        version = ModelVersion(kind="adapter", source="a@1", target="a@1", reference="a", report=report)
        store.learning.propose(version)
        store.learning.propose(replace(version, state="refused", report={}))
        yield store


def parsed(fragment):
    return html.fromstring(str(fragment))


def rows(root, path=".//tbody/tr"):
    return [[cell.text_content().strip() for cell in row] for row in root.findall(path)]


def test_contents_counts_documents_by_kind_language_year_and_what_else_says_a_kind(store):
    value = overview.contents(store, check=True)
    counts = {field["name"]: dict(field["counts"]) for field in value["fields"]}
    assert counts["kind"] == {"text": 90, "note": 3, "turn": 1}
    assert counts["language"] == {"en": 45, "de": 45}
    assert [*counts["year"]] == ["2020", "2021", "2022", "2023"]
    assert counts["topic"] == {"0": 30, "1": 30, "2": 30}
    assert "serial" not in counts
    root = parsed(glance.contents(value))
    assert ["en", "", "45"] in rows(root)
    said = " ".join(root.text_content().split())
    assert "94 documents" in said
    assert "✓ what is stored is what was written" in said
    assert "not run" in glance.contents(overview.contents(store))


def test_contents_says_what_is_still_to_be_embedded_and_what_a_check_found(store):
    value = overview.contents(store) | {
        "without_vectors": 7,
        "problems": [{"what": "pages", "count": 1, "repaired": False}],
    }
    said = " ".join(parsed(glance.contents(value)).text_content().split())
    assert "7 passages still to be embedded" in said
    assert "✗ 1 pages" in said


def test_of_a_large_store_documents_are_counted_that_are_spread_over_it(store, monkeypatch):
    monkeypatch.setattr(overview, "MOST", 30)
    value = overview.contents(store)
    assert (value["looked_at"], value["of"]) == (30, 94)
    assert "Counted in 30 of 94 documents" in glance.contents(value)
    assert len(overview.passage_map(store)["points"]) == 30


def test_contents_of_an_empty_store_without_vectors():
    with hs.open(":memory:", embedder="none") as store:
        page = store_page(
            overview.contents(store, check=True),
            overview.passage_map(store),
            overview.memory(store),
            overview.learning(store),
        )
    said = html.document_fromstring(page).text_content()
    for sentence in (
        "no vectors: only words are searched",
        "no passage has a vector yet",
        "Nothing was kept",
        "Nothing yet",
    ):
        assert sentence in said


def test_a_map_keeps_neighbours_that_two_components_lose():
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(12, 48))
    vectors = (centres[np.arange(240) % 12] + 0.35 * rng.normal(size=(240, 48))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    points = layout(vectors)
    assert points.shape == (240, 2)
    assert points.min() >= 0.0
    assert points.max() <= 1.0
    distances = ((points[:, None] - points) ** 2).sum(axis=2)
    nearest = distances.argsort(axis=1)[:, 1:8] % 12
    assert (nearest == (np.arange(240) % 12)[:, None]).mean() > 0.95
    assert (layout(vectors) == points).all()
    again = placed(vectors[:12], vectors, points)
    assert np.abs(again - points[:12]).max() < 0.1


@given(count=st.integers(0, 12), seed=st.integers(0, 9), same=st.booleans())
def test_any_vectors_have_a_place(count, seed, same):
    vectors = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    if same:
        vectors[:] = vectors[:1]
    points = layout(vectors)
    assert points.shape == (count, 2)
    assert np.isfinite(points).all()


def test_regions_are_named_by_the_words_that_set_them_apart():
    points = np.repeat([[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]], 30, axis=0) + np.arange(90)[:, None] * 1e-4
    texts = [f"the {topic}" for topic in TOPICS for _ in range(30)]
    named = regions(points, texts, lambda words: [word for word in words if word == "the"])
    assert len(named) == 4
    assert all(any(set(words.split(" · ")) < set(topic.split()) for topic in TOPICS) for _, words in named)
    assert regions(points[:5], texts[:5], lambda _: ()) == []


def test_the_map_has_every_passage_its_colours_and_the_query_with_its_hits(store):
    hits = store.search("valve leak", limit=5)
    value = overview.passage_map(store, query="valve leak", hits=hits)
    root = parsed(glance.passage_map(value))
    assert sum(path.get("d").count("h0") for path in root.xpath(".//path[contains(@class, 'hs-dots')]")) == 94
    assert [text.text for text in root.xpath(".//text[@class='hs-number']")] == ["1", "2", "3", "4", "5"]
    circles = [(float(each.get("cx")), float(each.get("cy"))) for each in root.xpath(".//circle[@class='hs-hit']")]
    assert min(math.dist(one, other) for one in circles for other in circles if one is not other) > 16
    assert len(root.xpath(".//path[@class='hs-query']")) == 1
    data = json.loads(root.find(".//hs-map/script").text)
    assert data["documents"][0] == "d0"
    assert data["names"][0] == "Text 0"
    assert [*data["fields"]] == [*value["fields"]]
    assert data["fields"]["topic"][:3] == ["0", "1", "2"]
    at = dict(zip(value["documents"], value["points"], strict=True))
    for hit in value["hits"]:
        assert np.abs(np.array(hit["at"]) - at[hit["document_id"]]).max() < 0.3


def test_the_timeline_shows_facts_with_what_they_replaced(store):
    value = overview.memory(store)
    assert value["turns"] == 1
    root = parsed(past.timeline(value))
    facts = [
        [" ".join(each.text_content().split()) for each in fact.findall("ol/li")] for fact in root.findall(".//ul/li")
    ]
    assert facts == [
        ["Anna lives in Rome 2026-03-01", "Anna lives in Paris 2026-01-10 to 2026-03-01"],
        ["Anna likes tea 2026-02-01"],
    ]
    assert [each.text for each in root.findall(".//h3")] == ["user/42"]
    assert len(root.findall(".//svg")) == 2
    assert overview.memory(store, {"memory.in": "another"})["notes"] == []


def test_notes_that_replace_one_another_in_a_circle_are_one_fact():
    notes = [
        {
            "id": id_,
            "text": id_,
            "namespace": [],
            "supersedes": [other],
            "superseded_by": other,
            "valid_from": "2026-01-01T00:00:00+00:00",
        }
        for id_, other in (("a", "b"), ("b", "a"), ("c", "gone"))
    ]
    root = parsed(past.timeline({"notes": notes, "turns": 0, "now": "2026-02-01T00:00:00+00:00"}))
    assert [len(fact.findall("ol/li")) for fact in root.findall(".//ul/li")] == [2, 1]


def test_learning_shows_verdicts_as_intervals_and_the_queries_that_found_nothing(store):
    value = overview.learning(store)
    assert [model["number"] for model in value["models"]] == [2, 1]
    root = parsed(past.learning(value))
    assert len(root.xpath(".//svg//circle")) == 1
    assert "better by 0.1" in root.text_content()
    assert [row[0] for row in rows(root, ".//table/tbody/tr")][-2:] == ["valve leak", "zebra"]
    assert [each["confidence"] is None for each in value["queries"]] == [False, False]
    low = value | {"queries": [{"query": "zebra", "times": 3, "last": "", "confidence": 0.1}]}
    assert "Probably not answered here" in past.learning(low)


def test_hostile_text_stays_text_in_every_view():
    with hs.open(":memory:", embedder=HashingEmbedder(32), log_queries=True) as store:
        for n in range(40):
            facts = {
                "kind of": NASTY[:30] + str(n % 3),
                NASTY: f"<b>{n % 2}",
                "path": f"{NASTY}/{n % 3}/x.md",
                "type": f"<i>{n % 2}",
            }
            store.add(hs.Document(id=f"{n}{NASTY}", title=NASTY * (n % 2), text=f"{NASTY} leak {n}", metadata=facts))
        Memory(store, namespace=NASTY).remember(f"{NASTY} is true", occurred_at="2026-01-01")
        store.search(NASTY)
        report = {"verdict": {"reason": NASTY, "overall": OVERALL}}
        store.learning.propose(ModelVersion(kind="adapter", source=NASTY, target="a", reference="a", report=report))
        page = store_page(
            overview.contents(store)
            | {"name": NASTY, "advice": NASTY, "problems": [{"what": NASTY, "count": 1, "repaired": True}]},
            overview.passage_map(store, query=NASTY, hits=store.search("leak")),
            overview.memory(store),
            overview.learning(store),
        )
    root = html.document_fromstring(page)
    assert [each.get("type") for each in root.iter("script")] == ["module"] * 2 + ["application/json"] * 2
    assert not list(root.iter("img", "i"))
    assert not [name for each in root.iter() for name in each.attrib if name.startswith("on")]
    assert root.text_content().count("alert('x')") > 5


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium is installed to open the page in")
def test_a_browser_runs_the_modules_under_the_policy_of_the_page(store, tmp_path):
    page = store_page(
        overview.contents(store), overview.passage_map(store), overview.memory(store), overview.learning(store)
    )
    (tmp_path / "store.html").write_text(page, encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--dump-dom"]
    command = ["chromium", *options, f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "store.html").as_uri()]
    dom = html.document_fromstring(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)
    assert [option.get("value") for option in dom.findall(".//hs-map//option")] == [
        *overview.passage_map(store)["fields"]
    ]
    assert dom.find(".//hs-timeline/p").text == "Now: 2 facts hold."
