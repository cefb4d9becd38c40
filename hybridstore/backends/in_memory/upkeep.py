"""Upkeep of a store in memory: its parts compared with each other, and the queries that quote a purged document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hybridstore.backends.in_memory.contents import Contents, DocumentRecord
from hybridstore.backends.keyword_scoring import index_columns, weigh
from hybridstore.backends.quoting import quoting
from hybridstore.backends.values import Problem
from hybridstore.text.analysis import Analyser

_EXAMPLES = 5


def check(contents: Contents, analyser: Analyser) -> list[Problem]:
    """Compare documents, chunks, keywords, vectors and learning with each other; return what is wrong."""
    chunks, active = contents.chunks, contents.active
    owned = {chunk for record in contents.documents.values() for chunk in record.chunks}
    postings: dict[str, dict[int, float]] = {}
    wrong = []
    for passage in contents.passages(chunks.keys() & owned):
        columns = index_columns(analyser, passage.title, passage.heading, passage.text, passage.uri)
        if chunks[passage.chunk].columns != tuple(tuple(column.split()) for column in columns):
            wrong.append(passage.chunk)
    for number, chunk in chunks.items():
        for token, frequency in weigh(chunk.columns)[1].items():
            postings.setdefault(token, {})[number] = frequency
    named = {feedback.chunk for feedback in contents.feedback.values()}
    for triple in contents.triples.values():
        named |= {triple.positive, triple.origin or triple.positive, *(each.chunk for each in triple.negatives)}
    model = contents.model()
    misplaced = model and (active is None or active.embedding.fingerprint != model.target)
    checks: dict[str, Iterable[object]] = {
        "chunks without a document, or the other way round": chunks.keys() ^ owned,
        "chunks whose keyword entries do not fit their text": wrong,
        "tokens whose postings are not those of the chunks": [
            token for token in postings | contents.postings if postings.get(token) != contents.postings.get(token)
        ],
        "vectors without a chunk": {
            chunk for generation in contents.generations.values() for chunk in generation.vectors.keys() - chunks.keys()
        },
        "chunks without a vector (`hybridstore embed` makes them)": [
            *(chunks.keys() - active.vectors if active else ()),
            *(
                chunk
                for leg in contents.legs()
                if leg.calibration
                for chunk in contents.pending(leg.embedding.fingerprint)
            ),
        ],
        "feedback or triples of chunks that are not there": named - chunks.keys(),
        "an active model for vectors that are not those searched": [model.number] if model and misplaced else (),
    }
    found = {what: sorted(map(str, some)) for what, some in checks.items()}
    return [Problem(what, len(some), tuple(some[:_EXAMPLES])) for what, some in found.items() if some]


def quoted(before: Contents, after: Contents, ids: Sequence[str], analyser: Analyser) -> set[str]:
    """Return the queries that hold what the documents with these ids held and none holds `after` they have gone."""
    gone = [*ids, *_texts(before.documents[id_] for id_ in ids if id_ in before.documents)]
    left = "\0".join(_texts(after.documents.values())).encode()
    queries = {*before.query_log, *(triple.query for triple in before.triples.values())}
    queries |= {feedback.query for feedback in before.feedback.values()}
    queries |= {expected.query for expected in after.expectations.values()}
    lost = before.postings.keys() - after.postings.keys()
    return quoting(queries, gone, lost, lambda piece: piece in left, analyser)


def _texts(records: Iterable[DocumentRecord]) -> Iterator[str]:
    for record in records:
        document = record.document
        yield from (str(document.id), document.title, document.uri, record.metadata, record.source or "", document.text)
