"""What structured queries find that the same question as a text does not: conjunctions, negations, alternatives.

    python benchmarks/quality/structured.py --json OUT [--stores FILE... --collections DIR...]

Four kinds of sets with exact answers. Lists: people who like some of 120 things (after LIMIT: Weller and others, "On
the Theoretical Limitations of Embedding-Based Retrieval", 2025). Houses: descriptions of holiday houses by setting,
food, pastime and guests, worded otherwise than the questions (after QUEST: Malaviya and others, 2023, and the negations
of NegConstraint). Brochures: the same, each part in a section of its own, so that no passage has all that is asked for.
Judged: pairs of a collection's own questions whose relevant documents overlap; what is relevant to
both is the answer to "… and …", what is to the first alone that to "… but not …". Each store is one that `hybridstore
evaluate --keep` made of the collection of the same name, and is only read.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from holiday_houses import FILLING, PARTS
from nouns import GIVEN_NAMES, NOUNS, SURNAMES

import hybridstore as hs
from hybridstore import about
from hybridstore.evaluation import Collection, metric, paired_bootstrap
from hybridstore.search.algebra import StructuredQuery
from hybridstore.search.stopwords import stopwords_in

SEED = 11
PEOPLE, THINGS, LIKED = 400, 120, 24
HOUSES = 800
ASKED = 25  # questions of each kind and set
DEPTH = 100
METRICS = ("ndcg@10", "recall@100")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a kind as a text, as a structured query and as words with booleans, and the right documents."""

    kind: str
    text: str
    query: StructuredQuery
    booleans: str
    unwanted: tuple[str, ...]
    grades: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Topic:
    """What may be asked for, and the documents of which it is true."""

    text: str
    documents: frozenset[str]

    def words(self, joined: str) -> str:
        """Return its words for FTS5, without those that only carry the grammar."""
        words = "".join(sign if sign.isalnum() else " " for sign in self.text).split()
        ignored = set(stopwords_in(words, "english"))
        return "(" + f" {joined} ".join(f'"{word}"' for word in words if word not in ignored or len(words) == 1) + ")"


def asked(topics: Sequence[Topic], kind: str, joined: str = "AND") -> Asked:
    """Ask for what is true of all topics, or with `kind` "… not …" of all but the last, or "or" of any."""
    first, *others = topics
    last = topics[-1]
    if kind == "or":
        right = frozenset.union(*(topic.documents for topic in topics))
        query: StructuredQuery = about(first.text)
        for topic in others:
            query |= about(topic.text)
        text, words = " or ".join(topic.text for topic in topics), " OR ".join(each.words(joined) for each in topics)
        return Asked(kind, text, query, words, (), dict.fromkeys(right, 1))
    negated = kind.endswith("not")
    wanted = topics[:-1] if negated else topics
    right = frozenset.intersection(*(topic.documents for topic in wanted)) - (
        last.documents if negated else frozenset()
    )
    query = about(first.text)
    for topic in wanted[1:]:
        query &= about(topic.text)
    text, words = " and ".join(topic.text for topic in wanted), " AND ".join(each.words(joined) for each in wanted)
    if negated:
        query, text, words = (
            query & ~about(last.text),
            f"{text} but not {last.text}",
            f"{words} NOT {last.words('AND')}",
        )
    return Asked(kind, text, query, words, (last.text,) if negated else (), dict.fromkeys(right, 1))


def lists(chance: random.Random) -> tuple[list[hs.Document], list[Asked]]:
    """Return people and what they like, and questions for who likes several things."""
    names = [" ".join(each) for each in chance.sample(sorted(product(GIVEN_NAMES, SURNAMES)), PEOPLE)]
    things = chance.sample(NOUNS, THINGS)
    likes = {name: chance.sample(things, LIKED) for name in names}
    topics = {thing: Topic(thing, frozenset(n for n in names if thing in likes[n])) for thing in things}
    documents = [hs.Document(id=name, text=f"{name} likes {', '.join(all_)}.") for name, all_ in likes.items()]
    return documents, list(drawn(lambda: [topics[each] for each in chance.sample(things, 3)]))


def houses(chance: random.Random, brochures: bool = False) -> tuple[list[hs.Document], list[Asked]]:
    """Return houses, and questions by what is said of them in other words; `brochures` have a section for each part."""
    documents, having = [], dict[str, set[str]]()
    for number in range(HOUSES):
        said = [("Practical", chance.choice(FILLING))]
        for name, values in PARTS.items():
            value = chance.choice(sorted(values))
            said.append((name.capitalize(), chance.choice(values[value])))
            having.setdefault(value, set()).add(f"house {number}")
        chance.shuffle(said)
        text = " ".join(sentence for _, sentence in said)
        if brochures:
            text = "\n\n".join(f"## {name}\n\n{sentence}" for name, sentence in said)
        documents.append(hs.Document(id=f"house {number}", text=text, format="markdown"))

    def draw() -> list[Topic]:
        values = [chance.choice(sorted(PARTS[name])) for name in chance.sample(sorted(PARTS), 3)]
        return [Topic(value, frozenset(having[value])) for value in values]

    return documents, list(drawn(draw))


