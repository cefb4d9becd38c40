"""Prepare documents on Spark (here: its local mode) and write them into a store.

Spark needs Java 17 or newer. pip install 'hybridstore[cpu,arrow]' pyspark; python examples/prepare_spark.py [STORE]
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

import hybridstore as hs
from hybridstore.store import prepared_schema

MODEL = "all-MiniLM-L6-v2"
DOCUMENTS = [(f"note-{n}", f"The pump in hall {n} is quiet.") for n in range(200)]


def prepare(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Prepare a partition of the documents, in a worker: the model is loaded once there."""
    for batch in batches:
        yield from hs.prepare(batch, MODEL, threads=1)


def main(path: str) -> None:
    """Write the documents and search them."""
    if shutil.which("java") is None:
        sys.exit("SKIPPED: Spark needs Java (17 or newer), and there is no `java` on the PATH.")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # or workers take the python3 that is first on the path
    spark = SparkSession.builder.master("local[2]").getOrCreate()
    frame = spark.createDataFrame(DOCUMENTS, ["id", "text"]).repartition(4)
    prepared = frame.mapInArrow(prepare, from_arrow_schema(prepared_schema()))
    with hs.open(path) as store:
        report = store.add_prepared(prepared.toArrow())  # or of Parquet files that Spark wrote
        results = store.search("which pump makes no noise?", limit=3)
        print(report, [hit.document_id for hit in results], f"confidence {results.confidence:.2f}")
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ":memory:")
