"""How a tuning looks in a terminal while it goes on, and when it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from hybridstore.cli.progress_display import Update, progress
from hybridstore.cli.terminal import console, printable

if TYPE_CHECKING:
    from rich.console import Console

    from hybridstore.tuning.adapter_tuning import ChangedRanking, Progress, TuneReport
    from hybridstore.tuning.training_sources import Gathered

_TEXT_SHOWN = 90  # characters of a question
_FOUND_SHOWN = 3  # documents of an example


@contextmanager
def steps(*, quiet: bool, begun: Callable[[str], None]) -> Iterator[Progress]:
    """Show one step after another, each from its own beginning; `begun` is told the name of each."""
    with ExitStack() as shown:
        step = ""
        update: Update = lambda *_: None  # noqa: E731

        def told(name: str, done: int, of: int, words: str = "", /) -> None:
            nonlocal step, update
            if name != step:
                shown.close()
                step, update = name, shown.enter_context(progress(name, quiet=quiet))
                begun(name)
            update(done, of, f"{done:,}/{of:,}" if of > 1 else "", words)

        yield told


def print_tuned(report: TuneReport, gathered: Gathered | None) -> None:
    """Print what came of it: the gate's comparisons, a few questions before and after, and the verdict last."""
    from hybridstore.tuning.tuning_report import disagreement, outcome

    terminal = console()
    if gathered is not None:
        terminal.print(f"Harvested: {disagreement(gathered)}.", style="dim")
    total = sum(report.questions.values())
    kinds = ", ".join(f"{kind} {number:,}" for kind, number in sorted(report.questions.items()))
    seconds = ", ".join(f"{step} {each:.1f} s" for step, each in report.seconds.items())
    terminal.print(f"Trained on {total:,} questions ({kinds}): {seconds}.", style="dim", soft_wrap=True)
    _print_gate(terminal, report)
    for example in report.examples:
        _print_example(terminal, example)
    terminal.print(printable(outcome(report)), style="green" if report.verdict.accepted else "yellow", soft_wrap=True)


def _print_gate(terminal: Console, report: TuneReport) -> None:
    from rich.table import Table

    from hybridstore.tuning.tuning_report import compared

    rows = compared(report.verdict)
    if not rows:
        return
    table = Table("nDCG@10", box=None, pad_edge=False)
    for heading in ("documents", "before", "after", "change", "95 % between"):
        table.add_column(heading, justify="right")
    for name, each in rows.items():
        style = "green" if each.low > 0 else "yellow" if each.high < 0 else None
        numbers = f"{each.n:,}", f"{each.mean_a:.4f}", f"{each.mean_b:.4f}", f"{each.difference:+.4f}"
        table.add_row(printable(name), *numbers, f"{each.low:+.4f} and {each.high:+.4f}", style=style)
    terminal.print(table)


def _print_example(terminal: Console, example: ChangedRanking) -> None:
    text = " ".join(example.query.split())
    cut = f"{text[:_TEXT_SHOWN]}…" if len(text) > _TEXT_SHOWN else text
    terminal.print(printable(f"{cut}  ({example.kind})"), style="bold", soft_wrap=True)
    for when, found in (("before", example.before), ("after ", example.after)):
        named = (f"{document} ✓" if document == example.answer else document for document in found[:_FOUND_SHOWN])
        terminal.print(printable(f"  {when}  {' · '.join(named)}"), style="dim", soft_wrap=True)
