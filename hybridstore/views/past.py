"""What a store remembers and has learned: facts with their successors in time, model versions, the queries asked.

The functions take what `hybridstore.serving.overview` gathers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from markupsafe import Markup

from hybridstore.views.html_page import element
from hybridstore.views.rendering import render
from hybridstore.views.svg_plots import intervals

MODULES = ("timeline.js",)
ANSWERED = 0.5  # confidence below which a query rather has no answer
_FACTS = 200  # on a timeline, those that changed last
_VERSIONS = 8  # of a model, in the plot
_LISTED = 12  # queries of a kind
_WIDTH = 400


def timeline(value: Mapping[str, Any], *, heading: str = "h2") -> Markup:
    """Return facts with their versions in time, as `overview.memory` gives them; its module goes back to any day."""
    now = datetime.fromisoformat(value["now"]).timestamp()
    facts = _facts(value["notes"])
    begins = [version["from"] for fact in facts for version in fact["versions"]]
    start = min([*begins, now - 86_400])
    end = max([*begins, now])
    shown = sorted(facts, key=lambda fact: -fact["versions"][-1]["from"])[:_FACTS]
    namespaces: dict[str, list[dict[str, Any]]] = {}
    for fact in shown:
        drawn = {**fact, "line": _line(fact["versions"], start, end)}
        namespaces.setdefault(fact["namespace"], []).append(drawn)
    return render(
        "timeline.html",
        heading=heading,
        namespaces=sorted(namespaces.items()),
        facts=len(facts),
        shown=len(shown),
        turns=value["turns"],
        first=_day(start),
        data={"start": start, "end": end, "now": now},
    )


def learning(value: Mapping[str, Any], *, heading: str = "h2") -> Markup:
    """Return model versions with the gate's verdicts, and the queries asked, as `overview.learning` gives them."""
    models = [_version(model) for model in value["models"]]
    verdicts = [(f"version {model['number']}", *model["interval"]) for model in models if model["interval"]]
    queries = value["queries"]
    return render(
        "learning.html",
        heading=heading,
        models=models,
        drawing=intervals(verdicts[:_VERSIONS]) if verdicts else None,
        asked=queries[:_LISTED],
        unanswered=[each for each in queries if (each["confidence"] or 1.0) < ANSWERED][:_LISTED],
        logged=value["logged"],
        evaluations=[_evaluation(report) for report in value.get("evaluations", ())],
    )


def _evaluation(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is shown of an evaluation: the differences by its first metric, drawn with their intervals."""
    main = report["metrics"][:1]
    rows = [(pair, *interval) for pair, metric, *interval in report["differences"] if [metric] == main]
    return {**report, "drawing": intervals(rows) if rows else None}


def _facts(notes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return notes as facts: those that superseded one another are versions of one, oldest first."""
    known = {(tuple(note["namespace"]), note["id"]): note for note in notes}
    first: dict[Any, Any] = {}

    def root(key: Any) -> Any:
        while first.get(key, key) != key:
            key = first[key]
        return key

    for (namespace, id_), note in known.items():
        successors = [note["superseded_by"]] if note.get("superseded_by") else []
        for other in (*note.get("supersedes", ()), *successors):
            if (namespace, other) in known:
                first[root((namespace, id_))] = root((namespace, other))
    facts: dict[Any, list[Mapping[str, Any]]] = {}
    for key, note in known.items():
        facts.setdefault(root(key), []).append(note)
    return [_fact(versions) for versions in facts.values()]


def _fact(notes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    versions = []
    for note in notes:
        begins, ends = _seconds(note, "valid_from", "occurred_at", "recorded_at"), _seconds(note, "valid_to")
        expires = _seconds(note, "expires_at")
        ends = min((end for end in (ends, expires) if end is not None), default=None)
        versions.append({**note, "from": begins or 0.0, "to": ends, "begins": _day(begins), "ends": _day(ends)})
    versions.sort(key=lambda version: (version["from"], version["to"] is None, version["id"]))
    return {"namespace": "/".join(versions[-1]["namespace"]) or "default", "versions": versions}


def _seconds(note: Mapping[str, Any], *names: str) -> float | None:
    when = next((note[name] for name in names if note.get(name)), None)
    return None if when is None else datetime.fromisoformat(when).timestamp()


def _day(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds).astimezone().date().isoformat()


def _line(versions: Sequence[Mapping[str, Any]], start: float, end: float) -> Markup:
    """Draw the versions of a fact, one after another, between two moments."""

    def place(seconds: float) -> float:
        return (seconds - start) / max(end - start, 1.0) * _WIDTH

    parts = [element("rect", x=0, y=5, width=_WIDTH, height=2, class_="hs-track")]
    for number, version in enumerate(versions):
        left, right = place(version["from"]), _WIDTH if version["to"] is None else place(version["to"])
        colour = "s0" if version["to"] is None or version["to"] >= end else "s5"
        box = {"x": min(left, _WIDTH - 3.0), "y": 2, "width": max(right - left - 1, 3), "height": 8, "rx": 2}
        title = element("title", f"{version['text'][:200]} ({version['begins']} to {version['ends'] or 'now'})")
        parts.append(element("rect", title, class_=f"fill {colour} v{number}", **box))
    parts.append(element("line", x1=_WIDTH, x2=_WIDTH, y1=0, y2=12, class_="hs-when"))
    return element("svg", *parts, viewBox=f"0 0 {_WIDTH} 12", preserveAspectRatio="none", aria_hidden="true")


def _version(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is shown of a model version: the verdict's sentence, and its interval if it was measured."""
    report = model["report"]
    verdict = report.get("verdict") or {}
    overall = verdict.get("overall")
    reason = verdict.get("reason", "")
    if "agreement" in report:
        reason = f"{report['agreement']:.0%} of the ten nearest neighbours stay the same"
    return {
        **model,
        "embedder": model["source"].partition("@")[0],
        "reason": reason,
        "questions": verdict.get("questions"),
        "interval": None if overall is None else (overall["difference"], overall["low"], overall["high"]),
    }
