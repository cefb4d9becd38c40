"""What an encoder is fine-tuned on, and how: its settings, its training examples, and batches of them."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridstore.backends.learning import Triple
from hybridstore.errors import InputError
from hybridstore.store.embedder_choice import embedded_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hybridstore.store import Store

LOSSES = ("softmax", "listwise", "sigmoid")
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("fp32", "int8", "fp16")
_CHOICES = {"loss": LOSSES, "device": DEVICES, "precision": PRECISIONS}
_TINY, _MANY = 1e-12, 2**31
_LIMITS: dict[str, tuple[float, float, str]] = {
    **dict.fromkeys(("epochs", "layers", "threads", "checkpoint_every"), (1, _MANY, "at least 1")),
    "batch": (2, _MANY, "at least 2, since the other questions' answers serve as negatives"),
    "negatives": (0, _MANY, "at least 0"),
    "max_tokens": (8, _MANY, "at least 8"),
    **dict.fromkeys(("rate", "temperature", "clip"), (_TINY, _MANY, "a number above 0")),
    **dict.fromkeys(("warmup", "blend"), (0, 1, "from 0 to 1")),
}

_AT_ONCE = 256  # triples whose texts are read together
# Examples tried for one place in a batch: few are put off unless one text answers nearly everything.
_LOOKED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneSettings:
    """How an encoder is fine-tuned. Raises InputError for values that make no sense.

    `epochs` passes over the examples, `batch` of them a step, each with at most `negatives` of its negatives, texts cut
    to `max_tokens`. `rate` is the highest learning rate, reached after the share `warmup` of the steps and then falling
    to nothing. `loss` is "softmax", "listwise" or "sigmoid" (see `training`), over cosines divided by `temperature`.
    `layers` is how many of the last layers are trained (None: all), `embeddings` whether the word vectors are too: they
    are half of a small model's weights, and its memory. `blend` interpolates from the old weights (0) to the trained
    ones (1): below 1 the model forgets less of what it knew. `clip` is the largest gradient norm.

    `precision` is that of the exported model: "fp32", "int8" for CPUs, "fp16" for GPUs. `device` "auto" is a GPU where
    there is one. `threads` None uses PyTorch's default. A checkpoint is written every `checkpoint_every` steps.
    """

    epochs: int = 2
    batch: int = 32
    negatives: int = 2
    max_tokens: int = 128
    rate: float = 2e-5
    warmup: float = 0.1
    loss: str = "softmax"
    temperature: float = 0.05
    layers: int | None = None
    embeddings: bool = False
    blend: float = 1.0
    clip: float = 1.0
    seed: int = 0
    precision: str = "fp32"
    device: str = "auto"
    threads: int | None = None
    checkpoint_every: int = 50

    def __post_init__(self) -> None:
        for name, values in _CHOICES.items():
            if getattr(self, name) not in values:
                raise InputError(f"{name} must be one of {', '.join(values)}, not {getattr(self, name)!r}")
        for name, (least, most, words) in _LIMITS.items():
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and least <= value <= most):
                raise InputError(f"{name} must be {words}, not {value!r}")
        if self.loss == "listwise" and self.negatives == 0:
            raise InputError("loss='listwise' compares a positive with its negatives; allow some with negatives=")

    def identity(self) -> dict[str, Any]:
        """Return the settings that the trained weights depend on; a checkpoint is reused only where they are equal."""
        irrelevant = ("precision", "blend", "threads", "checkpoint_every", "device")
        return {name: value for name, value in asdict(self).items() if name not in irrelevant}


@dataclass(frozen=True, slots=True)
class Example:
    """A question, a text that answers it, and negatives: texts that only look as if they did.

    `scores` are soft labels of the positive and then the negatives, higher is better; () where there are none.
    `ignored` are texts that may answer or not: they are no negatives when they answer another question of the batch.
    """

    query: str
    positive: str
    negatives: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    ignored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.query.strip() or not self.positive.strip():
            raise InputError("an example needs a question and a text that answers it; one of them is empty")
        if self.scores and len(self.scores) != 1 + len(self.negatives):
            raise InputError(
                f"an example of {len(self.negatives)} negatives has {1 + len(self.negatives)} scores, the positive's "
                f"first, not {len(self.scores)}"
            )


@dataclass(frozen=True, slots=True)
class Batch:
    """Questions (n) and distinct passages (m); `targets` (n,) int64 says which passage answers each.

    `ignored` (n, m) marks passages that are neither target nor negative: a question's other answers, and those that may
    answer it. `lists` (n, k) int64 are each question's own passages, its target first, -1 where it has fewer; `scores`
    (n, k) float32 their soft labels.
    """

    queries: tuple[str, ...]
    passages: tuple[str, ...]
    targets: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    lists: NDArray[np.int64]
    scores: NDArray[np.float32]


def from_triples(store: Store, triples: Iterable[Triple]) -> Iterator[Example]:
    """Read the triples' texts from the store, a few at a time, as its embedder sees them.

    Negatives that a guard doubted are ignored. Triples whose positive is gone are left out.
    """
    rest = iter(triples)
    while some := list(islice(rest, _AT_ONCE)):
        wanted = {triple.positive for triple in some} | {
            negative.chunk for triple in some for negative in triple.negatives
        }
        texts = {
            passage.chunk: embedded_text(passage.title, passage.heading, passage.text)
            for passage in store.chunks.passages(sorted(wanted))
        }
        for triple in some:
            positive = texts.get(triple.positive, "")
            if not triple.query.strip() or not positive.strip():
                continue
            # A copy of the answer in another document is an answer too.
            different = [n for n in triple.negatives if texts.get(n.chunk, positive) != positive]
            trained = [n for n in different if n.excluded is None]
            yield Example(
                query=triple.query,
                positive=positive,
                negatives=tuple(texts[n.chunk] for n in trained),
                scores=(triple.score, *(n.score for n in trained)),
                ignored=tuple(texts[n.chunk] for n in different if n.excluded is not None),
            )


def order(examples: Sequence[Example], size: int, seed: int, epoch: int) -> list[list[int]]:
    """Return an epoch's batches of at most `size`, as places in `examples`: the same for the same seed.

    No question and no positive occurs twice in a batch. Examples with the same positive are spread over the epoch. An
    example alone in its batch, without negatives, is left out: nothing could be learned from it.
    """
    rng = np.random.default_rng((seed, epoch))
    times = Counter(example.positive for example in examples)
    seen: Counter[str] = Counter()
    keys = np.empty(len(examples))
    for place in rng.permutation(len(examples)).tolist():
        positive = examples[place].positive
        keys[place] = (seen[positive] + rng.random()) / times[positive]
        seen[positive] += 1
    waiting = deque(np.argsort(keys, kind="stable").tolist())
    batches: list[list[int]] = []
    while waiting:
        batch: list[int] = []
        taken: set[tuple[str, str]] = set()
        put_off: list[int] = []
        while waiting and len(batch) < size and len(put_off) < _LOOKED * size:
            place = waiting.popleft()
            names = {("query", examples[place].query), ("positive", examples[place].positive)}
            if taken & names:
                put_off.append(place)
            else:
                batch.append(place)
                taken |= names
        waiting.extendleft(reversed(put_off))
        if len(batch) > 1 or examples[batch[0]].negatives:
            batches.append(batch)
    return batches


def answers(examples: Sequence[Example]) -> dict[str, set[str]]:
    """Return for each question all texts that are known to answer it."""
    known: defaultdict[str, set[str]] = defaultdict(set)
    for example in examples:
        known[example.query].add(example.positive)
    return known


def assemble(
    examples: Sequence[Example],
    places: Sequence[int],
    known: Mapping[str, set[str]],
    *,
    negatives: int,
    seed: int,
    epoch: int,
) -> Batch:
    """Put a batch together, with at most `negatives` random negatives of each example, different ones each epoch."""
    passages: dict[str, int] = {}
    lists: list[list[int]] = []
    scores: list[list[float]] = []
    for place in places:
        example = examples[place]
        chosen = np.random.default_rng((seed, epoch, place)).permutation(len(example.negatives))[:negatives]
        listed = [0, *sorted(1 + int(n) for n in chosen if example.negatives[n] not in known[example.query])]
        texts = (example.positive, *example.negatives)
        lists.append([passages.setdefault(texts[n], len(passages)) for n in listed])
        scores.append([example.scores[n] for n in listed] if example.scores else [1.0, *[0.0] * (len(listed) - 1)])
    targets = np.array([row[0] for row in lists], dtype=np.int64)
    ignored = np.zeros((len(places), len(passages)), dtype=np.bool_)
    for row, place in enumerate(places):
        for text in known[examples[place].query].union(examples[place].ignored):
            if text in passages:
                ignored[row, passages[text]] = True
    ignored[np.arange(len(places)), targets] = False
    width = max(len(row) for row in lists)
    return Batch(
        queries=tuple(examples[place].query for place in places),
        passages=tuple(passages),
        targets=targets,
        ignored=ignored,
        lists=np.array([row + [-1] * (width - len(row)) for row in lists], dtype=np.int64),
        scores=np.array([row + [0.0] * (width - len(row)) for row in scores], dtype=np.float32),
    )
