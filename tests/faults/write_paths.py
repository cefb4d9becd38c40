"""Every path that writes: what to do for the n-th time, and what of it is there afterwards.

A path is done for n = 0, 1, … in a copy of one prepared folder. `seen` says of the n-th time "before" (nothing of it is
there), "after" (all of it), "part" (some whole documents of it: allowed where a path writes in batches), or what is
wrong with it.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import apsw

import hybridstore as hs
from hybridstore.backends.learning import Triple
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError, NotFound
from hybridstore.ingest import export_import, sync
from hybridstore.tuning.model_versions import promote_embedder

STEPS = 6  # times that each path is prepared for
ARCHIVE = Path(__file__).parents[1] / "archive"
DIMS = [32, *range(40, 40 + 8 * STEPS, 8)]  # of the embedders, one for each change
_WORDS = ("valve", "pump", "leak", "pressure", "inlet", "hall")


def text(name: str) -> str:
    """Return the text of a document: two chunks, and words that only it has."""
    size = sum(map(ord, name))
    words = " ".join(_WORDS[(size + at * at) % len(_WORDS)] for at in range(40))
    return f"# About {name}\n\nonly{name} {words}\n\n# More\n\nits end is end{name}"


def documents(*names: str) -> list[hs.Document]:
    """Return made-up documents of these ids."""
    return [hs.Document(id=name, text=text(name), format="markdown", metadata={"of": name}) for name in names]


def opened(path: Path, **options) -> hs.Store:
    """Open a store with the embedder whose vectors it has; encrypted where this SQLite can."""
    with hs.open(path, embedder="none", **secret(), **options) as store:
        active = store.embeddings.active
    return hs.open(path, embedder=HashingEmbedder(active.dim if active else 32), **secret(), **options)


def secret() -> dict[str, str]:
    """Return the key, where apsw-sqlite3mc stands in apsw's place."""
    return {"key": "a secret"} if hasattr(apsw, "mc_version") else {}


def memory(store: hs.Store) -> hs.Memory:
    """Return the notes in the store."""
    return hs.Memory(store, "faults")


def prepare(folder: Path) -> None:
    """Make what the paths need."""
    some = range(STEPS)
    with hs.open(folder / "x.db", embedder=HashingEmbedder(32), **secret()) as store:
        store.add(documents(*(f"d{n}" for n in range(30))))
        for kind in ("replaced", "removed", "filtered", "purged", "old", "unmerged", "unexchanged"):
            store.add(documents(*(f"{kind}{n}" for n in some)))
        for kind in ("forgotten", "erased", "superseded"):
            for n in some:
                memory(store).remember(text(f"{kind}{n}"), id=f"{kind}{n}")
        for name in ("pruned", "synced"):
            (folder / name).mkdir()
        for n in some:
            (folder / "pruned" / f"{n}.md").write_text(text(f"file{n}"))
            (folder / "synced" / str(n)).mkdir()
            for part in "abc":
                (folder / "synced" / str(n) / f"{part}.md").write_text(text(f"synced{n}{part}"))
        sync(store, folder / "pruned")
        store.learning.log_queries([f"logged {n}" for n in some])
    for n in some:
        with hs.open(folder / f"merged{n}.db", embedder=HashingEmbedder(32), **secret()) as store:
            store.add(documents(*(f"merged{n}{part}" for part in "abc"), f"unmerged{n}"))
            store.purge(f"unmerged{n}")
        (folder / f"shared{n}").mkdir()
        with hs.open(folder / f"exchanging{n}.db", embedder=HashingEmbedder(32), **secret()) as store:
            store.add(documents(*(f"exchanged{n}{part}" for part in "abc"), f"unexchanged{n}"))
            store.purge(f"unexchanged{n}")
            store.exchange(folder / f"shared{n}", name="other")
        with hs.open(":memory:", embedder=HashingEmbedder(32)) as store:
            store.add(documents(*(f"imported{n}{part}" for part in "abc")))
            export_import.export(store, folder / f"import{n}.jsonl", vectors=True)
            memory(store).remember(text(f"kept{n}"), id=f"kept{n}")
            memory(store).export(folder / f"notes{n}.jsonl")


@dataclass(frozen=True, slots=True)
class WritePath:
    """One path: what is done, what is seen of it, and whether it writes in batches."""

    do: Callable[[hs.Store, int, Path], object]
    seen: Callable[[hs.Store, int, Path], str]
    batches: bool = False


