"""The Why panel: what it says is what the search did, and no text becomes markup."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from lxml import html

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.search.rank_fusion import adaptive, parts_of
from hybridstore.views.html_page import STATIC
from hybridstore.views.why import why, why_frame, why_page

WORDS = ("valve", "pump", "pressure", "inlet", "leak", "gauge", "seal")
# no closing quote, comment or CDATA section may end what it is put into
NASTY = "--> ]]> ' </title></style></textarea></script><script>alert('x')</script><img src=x onerror=alert(1)>\"&amp;"
FUSIONS = ("adaptive", "rrf", "idf-rrf", "convex")


@pytest.fixture(scope="module")
def store():
    with hs.open(":memory:", embedder=HashingEmbedder(64)) as store:
        for n in range(120):
            words = [WORDS[(n * step) % 7] for step in range(1, 2 + n % 5)]
            title = f"Note {n}" if n % 2 else ""
            store.add(hs.Document(id=f"note-{n}", title=title, text=f"{' '.join(words)} in hall {n % 11}, day {n}"))
        yield store


def values(store, query="leaking valve in hall 3", **options):
    return store.explain(query, **options).to_dict()


def parsed(fragment):
    return html.fromstring(fragment)


def texts(root, path):
    return [" ".join(each.text_content().split()) for each in root.findall(path)]


def other_weights(root):
    return json.loads(root.find(".//hs-weights/script").text)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_hit_is_there_with_the_sum_that_its_score_is(store, fusion):
    value = values(store, fusion=fusion)
    root = parsed(why(value))
    summaries = root.findall(".//li/details/summary")
    assert len(summaries) == len(value["hits"]) == 10
    for hit, summary, sum_ in zip(value["hits"], summaries, root.xpath(".//p[b][contains(., '=')]"), strict=True):
        assert summary.find("b").text == str(hit["rank"])
        assert summary.find("span").get("title") == hit["document_id"]
        assert summary.find("span").text.startswith(hit["title"] or hit["document_id"])
        assert summary.text_content().endswith(f"{hit['score']:.3f}")
        score, parts = sum_.text_content().split(" = ")
        assert score == f"{hit['score']:.3f}"
        assert sum(float(part.split()[0]) for part in parts.split(" + ")) == pytest.approx(hit["score"], abs=0.0011)


def test_passages_of_one_document_are_told_apart_by_their_headings(tmp_path):
    sections = "\n\n".join(f"## {word}\n\n" + f"The {word} leaks in hall {n}. " * 40 for n, word in enumerate(WORDS))
    with hs.open(tmp_path / "one.db", embedder=HashingEmbedder(64)) as store:
        store.add(hs.Document(id="manual", title="Manual", text=f"# Manual\n\n{sections}", format="markdown"))
        root = parsed(why(values(store, "leaking valve")))
    names = [each.text for each in root.xpath(".//summary/span[@class='hs-name']")]
    assert names[0].startswith("Manual › valve: # Manual ## valve The valve leaks in")
    assert {name.split(":")[0] for name in names} > {"Manual › valve", "Manual › leak"}


def test_what_the_words_of_a_hit_add_is_its_part_for_words(store):
    for evidence in values(store)["evidence"]:
        assert sum(word["adds"] for word in evidence["words"]) == pytest.approx(evidence["keyword"])


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("options", [{}, {"limit": 3}, {"min_relevance": 0.3}])
def test_other_weights_give_the_ranking_of_the_search_exactly_at_its_own(store, fusion, options):
    explanation = store.explain("leaking valve in hall 3", fusion=fusion, **options)
    other = explanation.other_weights
    ranked = sorted(other.candidates, key=lambda each: (-score(each, other.weights, other.scales), each.chunk_id))
    assert [each.chunk_id for each in ranked[: other.limit]] == [hit.chunk_id for hit in explanation.hits]
    parts = parts_of(explanation)
    fused = parts.ranking(parts.weights)
    if not options:
        assert fused.chunks.tolist() == explanation.fused.chunks.tolist()
        assert fused.scores.clip(0, 1).tolist() == explanation.fused.scores.clip(0, 1).tolist()


def score(candidate, weights, scales):
    total = 0.0
    for weight, value, scale in zip(weights, candidate.values, scales, strict=True):
        total += weight * value / scale
    return total


@pytest.mark.parametrize("share", [0.0, 0.17, 0.5, 0.83, 1.0])
def test_other_weights_rank_as_the_fusion_itself_would(store, share):
    explanation = store.explain("leaking valve in hall 3")
    other = explanation.other_weights
    ranked = sorted(other.candidates, key=lambda each: (-score(each, (share, 1 - share), other.scales), each.chunk_id))
    truth = adaptive(explanation.evidence, (share, 1 - share)).chunks[: other.limit]
    assert [each.chunk_id for each in ranked[: other.limit]] == truth.tolist()


def test_several_vector_legs_have_a_weight_and_a_line_each(tmp_path):
    own, added = HashingEmbedder(64), HashingEmbedder(32)
    with hs.open(tmp_path / "legs.db", embedder=own) as store:
        store.add(f"{WORDS[n % 7]} {WORDS[n % 5]} in hall {n}" for n in range(70))
        store.reembed(add=added)
        for fusion in FUSIONS:
            explanation = store.explain("leaking valve in hall 3", fusion=fusion)
            parts = parts_of(explanation)
            assert parts.ranking(parts.weights).chunks.tolist() == explanation.fused.chunks.tolist()
            drawings = parsed(why(explanation.to_dict())).xpath(".//svg[starts-with(@aria-label, 'ranks in each leg')]")
            assert len(drawings) == 2


@pytest.mark.parametrize("options", [{"mode": "keyword"}, {"mode": "vector"}, {"per_document": 1}])
def test_a_search_with_one_leg_or_a_selection_is_shown_too(store, options):
    value = values(store, **options)
    root = parsed(why(value))
    assert len(root.findall(".//summary")) == len(value["hits"]) + 1
    assert (root.find(".//hs-weights") is None) == ("mode" in options)
    if "mode" not in options:
        assert other_weights(root)["before"]


@pytest.mark.parametrize("query", ["the of", '"valve in hall"', 'valve -"hall 3"', "E4012 v1.2.3", "阀门", "x" * 3000])
@pytest.mark.parametrize("options", [{}, {"limit": 1}, {"min_relevance": 0.99}, {"diversity": 0.5, "unique": True}])
def test_any_search_can_be_shown(store, query, options):
    for value in (values(store, query, **options), store.search(query, **options).trace.to_dict()):
        json.dumps(value, allow_nan=False)
        assert len(parsed(why(value)).xpath(".//li/details")) == len(value["hits"])


def test_a_half_filled_store_says_which_meanings_are_estimated(tmp_path):
    with hs.open(tmp_path / "half.db", embedder=HashingEmbedder(64)) as store:
        store.add(f"{WORDS[n % 7]} in hall {n}" for n in range(80))
        with store.writer(embed=False) as writer:
            for n in range(30):
                writer.add(hs.Document(id=f"new-{n}", text=f"leaking {WORDS[n % 7]} beside hall {n}"))
        value = values(store, "leaking valve")
    assert any(evidence["estimated"] for evidence in value["evidence"])
    assert "its meaning is estimated from its words" in why(value)


def test_a_search_that_finds_nothing_says_so(store):
    assert "Nothing was found." in parsed(why(values(store, "zebra", mode="keyword"))).text_content()


def test_where_an_expected_document_was_lost_is_marked_and_what_brings_it_back(store):
    shown = {hit["document_id"] for hit in values(store)["hits"]}
    lost = next(f"note-{n}" for n in range(120) if f"note-{n}" not in shown)
    for expect, options, state in (
        (lost, {}, "ranked high enough"),
        (lost, {"where": {"year": 1}}, "passes the filter"),
        (min(shown), {}, None),
    ):
        value = values(store, expect=expect, **options)
        root = parsed(why(value))
        assert texts(root, ".//li[@class='hs-lost']") == ([] if state is None else [f"✗ {state}"])
        assert value["expected"]["story"] in texts(root, ".//div/p")
        calls = texts(root, ".//p/code")
        assert len(calls) == len(value["expected"]["remedies"])
        for call, remedy in zip(calls, value["expected"]["remedies"], strict=True):
            assert call == ", ".join(f"{name}={change!r}" for name, change in remedy.items())


def test_hostile_text_stays_text_in_every_place(tmp_path):
    with hs.open(tmp_path / "nasty.db", embedder=HashingEmbedder(32)) as store:
        for n in range(12):
            store.add(hs.Document(id=f"{n}{NASTY}", title=NASTY * (n % 2), text=f"{NASTY} leak\x00\x1b {n}"))
        value = values(store, f"leak {NASTY}", expect=f"3{NASTY}")
    value["notes"], value["query"] = [f"\ud800 {NASTY}"], f"\udfff\x08 {NASTY}"
    for page in (why_page(value), why_page(value | {"terms": [term | {"word": NASTY} for term in value["terms"]]})):
        page.encode("utf-8")
        root = html.document_fromstring(page.replace("\n", " "))
        assert [each.get("type") for each in root.iter("script")] == ["module", "application/json"]
        assert not list(root.iter("img"))
        assert not [name for each in root.iter() for name in each.attrib if name.startswith("on")]
        assert NASTY in root.find(".//h1").text
        assert "alert('x')" in other_weights(root)["candidates"][0]["text"]


def test_the_page_allows_only_its_own_style_and_module(store):
    root = html.document_fromstring(why_page(values(store)))
    policy = root.find(".//meta[@http-equiv]").get("content")
    assert policy.startswith("default-src 'none'")
    assert policy.count("sha256-") == 2
    assert "unsafe" not in policy
    assert not root.xpath("//@style | //@src | //link | //a[starts-with(@href, 'http')]")


def test_a_notebook_gets_the_panel_in_a_frame_of_its_own(store):
    explanation = store.explain("leaking valve")
    frame = html.fromstring(explanation._repr_html_())
    assert frame.tag == "iframe"
    assert frame.get("srcdoc").replace("\r", "") == why_page(explanation.to_dict())
    assert html.fromstring(store.search("leaking valve").trace._repr_html_()).get("sandbox") == "allow-scripts"
    assert why_frame(explanation.to_dict()) == explanation._repr_html_()


def run_module(store, shares):
    """Return what the browser's module ranks at each share of the words, and the values that it read."""
    explanation = store.explain("leaking valve in hall 3")
    data = other_weights(parsed(why(explanation.to_dict())))
    script = (
        "globalThis.HTMLElement = class {};"
        f"const {{ranking, shared}} = await import({json.dumps((STATIC / 'weights.js').as_uri())});"
        f"const data = {json.dumps(data)};"
        f"const all = {json.dumps(shares)}.map((words) => words === null ? data.weights : shared(data, words));"
        "console.log(JSON.stringify(all.map((weights) => ranking(data, weights).map(({chunk}) => chunk))));"
    )
    node = [shutil.which("node"), "--input-type=module", "--no-warnings", "-e", script]
    return explanation, json.loads(subprocess.run(node, capture_output=True, check=True, timeout=60).stdout)


@pytest.mark.skipif(shutil.which("node") is None, reason="no node is installed to run the module with")
def test_the_module_ranks_as_the_store_does_at_its_weights_and_at_others(store):
    shares = np.linspace(0, 1, 21).tolist()
    explanation, (own, *others) = run_module(store, [None, *shares])
    assert own == [hit.chunk_id for hit in explanation.hits]
    total = sum(explanation.weights)
    for words, ranked in zip(shares, others, strict=True):
        assert ranked == adaptive(explanation.evidence, (words * total, (1 - words) * total)).chunks[:10].tolist()


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium is installed to open the page in")
def test_a_browser_runs_the_page_under_its_own_policy(store, tmp_path):
    explanation = store.explain("leaking valve in hall 3")
    (tmp_path / "why.html").write_text(why_page(explanation.to_dict()), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--dump-dom"]
    command = ["chromium", *options, f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "why.html").as_uri()]
    dom = html.document_fromstring(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)
    rows = [int(row.get("data-chunk")) for row in dom.findall(".//hs-weights/ol/li")]
    assert rows == [hit.chunk_id for hit in explanation.hits]
    assert dom.find(".//hs-weights/input").get("aria-valuetext").startswith("Words ")