def drawn(draw: Callable[[], list[Topic]]) -> Iterator[Asked]:
    """Yield ASKED questions of each kind that have an answer."""
    for kind, count in (("and", 2), ("and and", 3), ("and not", 3), ("or", 2), ("not", 2)):
        there = 0
        while there < ASKED:
            question = asked(draw()[:count], "and" if kind == "and and" else kind)
            if question.grades:
                there += 1
                yield Asked(kind, *(getattr(question, name) for name in Asked.__slots__ if name != "kind"))


def judged(collection: Path, chance: random.Random) -> list[Asked]:
    """Return questions of pairs of a collection's own, of which at least two documents are relevant to both."""
    whole = Collection(collection)
    split = "test" if "test" in whole.splits else whole.splits[0]
    texts, qrels = whole.queries(), whole.qrels(split)
    right = {id_: frozenset(d for d, grade in grades.items() if grade > 0) for id_, grades in qrels.grades.items()}
    pairs = [
        (a, b) for a, b in product(sorted(right), repeat=2)
        if a != b and len(right[a] & right[b]) >= 2 and len(right[a] - right[b]) >= 2 and texts[a].text != texts[b].text
    ]  # fmt: skip
    questions = []
    for kind in ("and", "not"):
        for a, b in chance.sample(pairs, min(ASKED, len(pairs))):
            topics = [Topic(texts[each].text.strip(" .?\n"), right[each]) for each in (a, b)]
            questions.append(asked(topics, kind, joined="OR"))
    return questions


SEARCHES: Mapping[str, Callable[[hs.Store, Asked], Any]] = {
    "hybrid": lambda store, each: store.search(each.text, limit=DEPTH),
    "hybrid, words excluded": lambda store, each: store.search(each.text, limit=DEPTH, exclude=each.unwanted),
    "booleans": lambda store, each: store.search(each.booleans, limit=DEPTH, mode="keyword", syntax="advanced"),
    "algebra": lambda store, each: store.search(each.query, limit=DEPTH),
    "algebra, lukasiewicz": lambda store, each: store.search(each.query, limit=DEPTH, norm="lukasiewicz"),
    "algebra, per document": lambda store, each: store.search(each.query, limit=DEPTH, per="document"),
    "algebra, godel": lambda store, each: store.search(each.query, limit=DEPTH, norm="godel"),
}


def measured(store: hs.Store, questions: Sequence[Asked], algebra: str = "algebra") -> dict[str, Any]:
    """Return what each way of searching found, by kind of question, and how one of them compares with hybrid."""
    runs: dict[str, dict[str, list[str]]] = {name: {} for name in SEARCHES}
    qrels = {str(n): dict(each.grades) for n, each in enumerate(questions)}
    for n, each in enumerate(questions):
        for name, search in SEARCHES.items():
            runs[name][str(n)] = list(dict.fromkeys(hit.document_id for hit in search(store, each)))
    values = {
        name: {each: {n: metric(each)(ranked, qrels[n]) for n, ranked in run.items()} for each in METRICS}
        for name, run in runs.items()
    }
    found = {}
    for kind in dict.fromkeys(each.kind for each in questions):
        own = [str(n) for n, each in enumerate(questions) if each.kind == kind]
        row: dict[str, Any] = {"n": len(own)}
        for name, measures in values.items():
            row[name] = {each: round(sum(by[n] for n in own) / len(own), 4) for each, by in measures.items()}
        pair = ({n: values[name][METRICS[0]][n] for n in own} for name in ("hybrid", algebra))
        told = paired_bootstrap(*pair)
        row |= {"difference": round(told.difference, 4), "low": round(told.low, 4), "high": round(told.high, 4)}
        found[kind] = row
    return found


def main() -> None:
    """Measure, and write a file of results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--stores", type=Path, nargs="*", default=[])
    parser.add_argument("--collections", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    results: dict[str, Any] = {}
    for name, make in (("lists", lists), ("houses", houses), ("brochures", partial(houses, brochures=True))):
        documents, questions = make(random.Random(SEED))
        with TemporaryDirectory() as scratch, hs.open(Path(scratch) / "made.db") as store:
            store.add(documents, chunk=name == "brochures")
            together = "algebra, per document" if name == "brochures" else "algebra"
            results[name] = measured(store, questions, together)
    stores = {file.stem: file for file in options.stores}
    for folder in options.collections:
        with hs.open(stores[folder.name], read_only=True) as store:
            results[folder.name] = measured(store, judged(folder, random.Random(SEED)))
    for name, kinds in results.items():
        for kind, row in kinds.items():
            shown = ", ".join(
                f"{search} {row[search]['ndcg@10']:.3f}/{row[search]['recall@100']:.3f}" for search in SEARCHES
            )
            print(
                f"{name}, {kind} ({row['n']}): {shown}; "
                f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"
            )
    options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