def one(states: Iterable[str]) -> str:
    """Return what several parts that are written together show together."""
    found = set(states)
    wrong = found - {"before", "after"}
    return wrong.pop() if wrong else found.pop() if len(found) == 1 else "part"


def is_there(store: hs.Store, id_: str, expected: str | None = None, before: str | None = None) -> str:
    """Say whether a document is there, whole: "after"; absent, or still of the text before: "before"."""
    try:
        found = store.get(id_)
    except NotFound:
        return "before" if before is None else f"{id_} is lost"
    if found.text == (text(id_) if expected is None else expected):
        return "after"
    return "before" if found.text == before else f"{id_} is {found.text[:50]!r}"


def is_gone(store: hs.Store, id_: str) -> str:
    """Say whether a document is gone."""
    state = is_there(store, id_)
    return {"before": "after", "after": "before"}.get(state, state)


def _note(store: hs.Store, id_: str) -> str:
    try:
        note = memory(store).get(id_)
    except NotFound:
        return "before"
    return "after" if note.text == text(id_) else f"{id_} is {note.text[:50]!r}"


def _note_gone(store: hs.Store, id_: str) -> str:
    return {"before": "after", "after": "before"}.get(_note(store, id_), "wrong")


def _erased(state: str, word: str, folder: Path) -> str:
    files = [folder / f"x.db{side}" for side in ("", "-wal")]
    left = any(word.encode() in file.read_bytes() for file in files if file.exists())
    return f"{word} is still in the file" if state == "after" and left else state


def _embedder(store: hs.Store, n: int, _: Path) -> str:
    active = store.embeddings.active
    at = DIMS.index(active.dim) if active else -1
    return "after" if at > n else "before" if at >= 0 else "no embedder"


def _log(store: hs.Store, n: int, _: Path) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", RuntimeWarning)
        with opened(Path(store.location), log_queries=True) as other:
            other.search(f"asked {n}", mode="keyword")
    if told:  # a search does not fail because its query could not be logged; closing the store says so
        raise hs.HybridstoreError(str(told[0].message))


def _logged(store: hs.Store, query: str) -> str:
    return "after" if query in {logged.query for logged in store.query_log()} else "before"


def _feedback(store: hs.Store, n: int, _: Path) -> None:
    store.feedback(f"told {n}", store.chunks.of(["d1"])["d1"][0])


def _triples(store: hs.Store, n: int, _: Path) -> None:
    positive = store.chunks.of(["d1"])["d1"][0]
    store.learning.add_triples(
        [Triple(query=f"t{n} {part}", kind="log", positive=positive, score=0.5) for part in "abc"]
    )


def _asked(store: hs.Store, n: int, _: Path) -> str:
    there = {triple.query for triple in store.learning.triples()}
    return one("after" if f"t{n} {part}" in there else "before" for part in "abc")


def _copy(path: Path) -> str:
    """Say whether a file is a whole store with what was there when all began."""
    if not path.exists():
        return "before"
    with hs.open(path, embedder="none", create=False, **secret()) as store:
        whole = not store.check() and all(is_there(store, f"d{n}") == "after" for n in range(30))
    return "after" if whole else f"{path.name} is not whole"


def _exported(path: Path) -> str:
    if not path.exists():
        return "before"
    with hs.open(":memory:", embedder="none") as store:
        try:
            export_import.load(store, path, vectors=False)
        except InputError as error:
            return f"{path.name}: {error}"
        return "after" if all(is_there(store, f"d{n}") == "after" for n in range(30)) else f"{path.name} is not whole"


def _migrate(_: hs.Store, n: int, folder: Path) -> None:
    path = folder / f"old{n}.db"
    shutil.copy(sorted(ARCHIVE.glob("v*.db"))[n % 3], path)
    hs.open(path, embedder="none").close()


def _migrated(_: hs.Store, n: int, folder: Path) -> str:
    path, source = folder / f"old{n}.db", sorted(ARCHIVE.glob("v*.db"))[n % 3]
    if not path.exists() or path.stat().st_size < source.stat().st_size:
        return "before"  # it was still being copied
    with hs.open(path, embedder="none") as store:
        found = store.check()
        return f"old{n}.db: {found[0]}" if found else "after" if store.count() else f"old{n}.db is empty"


def _create(_: hs.Store, n: int, folder: Path) -> None:
    with hs.open(folder / f"new{n}.db", embedder=HashingEmbedder(32), **secret()) as store:
        store.add(documents("first"))


