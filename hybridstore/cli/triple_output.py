"""How triples and the log look: a summary of a harvest, triples to read, and lines of JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.terminal import console, count, print_json, print_json_list, printable

if TYPE_CHECKING:
    from hybridstore.backends.learning import LoggedQuestion, Triple
    from hybridstore.backends.values import Passage
    from hybridstore.store import Store
    from hybridstore.tuning.harvesting import Harvested

_STREAM = "-"
_TEXT_SHOWN = 300  # characters of a passage
_AT_ONCE = 200  # triples whose passages are fetched together


def print_summary(found: Sequence[Harvested], chunks: int, kept: int, *, as_json: bool) -> None:
    """Tell what a harvest came to: for each kind of question how many, how often the legs disagreed, what was made."""
    from hybridstore.tuning.harvesting import REASONS

    kinds = {kind: _summed([each for each in found if each.question.kind == kind]) for kind in _kinds(found)}
    total = _summed(found)
    reasons = Counter(each.reason for each in found if each.reason is not None)
    if as_json:
        print_json({"total": total, "kinds": kinds, "without": dict(reasons), "chunks": chunks, "kept": kept})
        return
    from rich.table import Table

    headings = ("questions", "disagreed", "triples", "negatives", "margin", "judge")
    table = Table("kind", box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right")
    for kind, each in (*kinds.items(), *([("all", total)] if len(kinds) > 1 else [])):
        numbers = (f"{each[name]:,}" for name in ("triples", "negatives", "margin", "judge"))
        table.add_row(kind, f"{each['questions']:,}", f"{each['disagreement']:.0%}", *numbers)
    terminal = console()
    terminal.print(table)
    for reason, number in reasons.items():
        terminal.print(f"{count(number, 'question')} without a triple: {REASONS[reason]}.")
    terminal.print("Margin and judge: negatives left out because a guard took them for answers.", style="dim")
    terminal.print(f"The store holds {count(kept, 'triple')} now; `hybridstore tune` learns from them.")


def _kinds(found: Sequence[Harvested]) -> list[str]:
    return list(dict.fromkeys(sorted(each.question.kind for each in found)))


def _summed(found: Sequence[Harvested]) -> dict[str, Any]:
    triples = [each.triple for each in found if each.triple is not None]
    negatives = Counter(negative.excluded for triple in triples for negative in triple.negatives)
    compared = [each.disagreed for each in found if each.disagreed is not None]
    return {
        "questions": len(found),
        "disagreement": round(sum(compared) / len(compared), 4) if compared else 0.0,
        "triples": len(triples),
        "negatives": negatives[None],
        "margin": negatives["margin"],
        "judge": negatives["judge"],
        "promoted": sum(triple.promoted for triple in triples),
    }


def show(store: Store, limit: int, *, as_json: bool) -> None:
    """Print the first triples: the question, what answers it, and the negatives, those that were left out as well."""
    rows = _rows(store, limit)
    if as_json:
        print_json_list(rows)
        return
    terminal = console()
    printed = False
    for number, row in enumerate(rows):
        printed = True
        if number:
            terminal.print()
        told = [row["kind"], "the legs disagreed" if row["disagreed"] else "the legs agreed"]
        told += ["put in place of another by the judge"] if row["promoted"] else []
        terminal.print(printable(row["query"]), style="bold")
        terminal.print(f"  {', '.join(told)}", style="dim")
        terminal.print(f"  + {row['positive']['score']:.3f}  {_passage(row['positive'])}", style="green")
        for each in row["negatives"]:
            doubted = f"left out by the {each['excluded']}; " if each["excluded"] else ""
            line = f"  - {each['score']:.3f}  {doubted}{each['leg']}: {_passage(each)}"
            terminal.print(line, style="dim" if doubted else "default")
    if not printed:
        terminal.print("There are no triples yet; `hybridstore harvest` makes them.")


def write(store: Store, file: str) -> int | None:
    """Write all triples as lines of JSON; give how many, None to standard output. Raises InputError."""
    from hybridstore.errors import InputError

    lines = (json.dumps(row, ensure_ascii=False) for row in _rows(store, None))
    if file == _STREAM:
        for line in lines:
            click.echo(line.encode("utf-8", "backslashreplace").decode())
        return None
    written = 0
    try:
        with Path(file).open("w", encoding="utf-8", errors="backslashreplace") as stream:
            for line in lines:
                stream.write(f"{line}\n")
                written += 1
    except OSError as error:
        with suppress(OSError):
            Path(file).unlink(missing_ok=True)
        raise InputError(f"{file} cannot be written: {error.strerror}") from error
    return written


def print_asked(asked: Sequence[LoggedQuestion], *, as_json: bool) -> None:
    """List the log: how often, when last, what."""
    if as_json:
        print_json_list(asdict(each) for each in asked)
        return
    terminal = console()
    for each in asked:
        terminal.print(f"{each.times:>6,}  {each.last}  {printable(' '.join(each.query.split()))}", soft_wrap=True)
    if not asked:
        terminal.print("The log is empty: no question was noted in this store.")


def _rows(store: Store, limit: int | None) -> Iterator[dict[str, Any]]:
    triples = store.learning.triples(limit=limit)
    while some := list(islice(triples, _AT_ONCE)):
        named = {chunk for triple in some for chunk in (triple.positive, *(each.chunk for each in triple.negatives))}
        passages = {passage.chunk: passage for passage in store.chunks.passages(sorted(named))}
        for triple in some:
            if triple.positive in passages:  # else it was removed since
                yield _row(triple, passages)


def _row(triple: Triple, passages: dict[int, Passage]) -> dict[str, Any]:
    return {
        "number": triple.number,
        "query": triple.query,
        "kind": triple.kind,
        "disagreed": triple.disagreed,
        "promoted": triple.promoted,
        "origin": triple.origin,
        "positive": {**_told(passages[triple.positive]), "score": triple.score},
        "negatives": [
            {**_told(passages[each.chunk]), "leg": each.leg, "score": each.score, "excluded": each.excluded}
            for each in triple.negatives
            if each.chunk in passages
        ],
    }


def _told(passage: Passage) -> dict[str, Any]:
    return {
        "chunk": passage.chunk,
        "document": passage.document_id,
        "title": passage.title,
        "heading": passage.heading,
        "text": passage.text,
    }


def _passage(row: dict[str, Any]) -> str:
    text = " ".join(" ".join(filter(None, (row["title"], row["heading"], row["text"]))).split())
    cut = f"{text[:_TEXT_SHOWN]}…" if len(text) > _TEXT_SHOWN else text
    return printable(f"[{row['document']}] {cut}")
