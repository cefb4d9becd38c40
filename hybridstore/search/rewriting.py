"""Rewriting: other words for a question, from a language model, a function or a calling agent.

Nothing is asked or sent unless a search is given a rewriter. Even then the store decides whether to ask, as in "Let
Multimodal Embedders Learn When to Augment Query via Adaptive Query Augmentation" (M-Solomon), and a call that fails, or
takes too long, never fails a search. Rewrites are keywords, a hypothetical answer, and the question after a thought, as
in "O1 Embedder: Let Retrievers Think Before Action" and "Large Reasoning Embedding Models" (LREM).
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Protocol, runtime_checkable

from hybridstore.errors import HybridstoreError, InputError
from hybridstore.records import RewrittenText

KINDS = ("keywords", "meaning", "answer", "questions")
# What rewrites count at most. Handwritten ones gain .05 and .03 nDCG@10 on two collections at 0.5; those of another
# question change it by +.002 and +.001, and at 0.7 by +.007 and -.018 (docs/experiments.md).
WEIGHT = 0.5
_LONGEST = 2_000  # characters of a rewrite that are searched for
_MOST_QUESTIONS = 4

_PROMPT = """A search engine looks for passages that answer the question below. Reply with a JSON object and nothing \
else, in the question's language:
"thought": one sentence on what is asked for;
"keywords": up to ten words that a passage with the answer probably contains, and the question does not;
"answer": a passage of one to three sentences, as a document that answers the question might have it.

Question: {question}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrites:
    """Other texts for a question, "" where there is none; raises InputError if all are.

    `keywords` are searched for by words alone, `meaning` by meaning alone; `answer` is a passage as an answer might
    have it, and `questions` (at most four) are the question in other words: both legs search for these.
    """

    keywords: str = ""
    meaning: str = ""
    answer: str = ""
    questions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise InputError for an invalid value."""
        for value in (self.keywords, self.meaning, self.answer, *self.questions):
            if not isinstance(value, str):
                raise InputError(f"rewrites are texts, not {value!r:.100}")
        object.__setattr__(self, "questions", tuple(self.questions)[:_MOST_QUESTIONS])
        if not self.texts():
            raise InputError(f"there is nothing to search for in these rewrites; name one of {', '.join(KINDS)}")

    def texts(self) -> list[tuple[str, str]]:
        """Return the texts there are, cut to 2,000 characters, each after its kind."""
        every = [("keywords", self.keywords), ("meaning", self.meaning), ("answer", self.answer)]
        every += [("questions", text) for text in self.questions]
        return [(kind, text.strip()[:_LONGEST]) for kind, text in every if any(map(str.isalnum, text))]


Rewriter = Callable[[str], Rewrites | Mapping[str, Any] | str | Sequence[str]]
"""Takes a question and returns its Rewrites, a mapping of their fields, or one or several texts: other wordings."""


@runtime_checkable
class LanguageModel(Protocol):
    """Anything that replies to a prompt, such as `hybridstore.Endpoint`."""

    def complete(self, prompt: str) -> str:
        """Return the model's reply."""
        ...


class RewriteCounts:
    """How many searches a rewriter was there for, how many asked it, how many calls failed, and what they took."""

    def __init__(self) -> None:
        self.searches = self.asked = self.failed = 0
        self.seconds = 0.0
        self._lock = threading.Lock()

    @property
    def saved(self) -> int:
        """The calls that were not made, as the store seemed to have the answer already."""
        return self.searches - self.asked

    def count(self, *, asked: bool, failed: bool = False, seconds: float = 0.0) -> None:
        """Count a search."""
        with self._lock:
            self.searches += 1
            self.asked += asked
            self.failed += failed
            self.seconds += seconds

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers, ready for JSON."""
        return {name: getattr(self, name) for name in ("searches", "asked", "saved", "failed", "seconds")}

    def __repr__(self) -> str:
        return f"<RewriteCounts {self.to_dict()}>"


@dataclass(frozen=True, slots=True)
class Rewrite:
    """How a search has its question rewritten; see `Store.search`.

    `rewriter` is a function, or a language model that is asked for keywords, a thought and a hypothetical answer. It is
    asked only where the plain search looks unsure, or `always`, and given up after `seconds`. Rewrites count at most
    `weight` of a score. `counts` say how often it was asked, and how many calls were saved, as long as this object is
    used. Raises InputError for invalid values.
    """

    rewriter: Rewriter | LanguageModel
    always: bool = False
    seconds: float = 10.0
    weight: float = WEIGHT
    counts: RewriteCounts = field(default_factory=RewriteCounts, compare=False)

    def __post_init__(self) -> None:
        """Raise InputError for an invalid value."""
        if not callable(self.rewriter) and not isinstance(self.rewriter, LanguageModel):
            raise InputError(
                "rewrite takes a function of the question, a hybridstore.Endpoint, or hybridstore.Rewrites, "
                f"not {self.rewriter!r:.100}"
            )
        for name, most in (("seconds", math.inf), ("weight", 1.0)):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0.0 < value <= most:
                within = "above 0" if most > 1.0 else "above 0 and up to 1"
                raise InputError(f"the {name} of rewriting must be a number {within}, not {value!r}")


def settled(rewrite: Rewrite | Rewrites | None, used: Sequence[RewrittenText]) -> Rewrite | Rewrites | None:
    """Return what searches with the same rewrites again, without asking for them; None where there were none."""
    if not isinstance(rewrite, Rewrite):
        return rewrite
    if not used:
        return None
    texts = {kind: [each.text for each in used if each.kind == kind] for kind in KINDS}
    single = {kind: " ".join(texts[kind]) for kind in KINDS[:3]}
    rewrites = Rewrites(**single, questions=tuple(texts["questions"]))
    return Rewrite(lambda _: rewrites, always=True, weight=rewrite.weight)


RewriteOption = Rewrite | Rewrites | Rewriter | LanguageModel | Mapping[str, Any]
"""What `search` takes as `rewrite`."""


def rewrite_of(value: RewriteOption | None) -> Rewrite | Rewrites | None:
    """Return what a search's `rewrite` argument is: texts that are taken as they are, or how to ask for some."""
    if value is None or isinstance(value, Rewrite | Rewrites):
        return value
    return _rewrites(value) if isinstance(value, Mapping) else Rewrite(value)


