"""Many agents, one file: processes of two agents remember, recall and supersede for a while, and nothing is lost.

    python benchmarks/memory/agents.py --json results/agents.json [--processes 8] [--seconds 120]

Every agent thinks between two acts, a second on average, as agents that wait for a model do. Half of the acts are
recalls, the others notes, turns of a conversation that all share, and facts that all supersede. Each agent writes down
what was promised to it; afterwards the file is held against that: each note, each turn in the order its agent said it,
each version of each fact, one of which holds. The time of a recall is compared with that of one agent alone with a
file and acts like these.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import random
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import hybridstore as hs

FACTS = 8  # that all agents of a file supersede
NOTES = 400  # in the file before
_THINGS = ["door", "gate", "lamp", "pump", "valve", "kettle", "ladder", "engine", "window", "cable", "drill", "crane"]
_DOINGS = ["opened", "closed", "repaired", "painted", "moved", "lost", "found", "ordered", "cleaned", "measured"]
_PLACES = ["hall", "yard", "cellar", "office", "garage", "attic", "harbour", "workshop"]


def sentence(choose: random.Random) -> str:
    return f"The {choose.choice(_THINGS)} in the {choose.choice(_PLACES)} was {choose.choice(_DOINGS)}"


def prepared(path: Path, seed: int) -> None:
    choose = random.Random(seed)
    with hs.open(path) as store:
        team = hs.Memory(store, "team")
        for n in range(FACTS):
            team.remember(f"Fact {n} is version 0 by nobody.", id=f"fact-{n}")
        for n in range(NOTES):
            team.remember(f"{sentence(choose)} by crew {n}.")


class Agent:
    """One agent: what it does, what it was promised, how long its recalls took."""

    def __init__(self, store: hs.Store, name: str, seed: int) -> None:
        self.name, self.choose = name, random.Random(seed)
        self.own, self.team = hs.Memory(store, ("agent", name)), hs.Memory(store, "team")
        self.notes: dict[str, str] = {}
        self.turns: list[str] = []
        self.versions: list[tuple[str, str]] = []
        self.recalls: list[float] = []
        self.errors: list[str] = []

    def live(self, until: float, think: float) -> None:
        while True:
            time.sleep(self.choose.uniform(0, 2 * think))
            if time.monotonic() >= until:
                return
            try:
                self.act()
            except Exception:  # noqa: BLE001 - every error is counted and reported
                self.errors.append(traceback.format_exc(limit=3))

    def act(self) -> None:
        kind = self.choose.choices(("recall", "note", "turn", "supersede"), (4, 2, 1, 1))[0]
        if kind == "recall":
            memory = self.choose.choice((self.own, self.team))
            started = time.perf_counter()
            memory.recall(f"what happened to the {self.choose.choice(_THINGS)}", max_tokens=500)
            self.recalls.append(time.perf_counter() - started)
        elif kind == "note":
            text = f"{sentence(self.choose)}, says {self.name} for the {len(self.notes)}th time."
            self.notes[self.own.remember(text).id] = text
        elif kind == "turn":
            text = f"{self.name} has said {len(self.turns)} things before this one."
            self.team.remember([{"role": "user", "name": self.name, "content": text}], session="room")
            self.turns.append(text)
        else:
            fact = self.choose.randrange(FACTS)
            text = f"Fact {fact} is version {len(self.versions) + 1} by {self.name}."
            self.team.remember(text, id=f"fact-{fact}")
            self.versions.append((f"fact-{fact}", text))

    def counts(self) -> dict[str, Any]:
        kept = ("name", "notes", "turns", "versions", "recalls", "errors")
        return {name: getattr(self, name) for name in kept}


def process(  # noqa: PLR0917 - a process is given all it needs
    path: str, number: int, agents: int, begin: Any, seconds: float, think: float, result: Any
) -> None:
    with hs.open(path, threads=1) as store:
        company = [Agent(store, f"a{number}-{n}", 1000 * number + n) for n in range(agents)]
        company[0].team.recall("warm up")
        begin.wait()
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=agent.live, args=(until, think)) for agent in company]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        result.put([agent.counts() for agent in company])


def lived(path: Path, processes: int, agents: int, seconds: float, think: float) -> list[dict[str, Any]]:
    context = multiprocessing.get_context("spawn")
    begin, result = context.Barrier(processes), context.Queue()
    running = [
        context.Process(target=process, args=(str(path), n, agents, begin, seconds, think, result))
        for n in range(processes)
    ]
    for each in running:
        each.start()
    gathered = [agent for _ in running for agent in result.get(timeout=seconds + 120)]
    for each in running:
        each.join()
    return gathered


def lost(path: Path, agents: list[dict[str, Any]]) -> Counter[str]:
    """Count what was promised and is not there."""
    missing: Counter[str] = Counter()
    with hs.open(path) as store:
        team = hs.Memory(store, "team")
        room = team.notes(session="room")
        missing["turns out of place"] = sum(note.turn != n for n, note in enumerate(room, start=1))
        versions = {f"fact-{n}": team.history(f"fact-{n}") for n in range(FACTS)}
        now = [sum(note.valid_to is None for note in chain) for chain in versions.values()]
        missing["facts with more than one version that holds"] = sum(count != 1 for count in now)
        promised = sum(len(agent["versions"]) for agent in agents) + FACTS
        missing["versions too many"] = max(sum(map(len, versions.values())) - promised, 0)
        for agent in agents:
            own = hs.Memory(store, ("agent", agent["name"]))
            held = {note.id: note.text for note in own.notes()}
            missing["notes"] += sum(held.get(id_) != text for id_, text in agent["notes"].items())
            said = [note.text for note in room if note.name == agent["name"]]
            missing["turns"] += said != agent["turns"]
            texts = {fact: {note.text for note in chain} for fact, chain in versions.items()}
            missing["versions"] += sum(text not in texts[fact] for fact, text in agent["versions"])
        missing["problems found by check"] = len(store.check())
    return missing


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)] if values else float("nan")


def summed(agents: list[dict[str, Any]]) -> dict[str, Any]:
    recalls = [seconds for agent in agents for seconds in agent["recalls"]]
    return {
        "agents": len(agents),
        "recalls": len(recalls),
        "recall_p50_ms": round(1000 * quantile(recalls, 0.5), 2),
        "recall_p95_ms": round(1000 * quantile(recalls, 0.95), 2),
        "notes": sum(len(agent["notes"]) for agent in agents),
        "turns": sum(len(agent["turns"]) for agent in agents),
        "superseded": sum(len(agent["versions"]) for agent in agents),
        "errors": [error for agent in agents for error in agent["errors"]],
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="OUT")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--agents", type=int, default=2, help="in each process")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--think", type=float, default=1.0, help="seconds between two acts, on average")
    parser.add_argument("--quiet-seconds", type=float, default=45, help="for the agent that is alone")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        alone, crowded = Path(folder) / "alone.db", Path(folder) / "crowded.db"
        for path in (alone, crowded):
            prepared(path, 0)
        # Alone, it need not think as long: what is measured is the time of a recall.
        quiet = summed(lived(alone, 1, 1, options.quiet_seconds, options.think / 10))
        company = lived(crowded, options.processes, options.agents, options.seconds, options.think)
        missing = lost(crowded, company)
    crowd = summed(company)
    report = {
        "machine": {
            "processor": platform.machine(),
            "python": platform.python_version(),
            "hybridstore": hs.__version__,
        },
        "processes": options.processes,
        "seconds": options.seconds,
        "think": options.think,
        "quiet": quiet,
        "crowded": crowd,
        "p95_ratio": round(crowd["recall_p95_ms"] / quiet["recall_p95_ms"], 2),
        "lost": dict(missing),
    }
    print(json.dumps(report, indent=1))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return int(bool(crowd["errors"]) or bool(quiet["errors"]) or any(missing.values()))


if __name__ == "__main__":
    sys.exit(main())
