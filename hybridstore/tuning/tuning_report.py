"""A tuning as one page of HTML, and as a sentence: what the gate said, what changed, and what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridstore.evaluation.evaluation_report import interval, interval_plot
from hybridstore.evaluation.html_page import Markup, element, facts, figures, page, section, table
from hybridstore.tuning.gate import TOLD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hybridstore.evaluation.significance import RunComparison
    from hybridstore.tuning.adapter_tuning import ChangedRanking, TuneReport
    from hybridstore.tuning.gate import Verdict
    from hybridstore.tuning.training_sources import Gathered

_EXCERPT = 120  # characters of a title


def outcome(report: TuneReport) -> str:
    """Say in a sentence or two what came of a tuning, and what can be done about it."""
    reason, number = report.verdict.reason, report.number
    if not report.verdict.accepted:
        return f"Refused: {reason}. Nothing was changed; version {number} stays in the history."
    if not report.promoted:
        return f"Accepted: {reason}. Version {number} waits; `hybridstore model promote {number}` puts it to use."
    return f"Accepted: {reason}. Version {number} answers now; `hybridstore model rollback` undoes it."


def compared(verdict: Verdict) -> dict[str, RunComparison]:
    """Give the gate's comparisons by what they are of: all of it, each kind of question, each task. {} for none."""
    if verdict.overall is None:
        return {}
    kinds = {f"questions: {kind}": each for kind, each in verdict.kinds.items()}
    return {"overall": verdict.overall, **kinds, **{TOLD[task]: each for task, each in verdict.tasks.items()}}


def disagreement(gathered: Gathered) -> str:
    """Say what was harvested: "words and meaning disagree about 37 % of 812 questions; 640 triples"."""
    questions = sum(gathered.questions.values())
    about = f"{questions:,} questions"
    if gathered.disagreement is not None:
        about = f"words and meaning disagree about {gathered.disagreement:.0%} of {about}"
    return f"{about}; {gathered.triples:,} triples"


def documents_shown(report: TuneReport) -> frozenset[str]:
    """Give the ids of the documents that the page names."""
    return frozenset(document for each in report.examples for document in (each.answer, *each.before, *each.after))


def tune_report(
    report: TuneReport,
    *,
    about: Mapping[str, str],
    titles: Mapping[str, str],
    gathered: Gathered | None = None,
) -> str:
    """Give the page; the same arguments give the same bytes.

    `about` is what else is to be said (name → value), `titles` are those of `documents_shown`, as far as they have any.
    """
    told = {**about, "version": str(report.number), "asked at the gate": f"{report.verdict.questions:,} questions"}
    if gathered is not None:
        told["harvested"] = disagreement(gathered)
    return page(
        "Tuned: accepted" if report.verdict.accepted else "Tuned: refused",
        element("p", element("strong", outcome(report))),
        facts(told),
        *_gate(report.verdict),
        _examples(report.examples, titles),
        _questions(report.questions),
        section("Time", table(["step", "seconds"], ([step, f"{each:.1f}"] for step, each in report.seconds.items()))),
        section("Settings", facts({name: str(value) for name, value in report.settings.items()})),
    )


def _gate(verdict: Verdict) -> Iterator[Markup]:
    rows = compared(verdict)
    if not rows:
        return
    note = (
        "nDCG@10 before and after, on documents that nothing was trained on. The means are taken over documents, and "
        "so are the intervals of 95 %. A version comes in if the overall interval lies above zero, and no other below."
    )
    cells = (
        [name, f"{each.n:,}", f"{each.mean_a:.4f}", f"{each.mean_b:.4f}", interval(each), _counts(each)]
        for name, each in rows.items()
    )
    head = ["", "documents", "before", "after", "after − before", "better / worse / equal"]
    drawn = figures(interval_plot(list(rows.items()), "after − before, nDCG@10"))
    yield section("The gate", element("p", note), table(head, cells), drawn)


def _counts(comparison: RunComparison) -> str:
    return f"{comparison.wins:,} / {comparison.losses:,} / {comparison.ties:,}"


def _examples(examples: Sequence[ChangedRanking], titles: Mapping[str, str]) -> Markup:
    title = "Questions that changed most"
    if not examples:
        return section(title, element("p", "No question of the gate found its document higher or lower than before."))
    return section(title, *(_card(example, titles) for example in examples))


def _card(example: ChangedRanking, titles: Mapping[str, str]) -> Markup:
    def listed(found: Sequence[str]) -> Markup:
        if not found:
            return element("p", "nothing", class_="soft")
        return element("ol", *(element("li", _document(each, titles, example.answer)) for each in found))

    return element(
        "article",
        element("h3", example.query, dir="auto"),
        element("p", f"{example.kind}; its document is ", _named(example.answer, titles), class_="soft"),
        element("p", "Before"),
        listed(example.before),
        element("p", "After"),
        listed(example.after),
    )


def _document(identifier: str, titles: Mapping[str, str], answer: str) -> Markup:
    named = _named(identifier, titles)
    return element("strong", named, " ✓") if identifier == answer else named


def _named(identifier: str, titles: Mapping[str, str]) -> Markup:
    title = " ".join(titles.get(identifier, "").split())
    if not title:
        return element("span", identifier)
    cut = title if len(title) <= _EXCERPT else title[:_EXCERPT].rstrip() + "…"
    return element("span", identifier, " ", element("span", cut, dir="auto", class_="soft"))


def _questions(questions: Mapping[str, int]) -> Markup:
    ordered = sorted(questions.items(), key=lambda each: (-each[1], each[0]))
    rows = [[kind, f"{number:,}"] for kind, number in (*ordered, ("all", sum(questions.values())))]
    return section("Questions trained on", table(["kind", "questions"], rows))