def _rewrites(value: object) -> Rewrites:
    """Return what a rewriter answered; raises InputError for anything else."""
    if isinstance(value, Rewrites):
        return value
    if isinstance(value, Mapping):
        if unknown := [str(key) for key in value if key not in KINDS]:
            raise InputError(f"rewrites have no {', '.join(unknown)}; they have {', '.join(KINDS)}")
        questions = value.get("questions", ())
        return Rewrites(**{**value, "questions": (questions,) if isinstance(questions, str) else tuple(questions)})
    if isinstance(value, str):
        return Rewrites(questions=(value,))
    if isinstance(value, Sequence):
        return Rewrites(questions=tuple(value))
    raise InputError(f"a rewriter returns Rewrites, a mapping or texts, not {type(value).__name__}")


@dataclass(frozen=True, slots=True)
class Answered:
    """What a rewriter answered: the rewrites, or None and why there are none; and the seconds it took."""

    rewrites: Rewrites | None
    error: str
    seconds: float


def ask(rewrite: Rewrite, question: str) -> Answered:
    """Ask a rewriter, in a thread of its own that is left behind when time is up."""
    outcome: list[Rewrites | str] = []

    def work() -> None:
        try:
            outcome.append(_asked(rewrite, question))
        except HybridstoreError as error:
            outcome.append(str(error))
        except Exception as error:  # noqa: BLE001 - the caller's function may raise anything; the Trace says what
            outcome.append(f"{type(error).__name__}: {error}")

    started = perf_counter()
    thread = threading.Thread(target=work, name="hybridstore-rewrite", daemon=True)
    thread.start()
    thread.join(min(rewrite.seconds, threading.TIMEOUT_MAX))
    took = perf_counter() - started
    answer = outcome[0] if outcome else f"there was no answer within {rewrite.seconds:g} s"
    return Answered(None, answer, took) if isinstance(answer, str) else Answered(answer, "", took)


def _asked(rewrite: Rewrite, question: str) -> Rewrites:
    from hybridstore.endpoint import Endpoint  # here, as it loads an HTTP client

    rewriter = rewrite.rewriter
    if isinstance(rewriter, Endpoint):
        rewriter = replace(rewriter, attempts=1, timeout=min(rewriter.timeout, rewrite.seconds))
    if isinstance(rewriter, LanguageModel):
        return from_reply(question, rewriter.complete(_PROMPT.format(question=question)))
    return _rewrites(rewriter(question))


def from_reply(question: str, reply: str) -> Rewrites:
    """Return the rewrites in a model's reply: a JSON object, whatever surrounds it, or else the reply as an answer."""
    start, end = reply.find("{"), reply.rfind("}")
    try:
        found = json.loads(reply[start : end + 1])
    except ValueError:
        found = {"answer": reply}
    fields = found if isinstance(found, dict) else {"answer": reply}
    keywords, thought, answer = (_text(fields.get(name)) for name in ("keywords", "thought", "answer"))
    return Rewrites(keywords=keywords, meaning=f"{thought} {question}" if thought else "", answer=answer)


def _text(value: object) -> str:
    """Return what a model put where a text was expected: a text, or texts in a list."""
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return value.strip() if isinstance(value, str) else ""
