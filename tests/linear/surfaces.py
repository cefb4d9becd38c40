"""Everything that reads text, each as a function of a text that returns how much it gave."""

import io
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import file_formats

import hybridstore as hs
from hybridstore import filters
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import HybridstoreError, InputError
from hybridstore.ingest import read
from hybridstore.ingest.readers import noise
from hybridstore.ingest.readers.front_matter import front_matter
from hybridstore.ingest.readers.pdf import joined_pages
from hybridstore.integrations.memory_files import CommandError, MemoryFiles, parts_of
from hybridstore.memory import consolidation, note_ids
from hybridstore.memory.notes import seconds_of
from hybridstore.memory.token_budget import count_pieces
from hybridstore.search import selection
from hybridstore.search.query_plan import plan
from hybridstore.serving.answers import Shown
from hybridstore.text import chunking
from hybridstore.text.analysis import Analyser
from hybridstore.tuning import fragments

Surface = Callable[[str], int]

_ANALYSER = Analyser("english")


def _length(texts: Iterable[object]) -> int:
    return sum(len(str(text)) for text in texts)


def _reader(suffix: str, folder: Path | None) -> Surface:
    def size(text: str) -> int:
        path = folder / f"note.{suffix}"
        path.write_text(text, encoding="utf-8", newline="")
        given = 0
        with suppress(InputError):
            for document in read(path):
                given += len(document.text) + len(document.title) + len(str(document.metadata))
        return given

    return size


def _file_reader(kind: str, made: Callable[[str], bytes], folder: Path | None) -> Surface:
    """Return the reading of files that `made` makes of a text; `kind` begins with their suffix."""

    def size(text: str) -> int:
        path = folder / f"note.{kind.split(maxsplit=1)[0]}"
        path.write_bytes(made(text))
        with suppress(InputError):
            return sum(
                len(document.text) + len(document.title) + len(str(document.metadata)) for document in read(path)
            )
        return 0

    return size


def _noise(text: str) -> int:
    without = noise.without_encoded(text, noise.Removed())
    return len(without) + len(noise.noise_of_text(text, code=True) or "")


def _chunker(format_: str) -> Surface:
    def size(text: str) -> int:
        return _length(chunk.heading for chunk in chunking.chunk(text, format=format_, max_tokens=256))

    return size


def _planner(syntax: str) -> Surface:
    def size(text: str) -> int:
        with suppress(InputError):
            made = plan(text, _ANALYSER, syntax)
            return len(made.text) + _length(made.keyword.terms)
        return 0

    return size


def _searcher() -> Surface:
    from rich.console import Console

    from hybridstore.cli.result_output import snippet

    store = hs.open(":memory:", embedder=HashingEmbedder())
    store.add(["a note about words, w1 w2 w3", "another title: one"])
    terminal = Console(width=80, file=io.StringIO())

    def size(text: str) -> int:
        with suppress(HybridstoreError):
            explained = store.explain(text, expect=None)
            for hit in explained.hits:
                snippet(hit.text, [], terminal, 70)
            return len(str(explained))
        return 0

    return size


def _found() -> Surface:
    from rich.console import Console

    from hybridstore.cli.result_output import marked, snippet

    terminal = Console(width=80, file=io.StringIO())

    def size(text: str) -> int:
        words = text.split()[:10]
        spans = _ANALYSER.spans(text, {"a", "word", "x", *words})
        rows = snippet(text, spans, terminal, 70)
        return len(marked(text, spans).plain) + _length(row.plain for row in rows)

    return size


def _filter(text: str) -> int:
    with suppress(InputError):
        return len(str(filters.to_dict(filters.from_text(text))))
    return 0


def _memory_files() -> Surface:
    files = MemoryFiles(hs.open(":memory:", embedder="none"))

    def size(text: str) -> int:
        given = 0
        for path in (f"/memories/{text}", "/memories" + text):
            with suppress(CommandError):
                given += len(parts_of(path))
        files.clear()
        with suppress(CommandError):
            files.create("/memories/a", text)
            given += len(files.view("/memories/a"))
            files.str_replace("/memories/a", text[:1], "b")
        with suppress(CommandError):
            files.insert("/memories/a", 0, text)
        return given

    return size


def _moment(text: str) -> int:
    with suppress(InputError):
        seconds_of(text, "when")
    return 0


def _names(text: str) -> int:
    return len(note_ids.base_id(text)) + bool(note_ids.version_number("a", text))


def _questions(text: str) -> int:
    words = fragments.content_words.__wrapped__(text, "english")
    sentences = fragments._sentences.__wrapped__(text)
    fragments.is_file_name(text)
    return _length(words) + _length(sentences) + fragments.length.__wrapped__(text)


def _same(text: str) -> int:
    consolidation.says_the_same(text, text[:-1])
    return _length(consolidation.significant_tokens(text)) + len(selection.normalised(text))


def _front(text: str) -> int:
    return len(str(front_matter(text)))


def surfaces(folder: Path | None) -> dict[str, Surface]:
    """Return all of them by name; files are written into `folder`. Without a folder only the names count."""
    suffixes = ("txt", "md", "py", "html", "rst", "csv", "tsv", "json", "jsonl")
    return {
        **{f"read {suffix}": _reader(suffix, folder) for suffix in suffixes},
        **{f"read {kind}": _file_reader(kind, made, folder) for kind, made in file_formats.FORMATS.items()},
        "joined pages": lambda text: _length(joined_pages(text.split("\f"))),
        "noise": _noise,
        "index": lambda text: _length(_ANALYSER.index(text)),
        "terms": lambda text: _length(_ANALYSER.terms(text)),
        "phrase": lambda text: _length(_ANALYSER.phrase(text)),
        **{f"chunk {format_}": _chunker(format_) for format_ in chunking.FORMATS},
        "first heading": lambda text: len(chunking.first_heading(text)),
        "query": _planner("simple"),
        "advanced query": _planner("advanced"),
        "search and explain": _searcher() if folder else len,
        "passage": _found() if folder else len,
        "filter": _filter,
        "memory files": _memory_files() if folder else len,
        "time": _moment,
        "note ids": _names,
        "questions of a text": _questions,
        "same words": _same,
        "front matter": _front,
        "token count": count_pieces,
        "hashing embedder": lambda text: len(HashingEmbedder().token_starts(text)),
        "answer": lambda text: len(Shown({"id": text}, text).block()),
    }
