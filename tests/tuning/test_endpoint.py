"""An endpoint is asked over the wire: a server of our own stands in for it and remembers what it was sent."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.endpoint import KEY_VARIABLE, Endpoint
from hybridstore.errors import InputError, ModelUnavailable
from hybridstore.tuning.endpoint import EndpointJudge, from_endpoint
from hybridstore.tuning.false_negatives import Candidate

TEXTS = {"soup": "Onion soup takes an hour.", "bread": "Bread is baked at night.", "tea": "Tea takes three minutes."}


class Server:
    """Sends the given replies in turn, the last one for ever: a text, (status, body, headers), None to hang up."""

    def __init__(self):
        self.replies, self.bodies, self.headers, self.paths = ["fine"], [], [], []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                server.headers.append(dict(self.headers))
                server.paths.append(self.path)
                reply = server.replies.pop(0) if len(server.replies) > 1 else server.replies[0]
                if reply is None:
                    self.close_connection = True
                    return
                status, body, headers = (200, said(reply), {}) if isinstance(reply, str) else reply
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def endpoint(self, **options):
        return Endpoint(self.url, "writer", **({"pause": 0.0, "timeout": 10.0} | options))

    def close(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


def said(text):
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]})


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    server = Server()
    yield server
    server.close()


@pytest.fixture
def store(tmp_path):
    with hs.open(tmp_path / "kitchen.db", embedder="none") as store:
        store.add([hs.Document(id=name, title=name.title(), text=text) for name, text in TEXTS.items()])
        yield store


# The wire


def test_a_prompt_goes_out_as_a_chat_completion_and_the_reply_comes_back(server):
    assert server.endpoint().complete("Say fine.") == "fine"
    assert server.paths == ["/v1/chat/completions"]
    (body,) = server.bodies
    assert body["model"] == "writer"
    assert body["messages"] == [{"role": "user", "content": "Say fine."}]
    assert "Authorization" not in server.headers[0]


def test_the_key_comes_from_the_environment_and_is_never_shown(server, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "from-outside")
    server.endpoint().complete("a")
    server.endpoint(key="given").complete("a")
    assert [headers["Authorization"] for headers in server.headers] == ["Bearer from-outside", "Bearer given"]
    assert "given" not in repr(server.endpoint(key="given"))


def test_a_busy_server_is_retried(server):
    server.replies = [(503, "later", {}), (429, "{}", {"Retry-After": "0"}), None, "at last"]
    assert server.endpoint().complete("a") == "at last"
    assert len(server.bodies) == 4


def test_pauses_grow_and_the_server_may_ask_for_longer_ones(server, monkeypatch):
    pauses = []
    monkeypatch.setattr("hybridstore.endpoint.time.sleep", pauses.append)
    server.replies = [
        (500, "", {}),
        (500, "", {}),
        (429, "", {"Retry-After": "7"}),
        (429, "", {"Retry-After": "999"}),
        "x",
    ]
    server.endpoint(pause=1.0).complete("a")
    assert pauses == [1.0, 2.0, 7.0, 60.0]


def test_a_server_that_stays_busy_raises_its_message(server):
    server.replies = [(503, '{"error": {"message": "loading the model"}}', {})]
    with pytest.raises(ModelUnavailable, match=r"503 \(loading the model\)"):
        server.endpoint(attempts=3).complete("a")
    assert len(server.bodies) == 3


@pytest.mark.parametrize(("status", "remedy"), [(401, KEY_VARIABLE), (404, "model's name"), (400, "400")])
def test_a_permanent_error_is_raised_at_once_with_a_remedy(server, status, remedy):
    server.replies = [(status, '{"error": "no"}', {})]
    with pytest.raises(ModelUnavailable, match=remedy):
        server.endpoint().complete("a")
    assert len(server.bodies) == 1


def test_a_redirect_takes_neither_text_nor_key_elsewhere(server):
    server.replies = [(302, "", {"Location": f"{server.url}/elsewhere"})]
    with pytest.raises(ModelUnavailable, match="302"):
        server.endpoint(key="secret").complete("a")
    assert len(server.paths) == 1


@pytest.mark.parametrize("body", ["<html>", "{}", '{"choices": []}', '{"choices": [{"message": {"content": null}}]}'])
def test_a_reply_in_another_format_is_an_error(server, body):
    server.replies = [(200, body, {})]
    with pytest.raises(ModelUnavailable, match="repl"):
        server.endpoint().complete("a")


def test_an_unreachable_endpoint_is_reported():
    closed = Server()
    closed.close()
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        closed.endpoint(attempts=2).complete("a")


@pytest.mark.parametrize("url", ["", "localhost:8000", "file:///etc/passwd", "http://", "http://[1"])
def test_an_invalid_url_is_rejected(url):
    with pytest.raises(InputError, match="an endpoint is a URL"):
        Endpoint(url, "writer")


def test_a_model_must_be_named():
    with pytest.raises(InputError, match="--model"):
        Endpoint("http://localhost/v1", "")


# Questions


def test_questions_come_with_the_chunk_that_was_sent(server, store):
    server.replies = ['Here they are:\n```json\n["How long?", "how  much?"]\n```']
    found = list(from_endpoint(store, server.endpoint(), most=4))
    assert [question.text for question in found] == ["How long?", "how much?"] * 2
    for question, body in zip(found[::2], server.bodies, strict=True):
        (passage,) = store.chunks.passages([question.positive])
        assert passage.text in body["messages"][0]["content"]
        assert passage.title in body["messages"][0]["content"]
        assert (question.kind, question.origin) == ("endpoint", question.positive)


def test_no_more_passages_are_sent_than_are_needed(server, store):
    server.replies = ['["a b c?", "d e f?", "g h i?"]']
    assert len(list(from_endpoint(store, server.endpoint(), most=3))) == 3
    assert len(server.bodies) == 2


def test_lines_are_read_where_there_is_no_list_and_a_reply_without_questions_returns_none(server, store):
    server.replies = ["1. How long?\n- Is it hot?\nThat is all.", "I cannot help with that.", "[1, 2]"]
    found = [question.text for question in from_endpoint(store, server.endpoint(), most=6)]
    assert found == ["How long?", "Is it hot?"]


def test_the_same_seed_sends_the_same_passages(server, store):
    server.replies = ['["a?"]']
    for seed in (1, 1, 2, 3, 4, 5):
        list(from_endpoint(store, server.endpoint(), most=1, per_chunk=1, seed=seed))
    sent = [body["messages"][0]["content"] for body in server.bodies]
    assert sent[0] == sent[1]
    assert len(set(sent)) > 1


def test_asking_for_no_questions_is_rejected(server, store):
    with pytest.raises(InputError, match="at least 1"):
        list(from_endpoint(store, server.endpoint(), most=0))


# Judging


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [("no", "no"), ("Answers.", "answers"), ("**better**", "better"), ("who knows", "answers"), ("nothing", "answers")],
)
def test_the_judge_reads_one_word_and_doubts_where_there_is_none(server, reply, verdict):
    server.replies = [reply]
    seen = [
        Candidate(chunk=n, document_id=str(n), text=text, score=0.5, vector=np.zeros(2, np.float32))
        for n, text in enumerate(("It takes an hour.", "It takes a day."))
    ]
    assert EndpointJudge(server.endpoint())(SimpleNamespace(query="how long?"), *seen) == verdict
    content = server.bodies[0]["messages"][0]["content"]
    assert content.index("how long?") < content.index("an hour") < content.index("a day")
