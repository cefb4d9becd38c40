"""Made-up conversations of three habits, to choose on besides real ones: in BEIR layout, for `run.py`.

    python benchmarks/memory/made_up.py FOLDER [--seed N]

Below FOLDER it writes `short-turns` (chats of a few words, many of them fillers, where the question of one turn is
answered in the next), `long-turns` (messages of several subjects each) and `many-speakers` (a group that talks across
one another). All tell the same kind of facts about their people; what is asked later uses other words than what was
said. Made from a seed, so the same everywhere.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

NAMES = [
    "Anna",
    "Ben",
    "Carla",
    "Deniz",
    "Emeka",
    "Farah",
    "Goran",
    "Hana",
    "Ivo",
    "Jun",
    "Katya",
    "Liam",
    "Mara",
    "Nils",
    "Oona",
    "Pedro",
]
FILLERS = [
    "haha yeah",
    "ok",
    "oh wow",
    "nice",
    "right",
    "mhm",
    "lol",
    "that's great!",
    "I see",
    "no way",
    "sounds good",
    "sure",
    "hm",
    "cool",
    "yes",
    "exactly",
    "thanks",
    "oh really?",
    "true",
    "so good",
    "aw",
    "love it",
    "good for you",
    "same here",
    "wait what",
]
CHATTER = [
    "The weather has been so strange this week, I never know which jacket to take.",
    "I slept badly, the neighbours had a party until three.",
    "Work is busy as always but I manage.",
    "I finally cleaned the kitchen, it took the whole morning.",
    "The trains were late again today.",
    "I watched that series everybody talks about and did not like it much.",
    "We should really meet more often, time goes by so fast.",
    "I am trying to drink less coffee these days.",
    "My phone is full of photos that I never look at.",
    "There was a long queue at the supermarket.",
]


@dataclass(frozen=True, slots=True)
class Fact:
    """What is asked in the talk and answered, told in a sentence, and asked later: of a person, with one value each."""

    prompt: str
    answer: str
    told: str
    asked: str
    values: str


FACTS = (
    Fact(
        "where did you end up moving to?",
        "{}!",
        "We finally moved to {}.",
        "In which city does {} live now?",
        "Lisbon Oslo Kraków Tampere Ghent Graz Porto Turin Malmö Cork Bilbao Trieste Bergen Lyon Basel Gdańsk",
    ),
    Fact(
        "so what did you get, a dog or a cat?",
        "a {}, two years old",
        "There is a {} in our flat since Monday.",
        "Which kind of pet did {} adopt?",
        "greyhound parrot tortoise ferret rabbit hedgehog beagle gecko poodle hamster goat corgi pug budgie",
    ),
    Fact(
        "what are you learning now?",
        "the {}, every Tuesday",
        "I take lessons on the {} every Tuesday evening.",
        "Which musical instrument does {} play?",
        "cello oboe banjo harp trumpet accordion ukulele bassoon violin drums clarinet flute mandolin tuba zither",
    ),
    Fact(
        "can you eat that?",
        "no, {} makes me ill",
        "The doctor says that I must stay away from {}.",
        "What food is {} allergic to?",
        "peanuts shrimp celery wheat milk soy sesame walnuts mustard eggs lupin kiwi almonds crab hazelnuts mango",
    ),
    Fact(
        "and what's the new job?",
        "I'm a {} now",
        "They hired me as a {} and I start in spring.",
        "What does {} do for a living?",
        "welder nurse surveyor baker pilot librarian carpenter dentist plumber notary optician chemist tailor vet",
    ),
    Fact(
        "where are you off to this summer?",
        "hiking in {}",
        "We have booked two weeks of walking in {}.",
        "To which place is {} going on holiday?",
        "Iceland Madeira Georgia Scotland Corsica Norway Slovenia Nepal Peru Wales Crete Sardinia Albania Bolivia",
    ),
    Fact(
        "what did you paint it?",
        "{}, all of it",
        "The whole hallway is {} now and it looks larger.",
        "What colour are the walls at home of {}?",
        "turquoise crimson ochre lilac emerald beige maroon indigo coral mint scarlet navy amber teal plum ivory",
    ),
    Fact(
        "what broke this time?",
        "the {}. again",
        "The {} has stopped working for the third time.",
        "Which device of {} keeps failing?",
        "dishwasher boiler printer scooter freezer router kettle lawnmower radiator toaster camera doorbell heater",
    ),
)

Turns = Iterator[tuple[str, str, bool]]
"""Speaker, text, and whether it tells the fact."""


def short(random_: random.Random, who: str, others: list[str], fact: Fact, value: str) -> Turns:
    """Yield an exchange of a few words among small talk; the answer alone names neither person nor subject."""
    other = random_.choice(others)
    for _ in range(random_.randint(2, 8)):
        yield random_.choice([who, other]), random_.choice([*FILLERS, *CHATTER]), False
    yield other, fact.prompt, False
    if random_.random() < 0.3:
        yield who, random_.choice(FILLERS), False
    yield who, fact.answer.format(value), True
    for _ in range(random_.randint(1, 4)):
        yield random_.choice([who, other]), random_.choice(FILLERS), False


def long(random_: random.Random, who: str, others: list[str], fact: Fact, value: str) -> Turns:
    """Yield messages of several sentences, one of which tells the fact, and one in reply."""
    for speaker in random_.choices([who, *others], k=random_.randint(1, 3)):
        yield speaker, " ".join(random_.sample(CHATTER, 4)), False
    sentences = [*random_.sample(CHATTER, 4), fact.told.format(value)]
    random_.shuffle(sentences)
    yield who, " ".join(sentences), True
    yield random_.choice(others), " ".join(random_.sample(CHATTER, 3)), False


def many(random_: random.Random, who: str, others: list[str], fact: Fact, value: str) -> Turns:
    """Yield a sentence between those of others about something else, and sometimes somebody's reaction."""
    for _ in range(random_.randint(1, 4)):
        yield random_.choice(others), random_.choice([*FILLERS, *CHATTER]), False
    yield who, fact.told.format(value), True
    if random_.random() < 0.5:
        yield random_.choice(others), f"Oh {who}, {random_.choice(FILLERS)}", False
    yield random_.choice(others), random_.choice(CHATTER), False


