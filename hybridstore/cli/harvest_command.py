"""`harvest`: training triples from questions; the triples that were collected, and the query log."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli import triple_output
from hybridstore.cli.shared_options import Target, examples, json_option, number_option, pass_target, quiet_option
from hybridstore.cli.terminal import count, counting, print_json, say

if TYPE_CHECKING:
    from hybridstore.endpoint import Endpoint
    from hybridstore.store import Store
    from hybridstore.tuning.synthetic_questions import Question

_OWN = ("corpus", "log", "feedback")
_SOURCES = (*_OWN, "endpoint")
# Repeated here, because importing the modules would load NumPy for every `--help`; a test compares them.
KINDS = ("title", "heading", "opening", "sentence", "crop", "keywords", "template")
_JUDGES = ("lexical", "endpoint", "none")
_SHOWN = 10


def _names(known: tuple[str, ...]) -> Any:
    """Return an option's callback that parses "a,b" into a tuple of known names."""

    def parse(_: click.Context, option: click.Parameter, value: str | None) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(name.strip() for name in (value or "").split(",") if name.strip()))
        for name in names:
            if name not in known:
                raise click.BadParameter(f"{name!r} is not one of {', '.join(known)}", param=option)
        return names

    return parse


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
    callback=_names(_SOURCES),
    help="Sources of questions, separated by commas: corpus (made of the store's text), log, feedback, endpoint. "
    "Default: the first three, or only what --labelled or --endpoint provide.",
)
@click.option(
    "--labelled",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help='Questions with judgments: JSON lines {"query", "document", "relevant"}, or a folder in BEIR layout.',
)
@click.option("--endpoint", metavar="URL", help="An OpenAI-compatible endpoint that writes questions about passages.")
@click.option("--model", metavar="NAME", help="The endpoint's model. Its key is read from OPENAI_API_KEY.")
@click.option(
    "--judge",
    "judge_name",
    default="lexical",
    type=click.Choice(_JUDGES),
    help="What decides whether a negative is an answer, too; endpoint sends passages to the --endpoint.",
)
@click.option("--kinds", metavar="LIST", callback=_names(KINDS), help=f"Kinds of corpus questions: {', '.join(KINDS)}.")
@number_option("--most", "The most questions each of corpus, log and endpoint.", default=1000)
@number_option("--negatives", "The most negatives of a triple.", default=8)
@click.option("--seed", default=0, type=int, metavar="N", help="Selects other corpus questions.")
@click.option("--add", is_flag=True, help="Keep earlier triples; by default the new ones replace them.")
@click.option(
    "--show",
    type=click.IntRange(1),
    is_flag=False,
    flag_value=_SHOWN,
    metavar="[N]",
    help=f"Only show the first N existing triples, {_SHOWN} without N.",
)
@click.option(
    "--jsonl",
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help='Only write the existing triples as JSON lines, with their texts; "-" is standard output.',
)
@click.option("--forget", is_flag=True, help="Only delete all triples.")
@click.option("--asked", is_flag=True, help="Only list the query log.")
@click.option("--forget-asked", is_flag=True, help="Only delete the query log, with its triples and feedback.")
@quiet_option
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
    """Collect training triples: a question, a passage that answers it, and passages that only look as if they did.

    Questions are made of the store's text, or come from its query log, from feedback or from a file. Each is searched
    once; where the keyword leg and the vector leg disagree, `hybridstore tune` can learn from it. Nothing leaves this
    machine unless an --endpoint is named.
    """
    actions = {"--show": show, "--jsonl": jsonl, "--forget": forget, "--asked": asked, "--forget-asked": forget_asked}
    chosen = [name for name, value in actions.items() if value]
    if len(chosen) > 1:
        raise click.UsageError(f"{chosen[0]} and {chosen[1]} exclude each other; use one of them")
    with target.open(embedder="none" if chosen else None) as store:
        learning = store.learning
        if show is not None:
            triple_output.show(store, show, as_json=as_json)
        elif jsonl is not None:
            if (written := triple_output.write(store, jsonl)) is not None:
                say(f"Wrote {count(written, 'triple')} to {jsonl}.")
        elif asked:
            triple_output.print_log(learning.query_log(), as_json=as_json)
        elif forget or forget_asked:
            number = learning.drop_triples() if forget else learning.forget_queries()
            if as_json:
                print_json({"forgotten": number})
            else:
                say(f"Deleted {count(number, 'triple') if forget else count(number, 'query', 'queries')}.")
        else:
            _harvest(target, store, as_json=as_json, **options)


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
    **options: Any,
) -> None:
    from hybridstore.tuning import harvesting
    from hybridstore.tuning.endpoint import EndpointJudge

    writer = _endpoint(endpoint, model, options["sources"], judge_name)
    judging = judge_name == "endpoint"
    total, questions = _questions(store, writer=writer, judging=judging, **options)
    harvested = harvesting.harvest(
        store,
        questions,
        settings=harvesting.HarvestSettings(negatives=negatives),
        judge=EndpointJudge(writer) if judging and writer is not None else None,
        judged=judge_name != "none",
    )
    target.if_stopped = "The triples collected so far are kept."
    done = 0
    with counting("Harvesting", "questions", quiet=quiet) as counter:

        def show(_: harvesting.HarvestResult) -> None:
            nonlocal done
            done += 1
            counter(done, total)

        results = harvesting.keep_triples(store, harvested, replace=not add, progress=show)
    kept = store.learning.count_triples()
    triple_output.print_summary(results, store.chunks.count(), kept, as_json=as_json)


def _endpoint(url: str | None, model: str | None, sources: tuple[str, ...], judge: str) -> Endpoint | None:
    if url is None:
        if model is not None or judge == "endpoint" or "endpoint" in sources:
            raise click.UsageError("name the --endpoint's URL as well")
        return None
    if model is None:
        raise click.UsageError("name the endpoint's --model as well")
    from hybridstore.endpoint import Endpoint

    return Endpoint(url, model)


def _questions(
    store: Store,
    *,
    sources: tuple[str, ...],
    labelled: Path | None,
    writer: Endpoint | None,
    judging: bool,
    kinds: tuple[str, ...],
    most: int,
    seed: int,
) -> tuple[int, Iterator[Question]]:
    """Return the greatest possible number of questions, and the questions; an endpoint's as they are written."""
    from hybridstore.errors import InputError
    from hybridstore.tuning import synthetic_questions, user_questions
    from hybridstore.tuning.endpoint import from_endpoint

    if not sources:
        sources = ("endpoint",) if writer and not judging else () if labelled else _OWN
    ready: list[Question] = []
    if labelled is not None:
        ready += user_questions.from_labelled(store, labelled)
    if "feedback" in sources:
        ready += user_questions.from_feedback(store)
    if "log" in sources:
        ready += user_questions.from_log(store, most=most)
    if "corpus" in sources:
        ready += synthetic_questions.from_corpus(store, most=most, seed=seed, kinds=kinds or KINDS)
    if writer is not None and "endpoint" in sources:
        return len(ready) + most, chain(ready, from_endpoint(store, writer, most=most, seed=seed))
    if not ready:
        raise InputError(
            "there are no questions: none can be made of this store's text, and its query log is empty; "
            'provide your own with --labelled, as {"query": "…", "document": "id"}'
        )
    return len(ready), iter(ready)
