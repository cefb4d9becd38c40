"""One step of a measurement in a separate process, started by benchmarks/memory/speed.py.

    python benchmarks/memory/speed_step.py STEP --system NAME --folder FOLDER --data FOLDER --size N …

What it found is written to its output as one line of JSON. A cold start writes a line as soon as it has recalled, so
that the parent process can read the clock.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

WARM = 10  # recalls before any is timed
LEAST = 5  # laps, however slow
SEEN = 10  # notes that are looked for after they were kept


def attempt(options: argparse.Namespace) -> dict[str, Any]:
    """Check whether the system runs here at all."""
    keeper, notes, _ = _opened(options)
    keeper.remember(notes[0])
    found = keeper.recall(notes[0])
    keeper.close()
    return {"items": len(found)}


def fill(options: argparse.Namespace) -> dict[str, Any]:
    """Remember the first notes one by one."""
    keeper, notes, _ = _opened(options)
    times = _laps(keeper.remember, notes[: options.size])
    keeper.close()
    return {"fill": times, "disk": _disk(options.folder)}


def live(options: argparse.Namespace) -> dict[str, Any]:
    """Recall, remember, and recall right after remembering; say how much memory and disk that took."""
    count, size = options.count, options.size
    keeper, notes, questions = _opened(options)
    seconds = options.seconds
    _laps(keeper.recall, questions[count : count + WARM], seconds)
    found: list[int] = []
    recall = _laps(lambda question: found.append(len(keeper.recall(question))), questions[:count], seconds)
    new = notes[size : size + count + options.pairs]
    remember = _laps(keeper.remember, new[:count])
    after, end = list[float](), time.perf_counter() + seconds
    for note, question in zip(new[count:], questions, strict=False):
        if time.perf_counter() < end or len(after) < LEAST:
            keeper.remember(note)
            after += _laps(keeper.recall, [question])
    # A note asked for in its own words, right after it was kept: every system ought to find it.
    seen = [note in keeper.recall(note) for note in new[count : count + len(after)][:SEEN]]
    result = {
        "recall": recall,
        "remember": remember,
        "after": after,
        "items": sum(found) / len(found),
        "seen": sum(seen) / len(seen),
    }
    if options.before is not None and (now := _resident()) is not None:
        result["memory"] = now - options.before
    keeper.close()
    return result


def cold(options: argparse.Namespace) -> dict[str, Any]:
    """Load the model, open a filled memory, and recall once."""
    import cached_vectors
    from keepers import by_name

    keeper = by_name(options.system)(options.folder, cached_vectors.loaded(options.embedder, options.threads))
    found = keeper.recall(options.question)
    print("recalled", flush=True)
    keeper.close()
    return {"items": len(found)}


def model(options: argparse.Namespace) -> dict[str, Any]:
    """Time the model alone: loading it with its imports, one note, one question."""
    began = time.perf_counter()
    import cached_vectors

    loaded = cached_vectors.loaded(options.embedder, options.threads)
    loaded.embed_query("warm up")
    load = time.perf_counter() - began
    notes, questions = _texts(options)
    return {
        "load": load * 1e3,
        "note": _laps(lambda note: loaded.embed_documents([note]), notes[: options.count]),
        "question": _laps(loaded.embed_query, questions[: options.count]),
    }


def _opened(options: argparse.Namespace) -> tuple[Any, list[str], list[str]]:
    """Open the system with vectors made beforehand; what the model and they take does not count as its memory."""
    import cached_vectors
    from keepers import by_name

    kind = by_name(options.system)
    embedder = cached_vectors.CachedEmbedder(options.data, cached_vectors.loaded(options.embedder, options.threads))
    embedder.token_starts("warm up")
    notes, questions = _texts(options)
    options.before = _resident()
    return kind(options.folder, embedder), notes, questions


def _texts(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    result = json.loads((options.data / "said.json").read_text(encoding="utf-8"))
    return result["notes"], result["questions"]


def _laps(call: Callable[[str], object], texts: Sequence[str], seconds: float = math.inf) -> list[float]:
    """Time a call for each text, in ms, until the texts or the seconds are over."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    for text in texts:
        if len(times) >= LEAST and time.perf_counter() > end:
            break
        began = time.perf_counter()
        call(text)
        times.append((time.perf_counter() - began) * 1e3)
    return times


def _resident() -> float | None:
    """Return this process's resident memory in MB; None if the system does not report it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _disk(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


STEPS = {"try": attempt, "fill": fill, "live": live, "cold": cold, "model": model}


def main() -> None:
    parser = argparse.ArgumentParser(description="one step of a measurement; see benchmarks/memory/speed.py")
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--system")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--size", type=int)
    parser.add_argument("--count", type=int)
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--question")
    parser.add_argument("--embedder")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    print(json.dumps(STEPS[options.step](options)), flush=True)


if __name__ == "__main__":
    main()
