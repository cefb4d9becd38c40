"""Prepare documents on a Ray cluster (here: this machine) and write them into a store.

pip install 'hybridstore[cpu,arrow]' ray; python examples/prepare_ray.py [STORE]
"""

from __future__ import annotations

import sys

import pyarrow as pa
import ray

import hybridstore as hs

MODEL = "all-MiniLM-L6-v2"
DOCUMENTS = [{"id": f"note-{n}", "text": f"The pump in hall {n} is quiet.", "title": "Pumps"} for n in range(200)]


def prepare(table: pa.Table) -> pa.Table:
    """Prepare a part of the documents, in a worker: the model is loaded once there."""
    return pa.Table.from_batches(hs.prepare(table, MODEL, threads=1))


def main(path: str) -> None:
    """Write the documents and search them."""
    ray.init(num_cpus=2, log_to_driver=False)
    prepared = ray.data.from_items(DOCUMENTS).repartition(4).map_batches(prepare, batch_format="pyarrow")
    with hs.open(path) as store:
        report = store.add_prepared(prepared.iter_batches(batch_format="pyarrow"))
        results = store.search("which pump makes no noise?", limit=3)
        print(report, [hit.document_id for hit in results], f"confidence {results.confidence:.2f}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ":memory:")
