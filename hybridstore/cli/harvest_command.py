"""`harvest`: questions to triples, what was harvested, and the log it came from."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.progress_display import Rate, progress
from hybridstore.cli.shared_options import examples, json_option
from hybridstore.cli.store_option import Target, pass_target
from hybridstore.cli.terminal import count, print_json, say

if TYPE_CHECKING:
    from hybridstore.store import Store
    from hybridstore.tuning.endpoint import Endpoint
    from hybridstore.tuning.false_negatives import Judge
    from hybridstore.tuning.synthetic_questions import Question

_OWN = ("corpus", "log", "feedback")
_SOURCES = (*_OWN, "endpoint")
# Written out, for importing the rooms would load NumPy for every `--help`; a test holds them against those.
KINDS = ("title", "heading", "opening", "sentence", "crop", "keywords", "template")
_JUDGES = ("lexical", "endpoint", "none")
_SHOWN = 10


def _several(known: tuple[str, ...]) -> Any:
    """Give an option's callback: "a,b" as a tuple of known names."""

    def read(_: click.Context, option: click.Parameter, value: str | None) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(name.strip() for name in (value or "").split(",") if name.strip()))
        for name in names:
            if name not in known:
                raise click.BadParameter(f"{name!r} is not one of {', '.join(known)}", param=option)
        return names

    return read


