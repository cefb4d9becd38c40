"""The other process in test_purging.py.

python purging_process.py FILE read             reads one state of the file until its input ends
python purging_process.py FILE STEP             purges and is killed before a step: "remove", "merge", "rewrite",
                                                "empty" or "verify"; with "none" it purges and ends
"""

import os
import signal
import sys
from contextlib import closing

from hybridstore.backends.sqlite import SQLiteBackend, purge

STEPS = {
    "remove": (purge.document_writes, "remove"),
    "merge": (purge, "merge"),
    "rewrite": (purge, "_rewrite"),
    "empty": (purge, "_empty_log"),
    "verify": (purge, "search"),
}


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(path: str, step: str) -> None:
    with closing(SQLiteBackend(path)) as backend:
        if step == "read":
            with backend.snapshot():
                say(str(backend.count()))
                sys.stdin.read()
            say(str(backend.count()))
            return
        if step in STEPS:
            setattr(*STEPS[step], lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
        ids = [stored.document.id for stored in backend.scan() if stored.document.metadata.get("private")]
        say("begins")
        say(str(backend.purge(ids).clean))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
