"""`expect` and `test`: questions whose answers are known, kept in the store and run as its tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hybridstore.cli.document_names import named_document, shown_path
from hybridstore.cli.shared_options import Target, examples, json_option, pass_target
from hybridstore.cli.terminal import console, count, print_json_list, printable, say, table

if TYPE_CHECKING:
    from hybridstore.store import Store
    from hybridstore.store.expectations import TestedExpectation


@click.command(
    epilog=examples(
        'hybridstore expect "how do I rotate signing keys" ops/keys.md',
        'hybridstore expect "how do I rotate signing keys" ops/keys.md --within 3',
        'hybridstore expect "how do I rotate signing keys" ops/keys.md --remove',
        "hybridstore expect",
    )
)
@click.argument("query", required=False)
@click.argument("document", required=False)
@click.option("--within", type=click.IntRange(1, 1000), metavar="N", help="The lowest rank that will do; default: 10.")
@click.option("--remove", is_flag=True, help="Expect it no more.")
@json_option
@pass_target
def expect(
    target: Target, /, *, query: str | None, document: str | None, within: int | None, remove: bool, as_json: bool
) -> None:
    """Expect DOCUMENT, by id, path or name, among the first that QUERY finds; without arguments, list what is expected.

    `hybridstore test` runs these tests. What changes the ranking (tune, reembed, reindex, model promote) is refused if
    it would break one that holds. They stay when a document is replaced or its file moves, and are purged with it.
    """
    if (query is None) != (document is None):
        raise click.UsageError("name a question, in quotes, and the document that answers it")
    with target.open() as store:
        if query is None or document is None:
            if within is not None or remove:
                raise click.UsageError("name a question, in quotes, and the document that answers it")
            _list(store, as_json=as_json)
        elif remove:
            _remove(store, query, document)
        else:
            id_ = named_document(store, document)
            store.expect(query, id_, **({"within": within} if within else {}))
            _say_now(store, query, id_, as_json=as_json)


def _list(store: Store, *, as_json: bool) -> None:
    expected = store.expectations()
    if as_json:
        print_json_list(
            {"query": each.query, "document_id": each.document_id, "within": each.within, "made": each.made}
            for each in expected
        )
        return
    if not expected:
        say('Nothing is expected yet; `hybridstore expect "QUESTION" DOCUMENT` adds a test.')
        return
    shown = table("question", "document", right=("within",))
    for each in expected:
        shown.add_row(printable(each.query), printable(shown_path(each.document_id)), str(each.within))
    console().print(shown)


def _remove(store: Store, query: str, document: str) -> None:
    from hybridstore.errors import NotFound

    of_query = [each.document_id for each in store.expectations() if each.query == query.strip()]
    named = [id_ for id_ in of_query if id_ == document or id_.endswith(f"/{document.removeprefix('./')}")]
    if len(named) != 1 or not store.drop_expectation(query, named[0]):
        raise NotFound(document, f"{document} is not expected for {query!r}; `hybridstore expect` lists what is")
    say(f"{shown_path(named[0])} is not expected for {query!r} any more.")


def _say_now(store: Store, query: str, document_id: str, *, as_json: bool) -> None:
    named = query.strip(), document_id
    (now,) = store.test([each for each in store.expectations() if (each.query, each.document_id) == named])
    if as_json:
        print_json_list([now.to_dict()])
        return
    say(f"Kept. Now {_shown(now)}.")
    if not now.holds:
        say(f"`hybridstore explain {query!r} --expect {shown_path(document_id)}` says where it is lost.")


@click.command(epilog=examples("hybridstore test", "hybridstore test --json"))
@json_option
@pass_target
def test(target: Target, /, *, as_json: bool) -> None:
    """Run the tests that `hybridstore expect` keeps in the store; exit with 1 if one fails.

    Each searches for its question, by words and meaning, and holds if the document is among the first that were
    expected. Nothing is logged or changed.
    """
    with target.open() as store:
        results = store.test()
    failed = [each for each in results if not each.holds]
    if as_json:
        print_json_list(each.to_dict() for each in results)
    else:
        for each in results:
            click.echo(printable(f"{'ok    ' if each.holds else 'FAILED'}  {_shown(each)}"))
        say(_summary(len(results), len(failed)))
    if failed:
        raise click.exceptions.Exit(1)


def _summary(tests: int, failed: int) -> str:
    if not tests:
        return 'Nothing is expected yet; `hybridstore expect "QUESTION" DOCUMENT` adds a test.'
    return f"{count(tests, 'test')}, {f'{failed} failed' if failed else 'all hold'}."


def _shown(result: TestedExpectation) -> str:
    id_ = result.expectation.document_id
    return str(result).replace(id_, shown_path(id_))
