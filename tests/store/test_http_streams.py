"""What answers at an address to exchange with may be anything: a page, a proxy, or a server that goes away."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import hybridstore as hs
from hybridstore.errors import FileRefused
from hybridstore.store.http_streams import ServerStreams


@contextmanager
def answering(*answers):
    """Serve these (status, body) in turn, then break each connection off; yield the address."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if not left:
                self.close_connection = True
                return
            status, body = left.pop(0)
            self.send_response(status)
            self.send_header("Location", "https://box.example/")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_DELETE = do_POST  # noqa: N815 - as the server calls it

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([(200, b"<html>Sign in</html>")], "something else than an exchange"),
        ([(200, b'{"ok": true}')], "something else than an exchange"),
        ([(201, b"[1, 2]")], "something else than an exchange"),
        ([(200, b"[" * 100_000)], "something else than an exchange"),
        ([(301, b"")], "use the address that it leads to"),
        ([(404, b"no such page")], "has no exchange there"),
        ([(500, b"oops")], "answered 500; is it `hybridstore serve --exchange`"),
        ([], "cannot be reached"),
        ([(201, b'{"exchange": "x"}')], "has gone .*; exchange again"),
    ],
)
def test_what_is_no_exchange_or_goes_away_is_said_in_a_sentence(answers, sentence):
    with hs.open(":memory:", embedder="none") as store, answering(*answers) as address:
        store.add("Meet at nine.")
        with pytest.raises(FileRefused, match=sentence):
            store.exchange(address)
        assert store.count() == 1


def test_a_message_of_any_length_is_sent_in_parts(monkeypatch):
    monkeypatch.setattr("hybridstore.store.http_streams._PART", 4)
    streams, sent = ServerStreams("http://box.example/"), []
    monkeypatch.setattr(streams, "_ask", lambda _, body: sent.append(body) or b"")
    streams.write(memoryview(bytes(range(250)) * 100))
    assert b"".join(sent) == bytes(range(250)) * 100
    assert {len(body) for body in sent} == {4}
