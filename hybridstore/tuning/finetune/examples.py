"""What an encoder learns from: questions each with a text that answers it, and texts that do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from hybridstore.backends.learning import Triple
from hybridstore.backends.protocols import Backend
from hybridstore.errors import InputError
from hybridstore.store.embedder_choice import embedded_text

_AT_ONCE = 256  # triples whose texts are read together


@dataclass(frozen=True, slots=True)
class Example:
    """A question, a text that answers it, and texts that only look as if they did.

    `scores` are soft labels of the positive and then the negatives, higher is better; () where there are none. `spared`
    are texts of which nobody knows: they are not held against the question when they answer another one.
    """

    query: str
    positive: str
    negatives: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    spared: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.query.strip() or not self.positive.strip():
            raise InputError("an example needs a question and a text that answers it; one of them is empty")
        if self.scores and len(self.scores) != 1 + len(self.negatives):
            raise InputError(
                f"an example of {len(self.negatives)} negatives has {1 + len(self.negatives)} scores, the positive's "
                f"first, not {len(self.scores)}"
            )


def from_triples(backend: Backend, triples: Iterable[Triple]) -> Iterator[Example]:
    """Read the triples' texts from the store, a few at a time, as its embedder sees them.

    Negatives that a guard doubted are spared. Triples whose positive is gone are left out.
    """
    rest = iter(triples)
    while some := list(islice(rest, _AT_ONCE)):
        wanted = {triple.positive for triple in some} | {each.chunk for triple in some for each in triple.negatives}
        texts = {
            passage.chunk: embedded_text(passage.title, passage.heading, passage.text)
            for passage in backend.passages(sorted(wanted))
        }
        for triple in some:
            positive = texts.get(triple.positive, "")
            if not triple.query.strip() or not positive.strip():
                continue
            # A copy of the answer in another document is an answer too.
            here = [each for each in triple.negatives if texts.get(each.chunk, positive) != positive]
            trained = [each for each in here if each.excluded is None]
            yield Example(
                query=triple.query,
                positive=positive,
                negatives=tuple(texts[each.chunk] for each in trained),
                scores=(triple.score, *(each.score for each in trained)),
                spared=tuple(texts[each.chunk] for each in here if each.excluded is not None),
            )