def _created(_: hs.Store, n: int, folder: Path) -> str:
    with hs.open(folder / f"new{n}.db", embedder=HashingEmbedder(32), **secret()) as store:
        return "not sound" if store.check() else is_there(store, "first")


def _merge(store: hs.Store, n: int, folder: Path) -> None:
    store.merge(folder / f"merged{n}.db")


def _merged(store: hs.Store, n: int, folder: Path) -> str:
    purged = is_gone(store, f"unmerged{n}")
    added = one(is_there(store, f"merged{n}{part}") for part in "abc")
    return one([_erased(purged, f"onlyunmerged{n}", folder) if added == "after" else purged, added])


def _exchange(store: hs.Store, n: int, folder: Path) -> None:
    store.exchange(folder / f"shared{n}", name="here")


def _exchanged(store: hs.Store, n: int, folder: Path) -> str:
    """Say what came in, and whether what went out, if anything, can be read and is everything."""
    purged = is_gone(store, f"unexchanged{n}")
    added = one(is_there(store, f"exchanged{n}{part}") for part in "abc")
    state = one([_erased(purged, f"onlyunexchanged{n}", folder) if added == "after" else purged, added])
    with hs.open(folder / "reading.db", embedder="none", **secret()) as reading:
        report = reading.exchange(folder / f"shared{n}", name="reading", dry_run=True)
    if report.torn or report.failed or report.missing:
        return "not sound"
    bundles = list((folder / f"shared{n}" / "here").glob("*.bundle"))
    sent = {document.id for document in store.documents() if not str(document.id).startswith("exchanged")}
    complete = sent <= {*report.merged.added}
    return state if complete or not bundles or state != "after" else "part"


def _compact(store: hs.Store, n: int, _: Path) -> None:
    store.add(documents(f"compacted{n}"))
    store.compact()


def _recode(store: hs.Store, n: int, _: Path) -> None:
    store.add(documents(f"recoded{n}"))
    store.recode("int8")  # changes something the first time


def _prune(store: hs.Store, n: int, folder: Path) -> None:
    (folder / "pruned" / f"{n}.md").unlink(missing_ok=True)
    sync(store, folder / "pruned", prune=True)


def is_gone_file(store: hs.Store, n: int, folder: Path) -> str:
    """Say whether a pruned file's document is gone."""
    state = is_there(store, (folder / "pruned" / f"{n}.md").as_posix(), text(f"file{n}"))
    return {"before": "after", "after": "before"}.get(state, state)


