"""Why a hit is where it is, and where an expected document was lost."""

from lxml import html


def page(client, **parameters):
    answer = client.get("/why", params=parameters)
    assert answer.status_code == 200, answer.text
    return html.fromstring(answer.text)


def test_a_hit_leads_to_its_evidence_which_is_open(client):
    results = html.fromstring(client.get("/?q=valve hall").text)
    link = results.cssselect(".hit a.why")[1].get("href")
    found = html.fromstring(client.get(link).text)
    opened = found.cssselect(".hs-hits details[open] .hs-name")
    assert [each.text_content() for each in opened] == [results.cssselect(".hit h2")[1].text_content()]
    assert found.cssselect("hs-weights")
    assert "Hostile <script>" in found.text_content()
    assert not list(found.iter("img"))


def test_an_expected_document_is_followed_by_id_file_or_title(client):
    for name in ("/notes/ops/pump.md", "pump.md", "Pump P-101"):
        found = page(client, q="inlet", expect=name)
        assert "Pump P-101" in found.cssselect(".hs-expected")[0].text_content()
    choices = page(client, q="inlet", expect=".md").cssselect("#expected a")
    assert choices == []
    assert "No document is called" in page(client, q="inlet", expect="zzz").cssselect("#expected")[0].text_content()
    several = page(client, q="inlet", expect="a").cssselect("#expected a")
    assert len(several) > 1
    assert html.fromstring(client.get(several[0].get("href")).text).cssselect(".hs-expected")


def test_an_expected_document_is_kept_as_a_test_that_runs_and_is_dropped(client):
    form = page(client, q="inlet", expect="pump.md").cssselect("form[action='/learning/expect']")[0]
    kept = html.fromstring(client.post("/learning/expect", data=dict(form.form_values())).text)
    assert "'inlet': /notes/ops/pump.md is at rank 4" in kept.cssselect(".notice")[0].text_content()
    assert "among the first 10" in kept.cssselect("#tests ~ ul li")[0].text_content()
    run = html.fromstring(client.get(kept.cssselect("#tests ~ p a")[0].get("href")).text)
    assert "holds, at rank 4" in run.cssselect("#tests ~ ul li")[0].text_content()
    drop = run.cssselect("form[action='/learning/drop']")[0]
    dropped = html.fromstring(client.post("/learning/drop", data=dict(drop.form_values())).text)
    assert not dropped.cssselect("#tests")
    assert client.post("/learning/expect", data={"query": " ", "document_id": "/notes/ops/pump.md"}).status_code == 422
    assert client.post("/learning/expect", data={"query": "inlet", "document_id": "nothing"}).status_code == 422


def test_the_filters_of_the_search_hold_for_its_explanation(client):
    found = page(client, **{"q": "valve", "f.team": "operations"})
    assert len(found.cssselect(".hs-hits > li")) == 1
    assert {"f.team"} <= {each.get("name") for each in found.cssselect(".expect input")}


def test_a_query_without_words_is_refused_in_a_sentence(client):
    answer = client.get("/why", params={"q": "?"})
    assert answer.status_code == 422
    assert "There is nothing to search for" in answer.text
