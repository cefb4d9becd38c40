"""Reports of a tuning: an HTML page, and its outcome in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from hybridstore.evaluation.evaluation_report import interval, interval_plot
from hybridstore.tuning.gate import TASKS
from hybridstore.views.html_page import element, facts, figures, page, section, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hybridstore.evaluation.significance import RunComparison
    from hybridstore.tuning.adapter_tuning import ChangedRanking, TuneReport
    from hybridstore.tuning.gate import Verdict
    from hybridstore.tuning.user_questions import HarvestSummary

_EXCERPT = 120  # characters of a title


def outcome(report: TuneReport) -> str:
    """Return the outcome of a tuning in a sentence or two, with the command to use or undo it."""
    reason, number = report.verdict.reason, report.number
    if not report.verdict.accepted:
        return f"Rejected: {reason}. Nothing was changed; version {number} stays in the history."
    if not report.promoted:
        return f"Accepted: {reason}. Version {number} waits; `hybridstore model promote {number}` puts it to use."
    return f"Accepted: {reason}. Version {number} answers now; `hybridstore model rollback` undoes it."


def comparisons(verdict: Verdict) -> dict[str, RunComparison]:
    """Return the gate's comparisons by name: overall, by kind of question, by task; {} where there are none."""
    if verdict.overall is None:
        return {}
    kinds = {f"questions: {kind}": change for kind, change in verdict.kinds.items()}
    tasks = {TASKS[task]: change for task, change in verdict.tasks.items()}
    return {"overall": verdict.overall, **kinds, **tasks}


def disagreement(harvested: HarvestSummary) -> str:
    """Return what was harvested, in words: "words and meaning disagree about 37 % of 812 questions; 640 triples"."""
    questions = sum(harvested.questions.values())
    about = f"{questions:,} questions"
    if harvested.disagreement is not None:
        about = f"words and meaning disagree about {harvested.disagreement:.0%} of {about}"
    return f"{about}; {harvested.triples:,} triples"


def documents_shown(report: TuneReport) -> frozenset[str]:
    """Return the ids of the documents that the page names."""
    return frozenset(
        document for example in report.examples for document in (example.answer, *example.before, *example.after)
    )


def tune_report(
    report: TuneReport, *, about: Mapping[str, str], titles: Mapping[str, str], harvested: HarvestSummary | None = None
) -> str:
    """Return the page; the same arguments return the same bytes.

    `about` are further facts (name → value), `titles` those of `documents_shown` that have one.
    """
    summary = {**about, "version": str(report.number), "questions at the gate": f"{report.verdict.questions:,}"}
    if harvested is not None:
        summary["harvested"] = disagreement(harvested)
    return page(
        "Tuned: accepted" if report.verdict.accepted else "Tuned: rejected",
        element("p", element("strong", outcome(report))),
        facts(summary),
        *_gate(report.verdict),
        _examples(report.examples, titles),
        _questions(report.questions),
        section("Time", table(["step", "seconds"], ([step, f"{time:.1f}"] for step, time in report.seconds.items()))),
        section("Settings", facts({name: str(value) for name, value in report.settings.items()})),
    )


def _gate(verdict: Verdict) -> Iterator[Markup]:
    rows = comparisons(verdict)
    if not rows:
        return
    note = (
        "nDCG@10 before and after, on documents that nothing was trained on. Means and intervals (95 %) are over "
        "documents. A version is accepted if the overall interval is above zero, and no other below."
    )
    cells = (
        [name, f"{c.n:,}", f"{c.mean_a:.4f}", f"{c.mean_b:.4f}", interval(c), f"{c.wins:,} / {c.losses:,} / {c.ties:,}"]
        for name, c in rows.items()
    )
    head = ["", "documents", "before", "after", "after − before", "better / worse / equal"]
    plot = figures(interval_plot(list(rows.items()), "after − before, nDCG@10"))
    yield section("The gate", element("p", note), table(head, cells), plot)


def _examples(examples: Sequence[ChangedRanking], titles: Mapping[str, str]) -> Markup:
    title = "Questions that changed most"
    if not examples:
        return section(title, element("p", "No question of the gate found its document higher or lower than before."))
    return section(title, *(_card(example, titles) for example in examples))


def _card(example: ChangedRanking, titles: Mapping[str, str]) -> Markup:
    def listed(documents: Sequence[str]) -> Markup:
        if not documents:
            return element("p", "nothing", class_="soft")
        return element("ol", *(element("li", _document(document, titles, example.answer)) for document in documents))

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
    ordered = sorted(questions.items(), key=lambda item: (-item[1], item[0]))
    rows = [[kind, f"{number:,}"] for kind, number in (*ordered, ("all", sum(questions.values())))]
    return section("Questions trained on", table(["kind", "questions"], rows))