HABITS: dict[str, tuple[Callable[[random.Random, str, list[str], Fact, str], Turns], int]] = {
    "short-turns": (short, 4),
    "long-turns": (long, 4),
    "many-speakers": (many, 10),
}
SESSIONS = 8


def conversation(group: str, habit: str, random_: random.Random) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the turns of a conversation as documents, and its questions with the ids of the turns that tell."""
    tell, count = HABITS[habit]
    people = random_.sample(NAMES, count)
    facts = [
        (who, fact, value) for fact in FACTS for who, value in zip(people, _values(random_, fact, count), strict=True)
    ]
    random_.shuffle(facts)
    documents, questions = [], {}
    for session in range(1, SESSIONS + 1):
        date = (datetime(2024, 1, 5, 18, 30, tzinfo=UTC) + timedelta(days=5 * session)).strftime(
            "%I:%M %p on %d %B, %Y"
        )
        number = 0
        for who, fact, value in facts[session - 1 :: SESSIONS]:
            for speaker, text, counts in tell(random_, who, [name for name in people if name != who], fact, value):
                number += 1
                identifier = f"{group}/D{session}:{number}"
                if counts:
                    questions[fact.asked.format(who)] = identifier
                metadata = {"group": group, "session": session, "date": date.lower(), "speaker": speaker}
                documents.append({"_id": identifier, "text": f"{speaker}: {text}", "metadata": metadata})
    return documents, questions


def _values(random_: random.Random, fact: Fact, count: int) -> list[str]:
    return random_.sample(fact.values.split(), count)


def write(folder: Path, habit: str, seed: int, conversations: int = 4) -> None:
    """Write a habit's conversations as a collection."""
    random_ = random.Random(f"{habit} {seed}")
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    rows = ["query-id\tcorpus-id\tscore\n"]
    with gzip.open(folder / "corpus.jsonl.gz", "wt") as corpus, gzip.open(folder / "queries.jsonl.gz", "wt") as queries:
        for number in range(conversations):
            group = f"{habit}-{number}"
            documents, questions = conversation(group, habit, random_)
            corpus.writelines(json.dumps(each) + "\n" for each in documents)
            for n, (text, evidence) in enumerate(questions.items()):
                queries.write(json.dumps({"_id": f"{group}/q{n}", "text": text, "metadata": {"group": group}}) + "\n")
                rows.append(f"{group}/q{n}\t{evidence}\t1\n")
    (folder / "qrels" / "test.tsv").write_text("".join(rows), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for habit in HABITS:
        write(options.folder / habit, habit, options.seed)


if __name__ == "__main__":
    main()
