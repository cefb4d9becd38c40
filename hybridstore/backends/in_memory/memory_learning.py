# ruff: noqa: D102 - the protocol documents each method
"""The learning protocol in memory: model versions, triples, the query log, feedback and expectations."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from hybridstore.backends.batches import timestamp
from hybridstore.backends.in_memory.handle import Handle
from hybridstore.backends.learning import (
    Expectation,
    Feedback,
    LearningBackend,
    LoggedQuestion,
    ModelVersion,
    Triple,
    check_triples,
    report_json,
    storable,
)
from hybridstore.backends.values import Calibration
from hybridstore.backends.versions import Removal
from hybridstore.errors import NotFound


class MemoryLearning(LearningBackend):
    """What one store in memory has learned."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    # models

    def model(self) -> ModelVersion | None:
        return self._handle.contents().model()

    def models(self) -> list[ModelVersion]:
        return [replace(model, weights=b"") for model in self._handle.contents().models.values()]

    def version(self, number: int) -> ModelVersion:
        return self._handle.contents().version(number)

    def propose(self, model: ModelVersion) -> int:
        report = json.loads(report_json(model))
        with self._handle.lock, self._handle.writing() as draft:
            number = draft.last_model = draft.last_model + 1
            draft.models[number] = replace(model, number=number, report=report, made=model.made or timestamp())
            return number

    def promote(self, number: int | None, *, calibration: Calibration | None = None) -> ModelVersion | None:
        with self._handle.lock, self._handle.writing() as draft:
            if draft.promote(number) and calibration is not None:
                draft.calibration = calibration
            return draft.model()

    # triples

    def add_triples(self, triples: Sequence[Triple]) -> None:
        check_triples(triples)
        with self._handle.lock, self._handle.writing() as draft:
            for triple in triples:
                if triple.positive in draft.chunks and (triple.origin is None or triple.origin in draft.chunks):
                    number = draft.last_triple = draft.last_triple + 1
                    negatives = tuple(negative for negative in triple.negatives if negative.chunk in draft.chunks)
                    query = storable(triple.query)
                    draft.triples[number] = replace(triple, query=query, negatives=negatives, number=number)

    def triples(self, *, kind: str | None = None, limit: int | None = None) -> Iterator[Triple]:
        triples = self._handle.contents().triples.values()
        return islice((triple for triple in triples if kind in {None, triple.kind}), limit)

    def count_triples(self) -> int:
        return len(self._handle.contents().triples)

    def drop_triples(self) -> int:
        with self._handle.lock, self._handle.writing() as draft:
            dropped = len(draft.triples)
            draft.triples.clear()
            return dropped

    # the query log and feedback

    def log_queries(self, queries: Sequence[str]) -> None:
        with self._handle.lock, self._handle.writing() as draft:
            for query, times in Counter(map(storable, queries)).items():
                before = draft.query_log[query].times if query in draft.query_log else 0
                draft.query_log[query] = LoggedQuestion(query, before + times, draft.told_at(query))

    def query_log(self) -> list[LoggedQuestion]:
        return sorted(self._handle.contents().query_log.values(), key=lambda logged: (-logged.times, logged.query))

    def forget_queries(self, queries: Sequence[str] | None = None) -> int:
        with self._handle.lock, self._handle.writing() as draft:
            return draft.forget_queries(set(draft.query_log) if queries is None else set(map(storable, queries)))

    def add_feedback(self, query: str, chunk: int, *, used: bool) -> None:
        query = storable(query)
        with self._handle.lock, self._handle.writing() as draft:
            if chunk not in draft.chunks:
                raise NotFound(str(chunk), f"no chunk has the id {chunk}; it was removed or replaced: search again")
            for number, earlier in list(draft.feedback.items()):
                if (earlier.chunk, earlier.query) == (chunk, query):
                    del draft.feedback[number]
            draft.last_feedback += 1
            document_id = draft.chunks[chunk].document_id
            draft.feedback[draft.last_feedback] = Feedback(query, chunk, document_id, used, draft.told_at(query))

    def move_feedback(self, chunks: Mapping[int, int]) -> None:
        with self._handle.lock, self._handle.writing() as draft:
            there = {(feedback.chunk, feedback.query) for feedback in draft.feedback.values()}
            for number, feedback in reversed(list(draft.feedback.items())):  # the latest first, for it is to stay
                target = chunks.get(feedback.chunk, feedback.chunk)
                if target == feedback.chunk or target not in draft.chunks:
                    continue
                there.discard((feedback.chunk, feedback.query))
                if (target, feedback.query) in there:
                    del draft.feedback[number]
                else:
                    there.add((target, feedback.query))
                    document_id = draft.chunks[target].document_id
                    draft.feedback[number] = replace(feedback, chunk=target, document_id=document_id)

    def feedback(self) -> list[Feedback]:
        return list(self._handle.contents().feedback.values())

    # expectations

    def expect(self, query: str, document_id: str, within: int) -> None:
        with self._handle.lock, self._handle.writing() as draft:
            if document_id not in draft.documents:
                raise NotFound(document_id)
            new = Expectation(storable(query), document_id, within)
            draft.expectations[new.query, document_id] = replace(new, made=draft.told_at(new.query, new.key))

    def expectations(self) -> list[Expectation]:
        return list(self._handle.contents().expectations.values())

    def drop_expectations(self, expectations: Sequence[Expectation]) -> int:
        with self._handle.lock, self._handle.writing() as draft:
            keys = {(storable(each.query), each.document_id) for each in expectations}
            gone = [draft.expectations.pop(key) for key in keys if key in draft.expectations]
            draft.join({each.key: Removal(max(timestamp(), each.made)) for each in gone})
            return len(gone)

    def move_expectations(self, documents: Mapping[str, str]) -> int:
        with self._handle.lock, self._handle.writing() as draft:
            moving = [each for each in draft.expectations.values() if each.document_id in documents]
            for each in moving:
                del draft.expectations[each.query, each.document_id]
                draft.join({each.key: Removal(max(timestamp(), each.made))})
            for each in moving:
                target = documents[each.document_id]
                draft.expectations.setdefault((each.query, target), replace(each, document_id=target))
            return len(moving)

    # what another store has

    def absorb(
        self,
        *,
        queries: Sequence[LoggedQuestion] = (),
        feedback: Sequence[Feedback] = (),
        expectations: Sequence[Expectation] = (),
        forgotten: Mapping[str, str] | None = None,
        dropped: Sequence[Expectation] = (),
    ) -> None:
        with self._handle.lock, self._handle.writing() as draft:
            draft.forget_until(forgotten or {})
            for expected in dropped:
                draft.expectations.pop((expected.query, expected.document_id), None)
            draft.query_log |= {each.query: each for each in queries}
            for each in feedback:
                if each.chunk in draft.chunks:
                    same = [
                        number
                        for number, there in draft.feedback.items()
                        if (there.chunk, there.query) == (each.chunk, each.query)
                    ]
                    for number in same:
                        del draft.feedback[number]
                    draft.last_feedback += 1
                    draft.feedback[draft.last_feedback] = each
            draft.expectations |= {(each.query, each.document_id): each for each in expectations}
