"""Output of harvests: a summary, triples to read, triples as JSON lines, the query log."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.terminal import console, count, print_json, print_json_list, printable, table

if TYPE_CHECKING:
    from hybridstore.backends.learning import LoggedQuestion, Triple
    from hybridstore.backends.values import Passage
    from hybridstore.store import Store
    from hybridstore.tuning.harvesting import HarvestResult

_STREAM = "-"
_TEXT_SHOWN = 300  # characters of a passage
_BATCH = 200  # triples whose passages are read together


def print_summary(results: Sequence[HarvestResult], chunks: int, kept: int, *, as_json: bool) -> None:
    """Print for each kind of question how many there were, how often the legs disagreed, and the triples made."""
    from hybridstore.tuning.harvesting import REASONS

    names = sorted({result.question.kind for result in results})
    kinds = {kind: _totals([result for result in results if result.question.kind == kind]) for kind in names}
    total = _totals(results)
    reasons = Counter(result.reason for result in results if result.reason is not None)
    if as_json:
        print_json({"total": total, "kinds": kinds, "without": dict(reasons), "chunks": chunks, "kept": kept})
        return
    counted = ("triples", "negatives", "margin", "judge")
    shown = table("kind", right=("questions", "disagreed", *counted))
    for kind, totals in (*kinds.items(), *([("all", total)] if len(kinds) > 1 else [])):
        numbers = (f"{totals[name]:,}" for name in counted)
        shown.add_row(kind, f"{totals['questions']:,}", f"{totals['disagreement']:.0%}", *numbers)
    terminal = console()
    terminal.print(shown)
    for reason, number in reasons.items():
        terminal.print(f"{count(number, 'question')} without a triple: {REASONS[reason]}.")
    terminal.print("Margin and judge: negatives left out because they are probably answers.", style="dim")
    terminal.print(f"The store now has {count(kept, 'triple')}; `hybridstore tune` trains on them.")


def _totals(results: Sequence[HarvestResult]) -> dict[str, Any]:
    triples = [result.triple for result in results if result.triple is not None]
    negatives = Counter(negative.excluded for triple in triples for negative in triple.negatives)
    disagreed = [result.disagreed for result in results if result.disagreed is not None]
    return {
        "questions": len(results),
        "disagreement": round(sum(disagreed) / len(disagreed), 4) if disagreed else 0.0,
        "triples": len(triples),
        "negatives": negatives[None],
        "margin": negatives["margin"],
        "judge": negatives["judge"],
        "promoted": sum(triple.promoted for triple in triples),
    }


def show(store: Store, limit: int, *, as_json: bool) -> None:
    """Print the first triples: the question, its answer, and the negatives, including those that were left out."""
    rows = _rows(store, limit)
    if as_json:
        print_json_list(rows)
        return
    terminal = console()
    number = 0
    for number, row in enumerate(rows, start=1):
        if number > 1:
            terminal.print()
        facts = [row["kind"], "the legs disagreed" if row["disagreed"] else "the legs agreed"]
        facts += ["its answer was chosen by the judge"] if row["promoted"] else []
        terminal.print(printable(row["query"]), style="bold")
        terminal.print(f"  {', '.join(facts)}", style="dim")
        terminal.print(f"  + {row['positive']['score']:.3f}  {_passage(row['positive'])}", style="green")
        for negative in row["negatives"]:
            excluded = f"left out by the {negative['excluded']}; " if negative["excluded"] else ""
            line = f"  - {negative['score']:.3f}  {excluded}{negative['leg']}: {_passage(negative)}"
            terminal.print(line, style="dim" if excluded else "default")
    if not number:
        terminal.print("There are no triples yet; `hybridstore harvest` collects them.")


def write(store: Store, file: str) -> int | None:
    """Write all triples as JSON lines; return their number, None for standard output. Raises InputError."""
    from hybridstore.errors import InputError
    from hybridstore.whole_files import whole_file

    lines = (json.dumps(row, ensure_ascii=False) for row in _rows(store, None))
    if file == _STREAM:
        for line in lines:
            click.echo(line.encode("utf-8", "backslashreplace").decode())
        return None
    written = 0
    try:
        with (
            whole_file(file) as part,
            part.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream,
        ):
            for line in lines:
                stream.write(f"{line}\n")
                written += 1
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}") from error
    return written


def print_log(log: Sequence[LoggedQuestion], *, as_json: bool) -> None:
    """List the query log: how often, when last, what."""
    if as_json:
        print_json_list(asdict(entry) for entry in log)
        return
    from hybridstore.search.algebra_text import replayed

    terminal = console()
    for entry in log:
        query = " ".join(str(replayed(entry.query)).split())
        terminal.print(f"{entry.times:>6,}  {entry.last}  {printable(query)}", soft_wrap=True)
    if not log:
        terminal.print("The query log of this store is empty.")


def _rows(store: Store, limit: int | None) -> Iterator[dict[str, Any]]:
    triples = store.learning.triples(limit=limit)
    while batch := list(islice(triples, _BATCH)):
        chunks = {negative.chunk for triple in batch for negative in triple.negatives}
        chunks |= {triple.positive for triple in batch}
        passages = {passage.chunk: passage for passage in store.chunks.passages(sorted(chunks))}
        for triple in batch:
            if triple.positive in passages:  # otherwise it was removed since
                yield _row(triple, passages)


def _row(triple: Triple, passages: dict[int, Passage]) -> dict[str, Any]:
    return {
        "number": triple.number,
        "query": triple.query,
        "kind": triple.kind,
        "disagreed": triple.disagreed,
        "promoted": triple.promoted,
        "origin": triple.origin,
        "positive": {**_facts(passages[triple.positive]), "score": triple.score},
        "negatives": [
            {**_facts(passages[item.chunk]), "leg": item.leg, "score": item.score, "excluded": item.excluded}
            for item in triple.negatives
            if item.chunk in passages
        ],
    }


def _facts(passage: Passage) -> dict[str, Any]:
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
