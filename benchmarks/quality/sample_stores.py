"""Sample stores for the suites: a filled store, which is copied and never written to, and its questions."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import synthetic_text

import hybridstore as hs
from hybridstore.evaluation import Collection, index

MADE_UP = "made up"

# Words that stand in questions about anything.
_STOP_WORDS = (
    "a about above after again all also am an and any are as at be been before being below between both but by can "
    "could did do does down each few for from further had has have he her here him his how i if in into is it its "
    "just like many may me might more most much must my no not now of off on once one only or other our out over own "
    "same she should since so some such than that the their them then there these they this those through to too two "
    "under until up upon use used using very was we were what when where which while who whom whose why will with "
    "would you your tell give find show please want need know me get make made"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())
_WORD = re.compile(r"[^\W\d_]+(?:[^\W\d_]|(?<=\w)['’](?=\w))*")


@dataclass(frozen=True, slots=True)
class SampleStore:
    """A corpus in a store of its own, `file`, with questions and the documents that answer each.

    `folder` is for the suites' own stores; `options` are for opening them.
    """

    name: str
    file: Path
    folder: Path
    asked: tuple[tuple[str, tuple[str, ...]], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    def documents(self) -> list[hs.Document]:
        with hs.open(self.file, create=False) as store:
            return list(store.documents())

    @contextmanager
    def copy(self) -> Iterator[hs.Store]:
        """Open a copy of the store, to be written to."""
        path = self.folder / f"copy-{next(self._numbers)}.db"
        _copied(self.file, path)
        with hs.open(path, create=False, **self.options) as store:
            yield store
        path.unlink(missing_ok=True)

    @contextmanager
    def empty(self, **options: Any) -> Iterator[hs.Store]:
        """Open a new store."""
        path = self.folder / f"new-{next(self._numbers)}.db"
        with hs.open(path, **{**self.options, **options}) as store:
            yield store
        path.unlink(missing_ok=True)


def made_up(folder: Path, **options: Any) -> SampleStore:
    """Fill a store with the made-up passages, which takes the model some seconds."""
    with hs.open(folder / "made-up.db", **options) as store:
        store.add(synthetic_text.documents(), chunk=False)
    return SampleStore(MADE_UP, folder / "made-up.db", folder, synthetic_text.questions(), options)


def of_store(path: Path, folder: Path, collection: Path | None = None, **options: Any) -> SampleStore:
    """Copy a store, never opening the file given; its collection's judged queries are the questions."""
    target = folder / f"{path.stem}.db"
    _copied(path, target)
    return SampleStore(path.stem, target, folder, _judged(Collection(collection)) if collection else (), options)


def of_collection(path: Path, folder: Path, **options: Any) -> SampleStore:
    """Index a collection in BEIR layout, each document as one chunk."""
    collection = Collection(path)
    with hs.open(folder / f"{collection.name}.db", **options) as store:
        index(store, collection)
    return SampleStore(collection.name, folder / f"{collection.name}.db", folder, _judged(collection), options)


def split_of(collection: Collection) -> str:
    return "test" if "test" in collection.splits else collection.splits[0]


def words(text: str) -> list[str]:
    """Return a text's words in lower case without possessive endings: a scan independent of the index."""
    return [re.sub(r"['’]s?$", "", word) for word in _WORD.findall(text.lower())]


def content_words(text: str, shortest: int = 4) -> list[str]:
    return [word for word in dict.fromkeys(words(text)) if len(word) >= shortest and word not in STOP_WORDS]


def vocabulary(documents: Sequence[hs.Document]) -> Counter[str]:
    """Count in how many documents each word stands."""
    return Counter(word for each in documents for word in {*words(f"{each.title} {each.text}")})


def sentences(text: str) -> list[str]:
    return [" ".join(each.split()) for each in re.split(r"(?<=[.!?।])\s+", text) if each.strip()]


def _judged(collection: Collection) -> tuple[tuple[str, tuple[str, ...]], ...]:
    qrels, queries = collection.qrels(split_of(collection)), collection.queries()
    return tuple(
        (queries[each].text, tuple(document for document, grade in qrels.of(each).items() if grade > 0))
        for each in qrels.answerable
        if each in queries
    )


def _copied(source: Path, target: Path) -> None:
    for ending in ("", "-wal"):  # what another process has committed may not be in the file itself yet
        if Path(f"{source}{ending}").exists():
            shutil.copyfile(f"{source}{ending}", f"{target}{ending}")
