"""Rewriting: when a language model is asked, what its answer counts, and that it never fails a search."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.search.rewriting import from_reply

TEXTS = {
    "pump": "The centrifugal pump leaks at its seal.",
    "valve": "Replace the gasket of the relief valve each spring.",
    "menu": "Soup of onions with bread.",
    "ferry": "The ferry leaves at noon.",
}
QUESTION = "what do I swap every year"


@pytest.fixture
def store():
    with hs.open(":memory:", embedder=HashingEmbedder(64)) as store:
        store.add([hs.Document(id=name, text=text) for name, text in TEXTS.items()])
        store.add([f"Table {n} and chair {n} stood in hall {n}." for n in range(60)])
        yield store


@pytest.fixture
def endpoint():
    """An endpoint that replies with `reply`, after `pause` seconds, and remembers what it was sent."""

    class Handler(BaseHTTPRequestHandler):
        reply, status, pause, sent = "", 200, 0.0, []

        def do_POST(self):
            self.sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            time.sleep(self.pause)
            if self.pause:
                return
            body = json.dumps({"choices": [{"message": {"content": self.reply}}]}).encode()
            self.send_response(self.status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    Handler.sent = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    Handler.url = f"http://127.0.0.1:{server.server_port}/v1"
    yield Handler
    server.shutdown()
    server.server_close()


def asking(endpoint, **options):
    return hs.Rewrite(hs.Endpoint(endpoint.url, "small"), **options)


def test_a_model_at_an_endpoint_is_asked_and_its_answer_is_further_evidence(store, endpoint):
    endpoint.reply = (
        'Sure: {"thought": "maintenance", "keywords": ["gasket", "valve"], "answer": "Replace the gasket."}'
    )
    plain = store.search(QUESTION, limit=50)
    rewrite = asking(endpoint)
    results = store.search(QUESTION, limit=50, rewrite=rewrite)
    ranks = [[hit.document_id for hit in found].index("valve") for found in (plain, results)]
    assert ranks[1] < ranks[0]
    (sent,) = endpoint.sent
    assert sent["messages"][0]["content"].endswith(f"Question: {QUESTION}")
    assert not any(text in json.dumps(sent) for text in TEXTS.values())
    rewriting = results.trace.rewriting
    assert {text.kind for text in rewriting.texts} == {"keywords", "meaning", "answer"}
    assert all(0 <= text.share <= rewrite.weight / 3 and 0 <= text.agreement <= 1 for text in rewriting.texts)
    assert sum(text.share for text in rewriting.texts) <= rewrite.weight
    assert rewrite.counts.to_dict() | {"seconds": 0} == {
        "searches": 1,
        "asked": 1,
        "saved": 0,
        "failed": 0,
        "seconds": 0,
    }


def test_the_store_decides_whether_to_ask_and_counts_what_it_saved(store):
    asked = []
    rewrite = hs.Rewrite(lambda question: asked.append(question) or "gasket")
    sure, unsure = TEXTS["menu"], QUESTION
    results = store.search(sure, rewrite=rewrite)
    assert asked == []
    assert list(results) == list(store.search(sure))
    assert not results.trace.rewriting.asked
    assert "agree on the first passage" in results.trace.rewriting.reason
    store.search(unsure, rewrite=rewrite)
    store.search(sure, rewrite=hs.Rewrite(rewrite.rewriter, always=True))
    assert asked == [unsure, sure]
    assert (rewrite.counts.searches, rewrite.counts.saved) == (2, 1)


@pytest.mark.parametrize(
    ("rewriter", "why"),
    [
        (lambda _: 1 / 0, "ZeroDivisionError"),
        (lambda _: {"thoughts": "x"}, "rewrites have no thoughts"),
        (lambda _: " ? ", "nothing to search for"),
        (lambda _: 7, "a rewriter returns"),
        (lambda _: [1], "rewrites are texts"),
        (lambda _: time.sleep(1), "no answer within 0.05 s"),
    ],
)
def test_a_rewriter_that_fails_never_fails_a_search(store, rewriter, why):
    rewrite = hs.Rewrite(rewriter, seconds=0.05 if "0.05" in why else 5.0)
    results = store.search(QUESTION, rewrite=rewrite)
    assert list(results) == list(store.search(QUESTION))
    assert why in results.trace.rewriting.error
    assert why in results.notes[-1]
    assert rewrite.counts.failed == 1


def test_an_endpoint_that_is_slow_broken_or_away_never_fails_a_search(store, endpoint):
    plain = list(store.search(QUESTION))
    endpoint.pause = 0.5
    slow = store.search(QUESTION, rewrite=asking(endpoint, seconds=0.1))
    endpoint.pause, endpoint.status = 0.0, 500
    broken = store.search(QUESTION, rewrite=asking(endpoint))
    away = store.search(QUESTION, rewrite=hs.Endpoint("http://127.0.0.1:9/v1", "small"))
    assert [list(each) for each in (slow, broken, away)] == [plain] * 3
    assert "500" in broken.trace.rewriting.error
    assert "cannot be reached" in away.trace.rewriting.error
    assert len(endpoint.sent) == 2  # a failed call is not repeated


def test_texts_of_a_calling_agent_are_taken_as_they_are(store):
    texts = {"keywords": "gasket valve", "answer": "Replace the gasket of the valve."}
    results = store.search(QUESTION, rewrite=texts)
    assert "valve" in results[:3]
    assert not results.trace.rewriting.asked
    assert list(results) == list(store.search(QUESTION, rewrite=hs.Rewrites(**texts)))
    assert "valve" not in store.search(QUESTION, rewrite=texts, exclude=["gasket"], limit=60)
    assert "valve" not in store.search(QUESTION, rewrite=texts, where={"@id": "menu"}, limit=60)


def test_a_rewrite_that_leads_elsewhere_counts_little(store):
    question = "does the centrifugal pump leak"
    led = store.search(question, rewrite=hs.Rewrites(answer="Ferries leave at noon."))
    near = store.search(question, rewrite=hs.Rewrites(answer="The pump leaks at its centrifugal seal."))
    assert (led[0].document_id, near[0].document_id) == ("pump", "pump")
    away, at_it = led.trace.rewriting.texts[0], near.trace.rewriting.texts[0]
    assert away.agreement < 0.5 < at_it.agreement
    assert away.share < at_it.share


def test_an_explanation_says_what_a_rewrite_counts_and_why_none_was_asked_for(store):
    written = str(store.explain(QUESTION, rewrite=hs.Rewrites(keywords="gasket")))
    assert "Rewrites were passed." in written
    assert "The keywords counts" in written or "The keywords count" in written
    assert "rank 1 for the keywords" in written
    assert "No rewrites were asked for: words and meaning agree" in str(store.explain(TEXTS["menu"], rewrite=str.upper))


def test_an_explanation_of_a_lost_document_asks_a_model_once(store):
    asked = []

    def rewriter(question):
        asked.append(question)
        return {"keywords": "gasket", "questions": "swap the gasket"}

    explained = store.explain(QUESTION, rewrite=rewriter, expect="ferry", limit=1)
    assert explained.expected.lost is not None
    assert explained.expected.remedies
    assert len(asked) == 1


def test_words_alone_can_be_rewritten():
    with hs.open(":memory:", embedder="none") as store:
        store.add([hs.Document(id=name, text=text) for name, text in TEXTS.items()])
        assert "valve" in store.search(QUESTION, rewrite=lambda _: "gasket")


@pytest.mark.parametrize(
    "options",
    [{"hops": 2}, {"mode": "keyword"}, {"fusion": "rrf"}, {"around": lambda _: ()}, {"syntax": "algebra"}],
    ids=lambda options: next(iter(options)),
)
def test_rewrites_are_for_plain_questions(store, options):
    with pytest.raises(hs.InputError, match="rewrite"):
        store.search("soup", rewrite=hs.Rewrites(keywords="onion"), **options)


@pytest.mark.parametrize(
    "make",
    [
        hs.Rewrites,
        lambda: hs.Rewrites(keywords=3),
        lambda: hs.Rewrite("gasket"),
        lambda: hs.Rewrite(str, seconds=0),
        lambda: hs.Rewrite(str, weight=2.0),
    ],
)
def test_invalid_rewrites_are_errors(make):
    with pytest.raises(hs.InputError):
        make()


def test_a_reply_is_read_whatever_surrounds_its_json():
    assert from_reply("q", '```json\n{"keywords": "a b", "answer": ["c", "d"]}\n```').keywords == "a b"
    assert from_reply("q", "Plain words.").answer == "Plain words."
    assert from_reply("q", '{"thought": "t"}').meaning == "t q"
    assert from_reply("q", '[{"answer": "c"}]').answer == "c"
    with pytest.raises(hs.InputError):
        from_reply("q", "{}")