@click.command(
    epilog=examples(
        "hybridstore harvest --from corpus --most 2000",
        "hybridstore harvest --labelled judged.jsonl",
        "hybridstore harvest --show 5",
        "hybridstore harvest --asked",
    )
)
@click.option(
    "--from",
    "sources",
    metavar="LIST",
    callback=_several(_SOURCES),
    help="Where questions come from: corpus (made out of the store's own text), log, feedback, endpoint; several with "
    "commas. Without it the first three; beside --labelled or --endpoint only what these give.",
)
@click.option(
    "--labelled",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help='Questions with judgments: JSON lines {"query", "document", "relevant"}, or a folder in BEIR layout.',
)
@click.option("--endpoint", metavar="URL", help="An OpenAI-compatible endpoint to write questions; it gets passages.")
@click.option("--model", metavar="NAME", help="The endpoint's model. Its key is read from OPENAI_API_KEY.")
@click.option(
    "--judge",
    "judge_name",
    default="lexical",
    show_default=True,
    type=click.Choice(_JUDGES),
    help="Who says whether a negative answers as well. At the --endpoint it gets passages.",
)
@click.option("--kinds", metavar="LIST", callback=_several(KINDS), help=f"Of the corpus only: {', '.join(KINDS)}.")
@click.option(
    "--most",
    default=1000,
    show_default=True,
    type=click.IntRange(1),
    metavar="N",
    help="Questions of the corpus, of the log and of the endpoint, at most so many each.",
)
@click.option(
    "--negatives", default=8, show_default=True, type=click.IntRange(1), metavar="N", help="A triple at most."
)
@click.option("--seed", default=0, show_default=True, type=int, metavar="N", help="Another one makes other questions.")
@click.option("--add", is_flag=True, help="Keep the triples from before; without it new ones take their place.")
@click.option(
    "--show",
    type=click.IntRange(1),
    is_flag=False,
    flag_value=_SHOWN,
    metavar="[N]",
    help=f"Only show the first N triples there are, {_SHOWN} without N.",
)
@click.option(
    "--jsonl",
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help='Only write the triples there are as lines of JSON, with their texts; "-" is standard output.',
)
@click.option("--forget", is_flag=True, help="Only forget all triples.")
@click.option("--asked", is_flag=True, help="Only list the log: the questions that were asked here.")
@click.option("--forget-asked", is_flag=True, help="Only forget the log, with its triples and feedback.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
@pass_target
def harvest(
    target: Target,
    /,
    *,
    show: int | None,
    jsonl: str | None,
    forget: bool,
    asked: bool,
    forget_asked: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Make triples to learn from: a question, a passage that answers it, and passages that only look like it.

    Questions are made out of the store's own text, or come from its log, from feedback and from a file. Each is
    searched once; where words and meaning disagree, there is something to learn for `hybridstore tune`. Nothing leaves
    this machine unless an --endpoint is named.
    """
    from hybridstore.cli import triple_output

    wanted = {"--show": show, "--jsonl": jsonl, "--forget": forget, "--asked": asked, "--forget-asked": forget_asked}
    given = [name for name, value in wanted.items() if value]
    if len(given) > 1:
        raise click.UsageError(f"{given[0]} and {given[1]} are two different things to do; name one")
    with target.open(embedder="none" if given else None) as store:
        learning = store.learning
        if show is not None:
            triple_output.show(store, show, as_json=as_json)
        elif jsonl is not None:
            if (written := triple_output.write(store, jsonl)) is not None:
                say(f"Wrote {count(written, 'triple')} to {jsonl}.")
        elif asked:
            triple_output.print_asked(learning.query_log(), as_json=as_json)
        elif forget or forget_asked:
            forgotten = learning.drop_triples() if forget else learning.forget_queries()
            _tell_forgotten(forgotten, "triple" if forget else "question", as_json=as_json)
        else:
            _harvest(target, store, as_json=as_json, **options)


def _tell_forgotten(number: int, noun: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"forgotten": number})
    else:
        say(f"Forgot {count(number, noun)}.")


def _harvest(
    target: Target,
    store: Store,
    *,
    judge_name: str,
    negatives: int,
    add: bool,
    quiet: bool,
    as_json: bool,
    endpoint: str | None,
    model: str | None,
    **asked: Any,
) -> None:
    from hybridstore.cli import triple_output
    from hybridstore.tuning import harvesting

    helper = _endpoint(endpoint, model, asked["sources"], judge_name)
    total, questions = _questions(store, helper=helper, judging=judge_name == "endpoint", **asked)
    found = harvesting.harvest(
        store,
        questions,
        settings=harvesting.Settings(negatives=negatives),
        judge=_judge(helper) if judge_name == "endpoint" else None,
        judged=judge_name != "none",
    )
    target.kept = "The triples that were made are kept."
    rate = Rate("questions")
    done = 0
    with progress("Harvesting", quiet=quiet) as update:

        def told(_: harvesting.Harvested) -> None:
            nonlocal done
            done += 1
            update(done, total, f"{done:,}/{total:,} questions", rate.of(done))

        every = harvesting.keep(store, found, replace=not add, progress=told)
    triple_output.print_summary(every, store.chunks.count(), store.learning.count_triples(), as_json=as_json)


def _endpoint(url: str | None, model: str | None, sources: tuple[str, ...], judge: str) -> Endpoint | None:
    if url is None:
        if model is not None or judge == "endpoint" or "endpoint" in sources:
            raise click.UsageError("name the --endpoint's URL too")
        return None
    if model is None:
        raise click.UsageError("name the endpoint's --model too")
    from hybridstore.tuning.endpoint import Endpoint

    return Endpoint(url, model)


def _judge(endpoint: Endpoint | None) -> Judge | None:
    if endpoint is None:
        return None
    from hybridstore.tuning.endpoint import EndpointJudge

    return EndpointJudge(endpoint)


def _questions(
    store: Store,
    *,
    sources: tuple[str, ...],
    labelled: Path | None,
    helper: Endpoint | None,
    judging: bool,
    kinds: tuple[str, ...],
    most: int,
    seed: int,
) -> tuple[int, Iterator[Question]]:
    """Give how many questions there will be, at most, and the questions; those of an endpoint as they are written."""
    from hybridstore.errors import InputError
    from hybridstore.tuning import judged_questions, synthetic_questions

    if not sources:
        sources = ("endpoint",) if helper and not judging else () if labelled else _OWN
    ready: list[Question] = []
    if labelled is not None:
        ready += judged_questions.from_labelled(store, labelled)
    if "feedback" in sources:
        ready += judged_questions.from_feedback(store)
    if "log" in sources:
        ready += judged_questions.from_log(store, most=most)
    if "corpus" in sources:
        ready += synthetic_questions.from_corpus(store, most=most, seed=seed, kinds=kinds or KINDS)
    if helper is None or "endpoint" not in sources:
        if not ready:
            raise InputError(
                "there are no questions: nothing can be made of this store's text, and nobody has asked anything; with "
                '--labelled you may bring questions of your own, as {"query": "…", "document": "id"}'
            )
        return len(ready), iter(ready)
    from hybridstore.tuning.endpoint import from_endpoint

    return len(ready) + most, chain(ready, from_endpoint(store, helper, most=most, seed=seed))
