"""How many searches `hybridstore serve` answers, and how soon: one client, many, and many while another one writes.

    python benchmarks/serving.py --corpus CORPUS [--seconds 60] [--clients 32] [--json OUT] [--chroma COMMAND]

CORPUS is a folder that benchmarks/corpus.py made; its vectors stand for the default model's. The server is a process
of its own with its usual settings. Clients keep their connection, ask one real question after another, without a pause,
and read the whole answer (ten passages); they run in this process, so client and server share the machine's cores. The
first seconds of each round are not counted. COMMAND is the `chroma` of an environment with chromadb, whose server gets
the same rounds but the one that writes; see serving_rivals.py for what the comparison is worth.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import corpus
import numpy as np
import serving_rivals
from serving_rivals import Request

import hybridstore as hs
from hybridstore.serving.http_access import listening

SEED = 7
WARM = 3.0  # seconds that are not counted
_WRITTEN = "The note number {} was written while others were searching."


@dataclass
class Round:
    """What the clients of one round saw: the seconds that each answer took, and how many were none."""

    until: float
    counted_from: float
    times: list[float] = field(default_factory=list)
    errors: int = 0
    written: int = 0
    cpu: float = 0.0  # seconds of the server, from the first to the last moment that is counted

    def figures(self) -> dict[str, Any]:
        """Return requests a second, percentiles in milliseconds, and errors."""
        seconds = self.until - self.counted_from
        p50, p95, p99 = (1000 * float(np.percentile(self.times, q)) if self.times else None for q in (50, 95, 99))
        counts = {"requests": len(self.times), "errors": self.errors, "written": self.written}
        cost = 1000 * self.cpu / max(len(self.times), 1)
        rates = {"per_second": len(self.times) / seconds, "cpu_ms": cost}
        return {**rates, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, **counts}


def build(folder: Path, path: Path) -> list[str]:
    """Write the corpus into a store with its vectors; return its questions."""
    read = corpus.load(folder)
    with hs.open(path) as store:
        for ids, texts, vectors, metadata in read.batches():
            rows = zip(ids, texts, metadata, strict=True)
            with store.writer(chunk=False, vectors="later") as writer:
                for id_, text, facts in rows:
                    writer.add(hs.Document(id=id_, text=text, metadata=facts))
            chunks = [own[0] for own in store.chunks.of(ids).values()]
            if embedding := store.embeddings.active:
                store.embeddings.fill(embedding, chunks, vectors)
        store.calibrate()
    return [text for text, _ in corpus.load_queries(folder)]


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: dict[str, Any] | None = None
) -> int:
    """Send one request and read the whole answer; return its status."""
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", f"Host: 127.0.0.1:{writer.get_extra_info('peername')[1]}"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"] if body else []
    writer.write("\r\n".join([*lines, "", ""]).encode() + data)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
    return int(head.split()[1])


def searches(questions: Sequence[str]) -> list[Request]:
    """Return the requests of questions, as path and body."""
    return [(f"/api/search?{urlencode({'q': question})}", None) for question in questions]


async def ask(port: int, requests: Sequence[Request], round_: Round, seed: int) -> None:
    """Be one client until the round ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    chosen = random.Random(seed)
    while (start := time.perf_counter()) < round_.until:
        status = await exchange(reader, writer, *chosen.choice(requests))
        end = time.perf_counter()
        if round_.counted_from <= start and end <= round_.until:
            round_.times.append(end - start)
        round_.errors += status != 200
    writer.close()


async def write(port: int, round_: Round) -> None:
    """Add a document at a time until the round ends, four a second at most."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < round_.until:
        status = await exchange(reader, writer, "/api/documents", {"text": _WRITTEN.format(round_.written)})
        round_.errors += status != 201
        round_.written += 1
        await asyncio.sleep(0.25)
    writer.close()


async def watch_cpu(process: int, round_: Round) -> None:
    """Measure the processor time that the server takes while the round is counted."""
    await asyncio.sleep(round_.counted_from - time.perf_counter())
    before = cpu_seconds(process)
    await asyncio.sleep(round_.until - time.perf_counter())
    round_.cpu = cpu_seconds(process) - before


def cpu_seconds(process: int) -> float:
    """Return the processor time of a process so far (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def load(
    server: tuple[int, int], requests: Sequence[Request], clients: int, seconds: float, *, writes: bool
) -> dict[str, Any]:
    """Run one round against a server, given by its process and its port."""
    process, port = server
    now = time.perf_counter()
    round_ = Round(until=now + WARM + seconds, counted_from=now + WARM)
    async with asyncio.TaskGroup() as group:
        group.create_task(watch_cpu(process, round_))
        for seed in range(clients):
            group.create_task(ask(port, requests, round_, seed))
        if writes:
            group.create_task(write(port, round_))
    return {"clients": clients, "writes": writes, **round_.figures()}


def serving(path: Path, measure: Callable[[tuple[int, int]], Any]) -> Any:
    """Start the server, measure it by its process and its port, and stop it."""
    command = [sys.executable, "-m", "hybridstore", "--db", str(path), "serve", "http", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            line = next(each for each in server.stderr or () if each.startswith("Serving on"))
            return measure((server.pid, int(line.rstrip().rstrip("/").rpartition(":")[2])))
        finally:
            server.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description="measure `hybridstore serve` under load")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--chroma", metavar="COMMAND")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "served.db"
        questions = build(options.corpus, path)

        def measure(server: tuple[int, int]) -> list[dict[str, Any]]:
            rounds = []
            for clients, writes in ((1, False), (options.clients, False), (options.clients, True)):
                rounds.append(asyncio.run(load(server, searches(questions), clients, options.seconds, writes=writes)))
                print(json.dumps(rounds[-1]))
            return rounds

        rounds = serving(path, measure)
        rivals = {}
        if options.chroma:
            with listening("127.0.0.1", 0) as free:
                port = free.getsockname()[1]
            with serving_rivals.chroma(options.chroma, options.corpus, Path(folder) / "chroma", port) as (
                server,
                asked,
            ):
                rivals["chroma"] = [
                    asyncio.run(load(server, asked, clients, options.seconds, writes=False))
                    for clients in (1, options.clients)
                ]
            print(json.dumps(rivals))
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()}
    versions = {name: importlib.metadata.version(name) for name in ("fastapi", "uvicorn", "apsw", "onnxruntime")}
    about = json.loads((options.corpus / "about.json").read_text())
    if options.json:
        result = {"corpus": about, "seconds": options.seconds, "machine": machine, "versions": versions}
        options.json.write_text(json.dumps(result | {"rounds": rounds, "rivals": rivals}, indent=1) + "\n")


if __name__ == "__main__":
    main()
