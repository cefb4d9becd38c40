"""`search` and `explain`: passages for a query, and how they were ranked."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.document_names import named_document, shown_paths
from hybridstore.cli.shared_options import (
    AS_WORDS,
    EMPTY,
    FUSIONS,
    LOGGING,
    MODES,
    NORMS,
    PER,
    SYNTAXES,
    QueryCommand,
    Target,
    chosen,
    combined,
    examples,
    html_option,
    json_option,
    min_relevance_option,
    number_option,
    options,
    pass_target,
    query_argument,
    rewrite_options,
    rewriter,
    where_option,
)
from hybridstore.cli.terminal import count, print_json, say, write_page
from hybridstore.errors import NotFound
from hybridstore.locations import is_url
from hybridstore.records import MAX_ERROR, least_confidence
from hybridstore.serving import warm_search

if TYPE_CHECKING:
    from hybridstore.store import Store

_NOTHING = {
    "empty": EMPTY,
    "relevance": "Nothing is as relevant as required; a lower --min-relevance shows more.",
    "filter": "Nothing was found; the filter may be too narrow: try without --where.",
    "syntax": "Nothing was found; a quoted phrase, a field or an excluded word may be too strict.",
    "words": "Nothing was found: no passage contains any of these words.",
    "unknown": "Nothing was found; `hybridstore info` shows what the store contains.",
}
HISTORY = "HYBRIDSTORE_HISTORY"
_HERE = ("rerank", "rerank_ms", "rewrite", "rewrite_model")  # options for which no server is asked
_PER_DOCUMENT = 3  # passages, in the list for people

_search_options = options(
    number_option("--limit", "Number of results.", default=10),
    where_option,
    click.option(
        "--exclude",
        "--not",
        "exclude",
        multiple=True,
        metavar="WORDS",
        help="Leave out passages in which this word or phrase occurs; repeatable.",
    ),
    click.option(
        "--mode", default="hybrid", type=click.Choice(MODES), help="Both legs, or only one; keyword needs no model."
    ),
    click.option(
        "--legs",
        metavar="NAME,…",
        callback=lambda _context, _option, value: (
            None if value is None else [name.strip() for name in value.split(",")]
        ),
        help="Only these legs instead of a mode: keyword, vector for all embedders, or an embedder's name.",
    ),
    click.option(
        "--fusion", default="adaptive", type=click.Choice(FUSIONS), help="How hybrid fuses the rankings of both legs."
    ),
    number_option("--depth", "Candidates per leg; default: 200, or twice the limit if that is more."),
    click.option(
        "--syntax",
        default="simple",
        type=click.Choice(SYNTAXES),
        help="How QUERY is read; advanced has AND, OR, NOT, parentheses and prefix*, and every term must match; "
        "algebra joins what passages are about by & | ~; web is as for web search: quotation marks do not bind.",
    ),
    click.option(
        "--per",
        default="chunk",
        type=click.Choice(PER),
        help="What meets the conditions of --syntax algebra: a passage, or a document by all of its passages.",
    ),
    click.option(
        "--norm", default="product", type=click.Choice(NORMS), help="How --syntax algebra joins truths from 0 to 1."
    ),
    click.option(
        "--hops",
        default=1,
        type=click.IntRange(1, 4),
        metavar="N",
        help="2 or more: follow the names in the best passages to others, N searches deep, for questions that only "
        "several passages answer together.",
    ),
    min_relevance_option,
    click.option("--unique", is_flag=True, help="Show the best of near-identical passages, and name the others."),
    number_option("--per-document", "At most N passages of the same document."),
    click.option(
        "--diversity",
        default=0.0,
        type=click.FloatRange(0, 1),
        metavar="X",
        help="From 0 to 1: the penalty of a passage for being similar to those above it.",
    ),
    click.option(
        "--rerank",
        metavar="FOLDER",
        help="Read the best passages again with this folder's cross-encoder (ONNX), and put them in its order.",
    ),
    rewrite_options,
    click.option(
        "--rerank-ms", type=click.FloatRange(0, min_open=True), metavar="MS", help="Stop reading after this time."
    ),
    json_option,
)


@click.command(
    cls=QueryCommand,
    context_settings=AS_WORDS,
    epilog=examples(
        "hybridstore search how do I rotate signing keys",
        "hybridstore search '\"signing keys\"' --exclude legacy --where lang=en --limit 5",
        "hybridstore search E4012 --mode keyword --json",
        "hybridstore search --syntax advanced 'title:keys AND (rotat* OR renew) NOT legacy'",
        "hybridstore search --syntax algebra 'solar power & storage & ~lithium'",
        "hybridstore search --hops 2 who founded the company that makes the Larkfield lamp",
        "hybridstore search backup policy --unique --per-document 1",
        "hybridstore search -i",
    ),
)
@click.argument("query", metavar="QUERY...", nargs=-1)
@_search_options
@click.option("--interactive", is_flag=True, help="Stay open, and show results while you type; as the first word, -i.")
@click.option(
    "--history/--no-history",
    default=True,
    envvar=HISTORY,
    show_envvar=True,
    help="With -i: keep what is entered, in a file that only you can read.",
)
@click.option("--full", is_flag=True, help="Show whole passages instead of the best lines.")
@click.option(
    "--max-error",
    default=MAX_ERROR,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="X",
    help="The share of what is shown as answered that may have no answer here.",
)
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
    max_error: float,
    log: bool,
    interactive: bool,
    history: bool,
    **how: Any,
) -> None:
    """Find the passages that best answer QUERY, by its words and by its meaning.

    Words in "quotes" must occur as a phrase (quote them again for the shell: '"two words"'), title:word and
    heading:word in the title or heading, and -"quoted" must not occur.
    """
    from hybridstore.cli.result_output import FoundHit, print_hits

    if not as_json and how["per_document"] is None:
        how["per_document"] = _PER_DOCUMENT
    words = " ".join(query)
    # What reads other files, or writes the query log, is not for a server.
    here = log or any(how[name] is not None for name in _HERE) or target.has_own_settings
    here = here or is_url(target.path)
    if interactive:
        _stay(target, words, conditions, how, here=here, log=log, history=history, as_json=as_json)
        return
    if not query:
        raise click.UsageError("Missing argument 'QUERY...'; -i asks for it.")
    found = None if here else warm_search.asked(target.path, words, list(conditions), _passed(how))
    if found is None:
        with target.open(log_queries=log) as store:
            found = warm_search.search(store, words, {**_with_models(how), "where": combined(conditions)})
    hits = [FoundHit.of(hit, shown) for hit, shown in zip(found["fields"]["hits"], found["shown"], strict=True)]
    known = found["fields"]["confidence"]
    answered = None if known is None else bool(hits) and known >= least_confidence(max_error)
    if as_json:
        print_json(found["fields"] | {"answered": answered, "hits": [hit.to_dict() for hit in hits]})
        return
    for note in [*found["fields"]["notes"], *found["path"], *found["rewriting"]]:
        say(note)
    if not hits:
        say(_NOTHING[found["reason"]])
        return
    if answered is False:
        say(f"Probably nothing here answers this (confidence {known:.2f}); the closest passages:")
    listed = hits if chosen("limit") else [hit for hit in hits if hit.worth]
    print_hits(listed, full=full)
    weak = (
        f"; {len(hits) - len(listed)} weak ones are left out (--limit N shows them)" if len(listed) < len(hits) else ""
    )
    say(f"{count(len(listed), 'result')} in {1000 * sum(found['fields']['timings'].values()):.0f} ms{weak}")


def _stay(
    target: Target,
    words: str,
    conditions: Sequence[str],
    how: dict[str, Any],
    *,
    here: bool,
    log: bool,
    history: bool,
    as_json: bool,
) -> None:
    """Show the prompt of `search -i`."""
    if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("-i is for people at a terminal; leave it out, or --json and the pipe")
    from hybridstore.cli.interactive_search import Finder, search_interactively

    target.check()
    find = Finder(target, _with_models(how), here=here, log=log)
    search_interactively(find, words, conditions, keep_history=history)


def _passed(how: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in how.items() if name not in _HERE}


@click.command(
    cls=QueryCommand,
    context_settings=AS_WORDS,
    epilog=examples(
        "hybridstore explain rotate signing keys",
        "hybridstore explain rotate signing keys --expect keys.md",
        "hybridstore explain rotate signing keys --html why.html",
    ),
)
@query_argument
@_search_options
@click.option(
    "--expect",
    metavar="DOCUMENT",
    help="A document, by id, path or name, that should be found: say which stage lost it, and why.",
)
@click.option("--keep", is_flag=True, help="Keep what is expected as a test of the store: see `hybridstore test`.")
@html_option("Write the explanation as a web page in one file, with the scores drawn and weights to move.")
@pass_target
def explain(
    target: Target,
    /,
    *,
    query: Sequence[str],
    conditions: Sequence[str],
    expect: str | None,
    keep: bool,
    page: Path | None,
    as_json: bool,
    **how: Any,
) -> None:
    """Search, and explain the results: what each leg found, how the rankings were fused, what each score consists of.

    With --json, everything the search did, including both legs' rankings and the evidence for each hit.
    """
    if keep and expect is None:
        raise click.UsageError("--keep keeps what --expect names")
    with target.open() as store:
        expect = _expected(store, expect)
        if keep and expect is not None:
            store.expect(" ".join(query), expect)
        explanation = store.explain(" ".join(query), expect=expect, where=combined(conditions), **_with_models(how))
    if page is not None:
        from hybridstore.views.why import why_page

        write_page(why_page(explanation.to_dict()), page)
    if as_json:
        print_json(explanation.to_dict())
    elif page is not None:
        return
    elif sys.stdout.isatty():
        from hybridstore.cli.result_output import print_explanation

        print_explanation(explanation)
    else:
        click.echo(shown_paths(str(explanation)).encode("utf-8", "replace").decode())


def _expected(store: Store, name: str | None) -> str | None:
    with suppress(NotFound):  # which the explanation says
        return None if name is None else named_document(store, name)
    return name


def _with_models(how: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a search with what --rewrite and --rerank name; the reranker is loaded here."""
    how["rewrite"] = rewriter(how.pop("rewrite"), how.pop("rewrite_model"))
    folder, milliseconds = how.pop("rerank"), how.pop("rerank_ms")
    if folder is None:
        if milliseconds is not None:
            raise click.UsageError("--rerank-ms is the time of --rerank, which names a cross-encoder's folder")
        return how
    from hybridstore.embedders.cross_encoder import CrossEncoder
    from hybridstore.search.second_stage import Rerank

    return how | {"rerank": Rerank(CrossEncoder(folder), milliseconds=milliseconds)}
