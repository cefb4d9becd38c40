"""Run by test_encryption.py with apsw-sqlite3mc in apsw's place: everything that writes, then a look at all files."""

import json
import os
import sys
import tempfile
from pathlib import Path

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder

FOLDER, KEY = Path(sys.argv[1]), 'it\'s a "kéy"; -- 100 %'
CANARY = "zyxwvcanary"
EMBEDDER = HashingEmbedder(64)
path, copy = FOLDER / "notes.db", FOLDER / "copy.db"
seen = {}
tempfile.tempdir = os.environ["SQLITE_TMPDIR"] = str(FOLDER)


def left():
    """Return the files below the folder that hold the canary, in the encodings in which it could be there."""
    forms = [CANARY.encode(), CANARY.encode("utf-16-le"), CANARY.upper().encode()]
    files = [file for file in FOLDER.rglob("*") if file.is_file()]
    return [file.name for file in files if any(form in file.read_bytes() for form in forms)]


def refused(**options):
    """Return the name of the error, and its sentence, that opening the file ends with."""
    try:
        hs.open(path, embedder="none", **options).close()
    except hs.HybridstoreError as error:
        return [type(error).__name__, str(error)]
    return None


with hs.open(path, embedder=EMBEDDER, key=KEY, log_queries=True) as store:
    store.add(
        hs.Document(id=f"{CANARY}-{n}", title=CANARY, text=f"{CANARY} {n} in the harbour. " * 20) for n in range(300)
    )
    seen["keyword"] = len(store.search(CANARY, mode="keyword"))
    seen["vector"] = len(store.search("harbour", mode="vector"))
    seen["before closing"] = left()
    seen["files"] = sorted(file.name for file in FOLDER.iterdir())
    store.backup(copy)
    store.reembed(HashingEmbedder(32), keep=True)
    seen["check"] = [str(problem) for problem in store.check()]
    seen["after a backup"] = left()
    report = store.purge([f"{CANARY}-1"])
    seen["purged"] = [report.documents, report.wal_clean, [str(residue) for residue in report.residues], report.clean]
with hs.open(path, embedder=HashingEmbedder(32), key=KEY) as store:
    seen["documents"] = store.count()
with hs.open(copy, embedder=EMBEDDER, key=KEY) as store:
    seen["copied"] = [store.count(), store.search(CANARY)[0].document_id.startswith(CANARY)]
seen["after closing"] = left()
seen["size"] = path.stat().st_size
before = path.read_bytes()
seen["wrong key"], seen["no key"] = refused(key="another"), refused()
seen["unchanged"] = path.read_bytes() == before
shared = FOLDER / "shared"
shared.mkdir()
with hs.open(copy, embedder=EMBEDDER, key=KEY) as store:
    seen["published"] = store.exchange(shared, name="copy").documents
    with hs.open(FOLDER / "other.db", embedder="none", key=KEY) as other:
        seen["received"] = len(other.exchange(shared, name="other").merged.added)
        other.add({"id": f"{CANARY}-1", "text": f"{CANARY} again"})
        seen["merged"] = len(store.merge(other).replaced)
for name, options in (("another key", {"key": "another"}), ("without", {})):
    with hs.open(FOLDER / f"{name}.db", embedder="none", **options) as store:
        try:
            store.exchange(shared, name="stranger")
        except hs.HybridstoreError as error:
            seen[f"exchange, {name}"] = str(error)
seen["strangers"] = (shared / "stranger").exists()
seen["exchanged"] = left()
with hs.open(FOLDER / "plain.db", embedder="none") as store:
    store.add("plain")
path = FOLDER / "plain.db"
seen["plain"] = refused(key=KEY)
seen["bad keys"] = [(refused(key=key) or ["accepted"])[0] for key in ("", "a\0b", 7)]
print(json.dumps(seen))  # noqa: T201
