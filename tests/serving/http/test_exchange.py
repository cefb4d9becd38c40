"""Exchanging with a store behind a server: over requests, where the server was told to, and with its token."""

import threading
import time

import pytest

pytest.importorskip("fastapi", reason="the server needs it: pip install 'hybridstore[serve]'")

from fastapi.testclient import TestClient

import hybridstore as hs
from hybridstore.cli.config import find_config
from hybridstore.errors import FileRefused, HybridstoreError, InputError
from hybridstore.ingest.watching import watch
from hybridstore.memory import Memory
from hybridstore.serving.http import Context, create_app, exchange_routes
from hybridstore.serving.http_access import Names

TOKEN = "a-token-of-some-length"  # noqa: S105 - of a server that lives for a test


@pytest.fixture(scope="module")
def exchanging(tmp_path_factory, process):
    path = tmp_path_factory.mktemp("exchange") / "box.db"
    with hs.open(path, embedder="none") as store:
        store.add([{"id": f"box{n}", "text": f"text {n} of the box {'x' * 5000}"} for n in range(500)])
        Memory(store, "somebody").remember("The key is under the mat.")
    served = process(path, "--exchange", HYBRIDSTORE_TOKEN=TOKEN)
    yield served
    assert TOKEN not in served.line + served.stop()


def test_both_sides_get_what_they_lack_and_nothing_is_sent_twice(exchanging, monkeypatch):
    address = f"{exchanging.url}?token={TOKEN}"
    with hs.open(":memory:", embedder="none") as own:
        own.add([{"id": f"own{n}", "text": f"text {n} of mine {'y' * 5000}"} for n in range(500)])
        foreseen = own.exchange(address, dry_run=True)
        assert (len(foreseen.merged.added), foreseen.documents, len(own.ids())) == (501, 500, 500)
        done = own.exchange(address)
        assert (len(done.merged.added), done.documents, len(own.ids())) == (501, 500, 1001)
        own.add({"id": "own1", "text": "changed"})
        own.purge("box1")
        monkeypatch.setenv("HYBRIDSTORE_TOKEN", TOKEN)
        again = own.exchange(exchanging.url)
        assert (again.merged.added, again.documents, again.removals) == ([], 1, 1)
        assert again.bytes + again.received < 20_000
    with hs.open(":memory:", embedder="none") as third:
        assert len(third.exchange(exchanging.url).merged.added) == 1000
        assert third.get("own1").text == "changed"


def test_a_server_exchanges_only_where_it_was_told_to_and_with_the_token(exchanging, guarded, monkeypatch):
    monkeypatch.delenv("HYBRIDSTORE_TOKEN", raising=False)
    with hs.open(":memory:", embedder="none") as own:
        for address in (exchanging.url, f"{exchanging.url}?token=another"):
            with pytest.raises(FileRefused, match="token=TOKEN, or set HYBRIDSTORE_TOKEN"):
                own.exchange(address)
        with pytest.raises(FileRefused, match="has no exchange there"):
            own.exchange(f"{exchanging.url}a/page?token={TOKEN}")
        with pytest.raises(FileRefused, match="exchanges with nobody; start it with --exchange"):
            own.exchange(f"{guarded.url}?token={TOKEN}")
        with pytest.raises(FileRefused, match="cannot be reached"):
            own.exchange("http://127.0.0.1:9/")
        with pytest.raises(InputError, match="address is a URL"):
            own.exchange("http://")


def test_a_store_that_is_watched_exchanges_with_a_server_by_itself(exchanging, tmp_path, monkeypatch):
    pytest.importorskip("watchfiles", reason="pip install 'hybridstore[watch]'")
    monkeypatch.setattr("hybridstore.ingest.watching._ASK", 0.5)
    (tmp_path / "hybridstore.toml").write_text(f'exchange = "{exchanging.url}?token={TOKEN}"\n')
    place, stop, said = find_config(tmp_path).exchange, threading.Event(), []
    options = {"stop": stop, "exchange": place, "exchanged": said.append}
    with hs.open(tmp_path / "own.db", embedder="none") as own, hs.open(":memory:", embedder="none") as other:
        own.add({"id": "watched", "text": "first"})
        thread = threading.Thread(target=watch, args=(own, lambda _: None), kwargs=options)
        thread.start()
        until(lambda: said and "watched" in other.exchange(place).merged.added)
        other.add({"id": "watched", "text": "second"})
        other.exchange(place)
        until(lambda: own.get("watched").text == "second")
        stop.set()
        thread.join()
    assert [each for each in said if isinstance(each, HybridstoreError)] == []


def until(holds):
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture
def begun(store, memory, monkeypatch):
    """Begin an exchange with a server in this process; give what asks it, and the exchange's address."""
    monkeypatch.setattr(exchange_routes, "SILENCE", 0.5)
    context = Context(memory, exchanges=True)
    with TestClient(create_app(context, Names.of("127.0.0.1", 8766)), base_url="http://127.0.0.1:8766") as client:
        answer = client.post("/api/exchange")
        assert answer.status_code == 201
        yield client, f"/api/exchange/{answer.json()['exchange']}"
        context.stopping.set()


def test_a_client_that_is_silent_is_given_up_and_what_is_no_message_is_a_clear_error(begun):
    client, address = begun
    assert client.post(address).content.startswith(b"hybridstore exchange 1\n")
    time.sleep(1.5)
    assert "ended before" in client.post(address).json()["detail"]
    another = f"/api/exchange/{client.post('/api/exchange').json()['exchange']}"
    client.post(another, content=b"GET / HTTP/1.1\r\nHost: box\r\n")
    wrong = client.post(another)
    assert (wrong.status_code, wrong.headers["content-type"]) == (422, "application/problem+json")
    assert "is not `hybridstore exchange --stdio`" in wrong.json()["detail"]
    assert client.delete(another).status_code == 422
    assert client.delete(another).status_code == 404


def test_there_are_two_exchanges_at_a_time_and_none_outlives_the_server(begun):
    client, _ = begun
    assert client.post("/api/exchange").status_code == 201
    assert client.post("/api/exchange").status_code == 503
    client.app.state.context.stopping.set()
    ended = time.monotonic() + 5
    while any("hybridstore-exchange" in each.name for each in threading.enumerate()) and time.monotonic() < ended:
        time.sleep(0.05)
    assert [each.name for each in threading.enumerate() if "hybridstore-exchange" in each.name] == []
