"""The load that benchmarks/serving.py makes: what its clients see of a server that answers at once."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import serving


async def test_clients_count_what_was_answered_and_what_was_not(monkeypatch):
    monkeypatch.setattr(serving, "WARM", 0.0)
    seen = []

    async def answer(reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            seen.append(head.split()[0])
            if length := head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]:
                await reader.readexactly(int(length))
            status = b"500" if len(seen) == 3 else b"201" if head.startswith(b"POST") else b"200"
            writer.write(b"HTTP/1.1 " + status + b" x\r\nContent-Length: 2\r\n\r\n{}")

    def ignore(_loop, context):
        assert isinstance(context.get("exception"), asyncio.IncompleteReadError)

    asyncio.get_running_loop().set_exception_handler(ignore)  # a client that has gone
    server = await asyncio.start_server(answer, "127.0.0.1")
    async with server:
        port = server.sockets[0].getsockname()[1]
        figures = await serving.load((os.getpid(), port), serving.searches(["a question"]), 2, 0.5, writes=True)
    assert figures["errors"] == 1
    assert figures["written"] == seen.count(b"POST") > 0
    assert figures["requests"] <= seen.count(b"GET")
    assert figures["requests"] == pytest.approx(figures["per_second"] * 0.5)
    assert figures["p50_ms"] <= figures["p95_ms"] <= figures["p99_ms"]