PATHS = {
    "add": WritePath(lambda s, n, _: s.add(documents(f"added{n}")), lambda s, n, _: is_there(s, f"added{n}")),
    "add many": WritePath(
        lambda s, n, _: s.add(documents(*(f"many{n}x{part}" for part in range(12)))),
        lambda s, n, _: one(is_there(s, f"many{n}x{part}") for part in range(12)),
        batches=True,
    ),
    "replace": WritePath(
        lambda s, n, _: s.add({"id": f"replaced{n}", "text": f"anew {n}"}),
        lambda s, n, _: is_there(s, f"replaced{n}", f"anew {n}", text(f"replaced{n}")),
    ),
    "replace if unchanged": WritePath(
        lambda s, n, _: s.replace([s.get(f"old{n}")], [{"id": f"old{n}", "text": f"anew {n}"}]),
        lambda s, n, _: is_there(s, f"old{n}", f"anew {n}", text(f"old{n}")),
    ),
    "remove": WritePath(lambda s, n, _: s.remove(f"removed{n}"), lambda s, n, _: is_gone(s, f"removed{n}")),
    "remove where": WritePath(
        lambda s, n, _: s.remove_where({"of": f"filtered{n}"}), lambda s, n, _: is_gone(s, f"filtered{n}")
    ),
    "purge": WritePath(
        lambda s, n, _: s.purge(f"purged{n}"),
        lambda s, n, folder: _erased(is_gone(s, f"purged{n}"), f"onlypurged{n}", folder),
    ),
    "merge": WritePath(_merge, _merged, batches=True),
    "exchange": WritePath(_exchange, _exchanged, batches=True),
    "compact": WritePath(_compact, lambda s, n, _: is_there(s, f"compacted{n}")),
    "recode": WritePath(_recode, lambda s, n, _: is_there(s, f"recoded{n}")),
    "reembed": WritePath(lambda s, n, _: s.reembed(HashingEmbedder(DIMS[n + 1])), _embedder),
    "promote": WritePath(lambda s, n, _: promote_embedder(s, HashingEmbedder(DIMS[n + 1])), _embedder),
    "backup": WritePath(
        lambda s, n, folder: s.backup(folder / f"copy{n}.db"), lambda _, n, folder: _copy(folder / f"copy{n}.db")
    ),
    "export": WritePath(
        lambda s, n, folder: export_import.export(s, folder / f"export{n}.jsonl"),
        lambda _, n, folder: _exported(folder / f"export{n}.jsonl"),
    ),
    "import": WritePath(
        lambda s, n, folder: export_import.load(s, folder / f"import{n}.jsonl", vectors=s.embeddings.active.dim == 32),
        lambda s, n, _: one(is_there(s, f"imported{n}{part}") for part in "abc"),
        batches=True,
    ),
    "remember": WritePath(
        lambda s, n, _: memory(s).remember(text(f"new{n}"), id=f"new{n}"), lambda s, n, _: _note(s, f"new{n}")
    ),
    "supersede": WritePath(
        lambda s, n, _: memory(s).remember(text(f"newer{n}"), id=f"newer{n}", supersedes=f"superseded{n}"),
        lambda s, n, _: one(
            (_note(s, f"newer{n}"), "after" if memory(s).get(f"superseded{n}").superseded_by else "before")
        ),
    ),
    "forget": WritePath(
        lambda s, n, _: memory(s).forget(f"forgotten{n}"), lambda s, n, _: _note_gone(s, f"forgotten{n}")
    ),
    "purge notes": WritePath(
        lambda s, n, _: memory(s).purge(f"erased{n}"),
        lambda s, n, folder: _erased(_note_gone(s, f"erased{n}"), f"onlyerased{n}", folder),
    ),
    "import notes": WritePath(
        lambda s, n, folder: memory(s).import_(folder / f"notes{n}.jsonl"), lambda s, n, _: _note(s, f"kept{n}")
    ),
    "query log": WritePath(_log, lambda s, n, _: _logged(s, f"asked {n}")),
    "forget queries": WritePath(
        lambda s, n, _: s.forget_queries(f"logged {n}"),
        lambda s, n, _: {"after": "before", "before": "after"}[_logged(s, f"logged {n}")],
    ),
    "feedback": WritePath(
        _feedback,
        lambda s, n, _: "after" if f"told {n}" in {given.query for given in s.learning.feedback()} else "before",
    ),
    "triples": WritePath(_triples, _asked),
    "sync": WritePath(
        lambda s, n, folder: sync(s, folder / "synced" / str(n)),
        lambda s, n, folder: one(
            is_there(s, (folder / "synced" / str(n) / f"{part}.md").as_posix(), text(f"synced{n}{part}"))
            for part in "abc"
        ),
        batches=True,
    ),
    "sync --prune": WritePath(
        _prune,
        is_gone_file,
    ),
    "migrate": WritePath(_migrate, _migrated),
    "create": WritePath(_create, _created),
}


def finish(store: hs.Store) -> None:
    """Do what `check` says after a purge that was interrupted."""
    if any("hybridstore compact" in str(problem) for problem in store.check()):
        store.compact()


def unsound(store: hs.Store) -> list[str]:
    """Return what is wrong with the whole store: `check`, documents nobody touched, searches beside a fresh store."""
    wrong = [str(problem) for problem in store.check()]
    wrong += [f"d{n} is damaged" for n in range(30) if is_there(store, f"d{n}") != "after"]
    active = store.embeddings.active
    fresh_file = Path(store.location).with_name("fresh.db")  # in memory, sums are rounded otherwise
    with hs.open(fresh_file, embedder=HashingEmbedder(active.dim)) as fresh:
        fresh.add(store.documents())
        fresh.recode(store.stats().codec)
        for query in (*_WORDS[:2], "onlyd3", "end"):
            for mode in ("keyword", "vector"):
                both = [
                    sorted(
                        (round(hit.score, 5), hit.document_id, hit.text)
                        for hit in each.search(query, mode=mode, limit=500)
                    )
                    for each in (store, fresh)
                ]
                if both[0] != both[1]:
                    wrong.append(f"{query!r} by {mode} finds {len(both[0])} passages, in a fresh store {len(both[1])}")
    fresh_file.unlink()
    return wrong
