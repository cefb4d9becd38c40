"""`search` and `explain`: passages for a query, and how they were ranked."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.shared_options import (
    AS_WORDS,
    QueryCommand,
    Target,
    combined,
    examples,
    pass_target,
    query_argument,
    search_options,
)
from hybridstore.cli.terminal import count, print_json, say
from hybridstore.errors import NotFound

if TYPE_CHECKING:
    from hybridstore.records import Hit, Trace
    from hybridstore.store import Store

_SEARCH = ("query", "mode", "fusion", "confidence", "hits", "timings", "notes")  # what `search --json` prints
LOGGING = "HYBRIDSTORE_LOG_QUERIES"


@click.command(
    cls=QueryCommand,
    context_settings=AS_WORDS,
    epilog=examples(
        "hybridstore search how do I rotate signing keys",
        "hybridstore search '\"signing keys\"' --exclude legacy --where lang=en --limit 5",
        "hybridstore search E4012 --mode keyword --json",
        "hybridstore search --syntax advanced 'title:keys AND (rotat* OR renew) NOT legacy'",
        "hybridstore search backup policy --unique --per-document 1",
    ),
)
@query_argument
@search_options
@click.option("--full", is_flag=True, help="Show whole passages instead of the best lines.")
@click.option(
    "--log",
    is_flag=True,
    envvar=LOGGING,
    show_envvar=True,
    help="Keep the query in the store's query log, to learn from; it leaves this machine only with the file.",
)
@pass_target
def search(
    target: Target,
    /,
    *,
    query: Sequence[str],
    conditions: Sequence[str],
    as_json: bool,
    full: bool,
    log: bool,
    **how: Any,
) -> None:
    """Find the passages that best answer QUERY, by its words and by its meaning.

    Words in "quotes" must occur as a phrase (quote them again for the shell: '"two words"'), title:word and
    heading:word in the title or heading, and -"quoted" must not occur.
    """
    with target.open(log_queries=log) as store:
        results = store.search(" ".join(query), where=combined(conditions), **how)
        trace, confidence = results.trace, results.confidence
        language = store.language
        places = {} if as_json else _places(store, trace.hits)
    if as_json:
        fields = trace.to_dict()
        print_json({name: fields[name] for name in _SEARCH})
        return
    for note in trace.notes:
        say(note)
    if not trace.hits:
        say(_why_empty(trace, conditions))
        return
    from hybridstore.cli.result_output import print_hits
    from hybridstore.search.trace_text import ANSWERED

    if confidence is not None and confidence < ANSWERED:
        say(f"Probably nothing here answers this (confidence {confidence:.2f}); the closest passages:")
    print_hits(trace, language, full=full, places=places)
    say(f"{count(len(trace.hits), 'result')} in {1000 * sum(trace.timings.values()):.0f} ms")


def _places(store: Store, hits: Iterable[Hit]) -> dict[int, str]:
    """Return the pages, slides and cells that hits are on, by chunk id."""
    from hybridstore.ingest.places import is_paged, place

    places = {}
    for hit in hits:
        if is_paged(hit.metadata.get("type")):
            with suppress(NotFound):  # removed since the search
                places[hit.chunk_id] = place(store.get(hit.document_id), hit.start, hit.end)
    return places


@click.command(
    cls=QueryCommand,
    context_settings=AS_WORDS,
    epilog=examples(
        "hybridstore explain rotate signing keys",
        "hybridstore explain rotate signing keys --expect /home/me/notes/keys.md",
    ),
)
@query_argument
@search_options
@click.option("--expect", metavar="ID", help="A document that should be found: say which stage lost it, and why.")
@pass_target
def explain(
    target: Target, /, *, query: Sequence[str], conditions: Sequence[str], expect: str | None, as_json: bool, **how: Any
) -> None:
    """Search, and explain the results: what each leg found, how the rankings were fused, what each score consists of.

    With --json, everything the search did, including both legs' rankings and the evidence for each hit.
    """
    with target.open() as store:
        explanation = store.explain(" ".join(query), expect=expect, where=combined(conditions), **how)
    if as_json:
        print_json(explanation.to_dict())
    elif sys.stdout.isatty():
        from hybridstore.cli.result_output import print_explanation

        print_explanation(explanation)
    else:
        click.echo(str(explanation).encode("utf-8", "replace").decode())


def _why_empty(trace: Trace, conditions: Sequence[str]) -> str:
    if len(trace.fused):
        return "Nothing is as relevant as required; a lower --min-relevance shows more."
    if conditions:
        return "Nothing was found; the filter may be too narrow: try without --where."
    if trace.excluded or trace.phrases or trace.matching:
        return "Nothing was found; a quoted phrase, a field or an excluded word may be too strict."
    if trace.mode == "keyword" or trace.vector is None:
        return "Nothing was found: no passage contains any of these words."
    return "Nothing was found; `hybridstore info` shows what the store contains."
