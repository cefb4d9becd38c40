"""Endpoints that write questions for passages, or judge whether a passage answers."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from hybridstore.endpoint import Endpoint
from hybridstore.errors import InputError
from hybridstore.tuning.false_negatives import Candidate, Judgment
from hybridstore.tuning.synthetic_questions import Question

if TYPE_CHECKING:
    from hybridstore.records import Trace
    from hybridstore.store import Store

_LONGEST_TEXT = 6000  # characters of a passage that are sent

_WRITE = """Write {count} different questions that a person might type into a search box and that the passage below \
answers. Each must make sense to somebody who has not seen the passage, use other words than it where that is natural, \
and be in the passage's language. Reply with a JSON list of strings and nothing else.

Passage:
{text}"""
_JUDGE = """Question: {question}

Passage A: {positive}

Passage B: {candidate}

Does passage B answer the question? Reply with one word: "no" if it does not; "answers" if it does, even in part; \
"better" if it does, and more directly than passage A."""


def from_endpoint(
    store: Store, endpoint: Endpoint, *, most: int, per_chunk: int = 2, seed: int = 0
) -> Iterator[Question]:
    """Have an endpoint write questions, `per_chunk` for one random chunk of a document, spread over the store.

    A chunk is skipped where the reply holds no question. Raises ModelUnavailable as `Endpoint.complete` does.
    """
    if most < 1 or per_chunk < 1:
        raise InputError(f"most and per_chunk must be at least 1, not {most} and {per_chunk}")
    rng = random.Random(seed)  # noqa: S311 - no secret
    places = set(rng.sample(range(store.count()), min(store.count(), -(-most // per_chunk))))
    with store.snapshot():  # not held while the endpoint answers
        ids = [stored.document.id for place, stored in enumerate(store.scan()) if place in places]
    rng.shuffle(ids)
    count = 0
    for document_id in ids:
        chunks = store.chunks.of([str(document_id)]).get(str(document_id), [])
        for passage in store.chunks.passages(rng.sample(chunks, 1)) if chunks else ():
            text = "\n".join(filter(None, (passage.title, passage.heading, passage.text)))[:_LONGEST_TEXT]
            prompt = _WRITE.format(count=min(per_chunk, most - count), text=text)
            for question in islice(_questions(endpoint.complete(prompt)), min(per_chunk, most - count)):
                yield Question(question, "endpoint", passage.chunk, passage.chunk)
                count += 1
        if count >= most:
            return


@dataclass(frozen=True, slots=True)
class EndpointJudge:
    """A judge at an endpoint. A reply with none of the three words counts as "answers", so it is excluded."""

    endpoint: Endpoint

    def __call__(self, trace: Trace, positive: Candidate, candidate: Candidate) -> Judgment:
        """Ask the endpoint; see `false_negatives.Judge`."""
        reply = self.endpoint.complete(
            _JUDGE.format(
                question=trace.query, positive=positive.text[:_LONGEST_TEXT], candidate=candidate.text[:_LONGEST_TEXT]
            )
        )
        words = re.findall(r"better|answers|no\b", reply.lower())
        judgment: Judgment = words[-1] if words else "answers"
        return judgment


def _questions(reply: str) -> list[str]:
    """Return the JSON list of strings in a reply, whatever surrounds it; else its lines, without their numbers."""
    start, end = reply.find("["), reply.rfind("]")
    try:
        listed = json.loads(reply[start : end + 1])
    except ValueError:
        listed = [re.sub(r"^\s*(?:[-*•]|\d+[.)])\s*", "", line) for line in reply.splitlines() if "?" in line]
    texts = [" ".join(text.split()) for text in listed if isinstance(text, str)] if isinstance(listed, list) else []
    return [text for text in dict.fromkeys(texts) if text]
