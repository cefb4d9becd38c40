"""A server in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

pytest.importorskip("fastapi", reason="the server needs it: pip install 'hybridstore[serve]'")


TOKEN = "a-token-of-some-length"  # noqa: S105 - of a server that lives for a test


class Served:
    """A server, its address, and what it wrote."""

    def __init__(self, path, *options, command=("serve", "http"), **environment):
        known = {name: value for name, value in os.environ.items() if not name.startswith("HYBRIDSTORE")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hybridstore", "--db", str(path), *command, "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**known, **environment},
        )
        lines = iter(self.process.stderr.readline, "")
        self.line = next(line for line in lines if line.startswith("Serving on"))
        self.url, _, self.query = self.line.removeprefix("Serving on ").strip().partition("?")
        self.port = int(self.url.split(":")[-1].strip("/"))

    def ask(self, path, body=None, method=None, **headers):
        """Return status, headers and body."""
        data = None if body is None else json.dumps(body).encode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        asked = urllib.request.Request(  # noqa: S310 - our own server
            self.url.rstrip("/") + path, data, {"Content-Type": "application/json"} | headers, method=method
        )
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with opener.open(asked, timeout=20) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        out, err = self.process.communicate(timeout=20)
        assert out == ""
        assert "Traceback" not in err
        return err


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


@pytest.fixture(scope="session")
def process():
    """Give the class of servers: `process(path, *options)` starts one."""
    return Served


@pytest.fixture(scope="module")
def guarded(path, process):
    """Start a server that needs TOKEN."""
    served = process(path, HYBRIDSTORE_TOKEN=TOKEN)
    yield served
    assert TOKEN not in served.line + served.stop()
