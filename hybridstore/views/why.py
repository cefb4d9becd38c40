"""Why a search ranked as it did: each score as its sum, the legs' ranks, the words, chance, and other weights.

All functions take what `Explanation.to_dict()` gives; a plain Trace's has no other weights and no expected document.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from hybridstore.views import why_plots
from hybridstore.views.html_page import frame, page
from hybridstore.views.rendering import render

MODULES = ("weights.js",)
_DRAWN = 12  # hits in the drawing of ranks: more lines cannot be told apart
_WORDS = 24  # in the table of words
_BEGINNING = 60  # characters of a text that stand for a title
_MADE = re.compile("[0-9a-f]{16,}")  # an id that was made of the text
_CALLED = {"keyword": "words", "vector": "meaning"}
_STAGES = (
    ("restricted", "passes the filter"),
    ("legs", "found by words or meaning"),
    ("relevance", "relevant enough"),
    ("fusion", "ranked high enough"),
    ("selection", "kept by the selection"),
)


def why(value: Mapping[str, Any], *, heading: str = "h2", opened: int | None = None) -> Markup:
    """Return the whole panel: the verdict, an expected document, the hits, the legs, the words, other weights.

    `opened` is the chunk whose evidence is open at first; without it, or where it is not a hit, the first
    hit's is.
    """
    names = _names(value)
    passages = _passage_names(value, names)
    hits = [_hit(hit, place, value, passages) for place, hit in enumerate(value["hits"])]
    return render(
        "why.html",
        heading=heading,
        value=value,
        lead=_lead(value),
        confidence=_said(value, "confidence"),
        facts=_said(value, "fact"),
        expected=_expected(value, names),
        hits=hits,
        opened=opened if any(hit["chunk_id"] == opened for hit in hits) else hits and hits[0]["chunk_id"],
        legs=_legs_of_scores(value),
        slopes=_slopes(value, [hit["name"] for hit in hits]),
        words=_words(value),
        alone=_alone(value, names),
        other=_other_weights(value, passages),
    )


def why_page(value: Mapping[str, Any]) -> str:
    """Return the panel as a page in one file."""
    return page(f"Why these results? “{value['query']}”", why(value), modules=MODULES)


def why_frame(value: Mapping[str, Any]) -> Markup:
    """Return the panel for a notebook, in a frame of its own."""
    return frame(why_page(value), f"Why the results for {value['query']}")


def _names(value: Mapping[str, Any]) -> dict[str, str]:
    """Return what documents are called, by their ids."""
    known: Iterable[Mapping[str, Any]] = [*((value.get("other_weights") or {}).get("candidates", ())), *value["hits"]]
    return {each["document_id"]: _name(each) for each in known}


def _passage_names(value: Mapping[str, Any], names: Mapping[str, str]) -> dict[int, str]:
    """Return what passages are called, by their ids: the document, and which part of it where several are shown."""
    known = {each["chunk_id"]: each for each in (value.get("other_weights") or {}).get("candidates", ())}
    known |= {hit["chunk_id"]: hit for hit in value["hits"]}
    times = Counter(passage["document_id"] for passage in known.values())
    headings = Counter((passage["document_id"], passage["heading"]) for passage in known.values())
    named = {}
    for chunk, passage in known.items():
        name, part = names[passage["document_id"]], passage["heading"].split(" > ")[-1]
        if times[passage["document_id"]] > 1 and part not in {"", name}:
            name = f"{name} › {part}"
        if headings[passage["document_id"], passage["heading"]] > 1:
            name = f"{name}: {' '.join(passage['text'].split())[:_BEGINNING]}"
        named[chunk] = name
    return named


def _name(passage: Mapping[str, Any]) -> str:
    """Return the title; without one the id, or the end of a long path, and how the text begins."""
    if passage["title"]:
        return str(passage["title"])
    begins = " ".join(passage["text"].split())[:_BEGINNING]
    made = _MADE.fullmatch(passage["document_id"])  # of the text, so it says less than that
    return f"“{begins}…”" if made else f"{_short(passage['document_id'])}: {begins}…"


def _short(document: str) -> str:
    parts = document.split("/")
    return "…/" + "/".join(parts[-2:]) if len(parts) > 3 else document


def _said(value: Mapping[str, Any], kind: str) -> list[str]:
    return [line["text"] for line in value.get("lines", ()) if line["kind"] == kind]


def _lead(value: Mapping[str, Any]) -> str:
    """Say in a sentence by what the hits were found."""
    words, meaning = value["weights"]
    if not (words and meaning):
        return "These passages were found by " + ("their words alone." if words else "their meaning alone.")
    sentence = "These passages were found by their words (a keyword index) and by their meaning (vectors)"
    if value["fusion"] == "adaptive":
        return f"{sentence}. In this store words count {words:.0%} and meaning {meaning:.0%}."
    return f"{sentence}, and fused by {value['fusion']}."


def _legs_of_scores(value: Mapping[str, Any]) -> list[str]:
    """Return the names of what scores are the sum of; [] where one leg decided alone."""
    other = value.get("other_weights")
    if other is not None:
        return list(other["legs"])
    evidence = value["evidence"] or [{}]
    return ["words", "meaning"] if "parts" in evidence[0] else []


def _parts(hit: Mapping[str, Any], evidence: Mapping[str, Any], value: Mapping[str, Any]) -> list[float]:
    other = value.get("other_weights") or {"candidates": ()}
    for each in other["candidates"]:
        if each["chunk_id"] == hit["chunk_id"]:
            legs = zip(other["weights"], each["values"], other["scales"], strict=True)
            return [weight * number / scale for weight, number, scale in legs]
    return list(evidence.get("parts", {}).values())


def _hit(hit: Mapping[str, Any], place: int, value: Mapping[str, Any], names: Mapping[int, str]) -> dict[str, Any]:
    """Return what the panel shows of a hit."""
    evidence = value["evidence"][place] if value["evidence"] else {}
    parts = _parts(hit, evidence, value)
    whole = max([*(each["score"] for each in value["hits"]), sum(max(part, 0.0) for part in parts)])
    score = sum(parts) if parts else hit["score"]
    words = [(each["word"], value["weights"][0] * each["adds"]) for each in evidence.get("words", ()) if each["adds"]]
    words.sort(key=lambda pair: -pair[1])
    most = max((adds for _, adds in words), default=0.0)
    cosine, scale = hit["vector_score"], value["cosines"]
    return {
        **hit,
        "name": names[hit["chunk_id"]],
        "parts": parts,
        "search_score": min(max(score, 0.0), 1.0),
        "limited": not 0.0 <= score <= 1.0,
        "bar": why_plots.bar(parts or [hit["score"]], whole),
        "words": [(word, adds, why_plots.bar([adds], most)) for word, adds in words],
        "lacks": [each["word"] for each in evidence.get("words", ()) if not each["adds"]],
        "deviations": evidence.get("vector"),
        "estimated": evidence.get("estimated", False),
        "coverage": evidence.get("coverage"),
        "density": None if cosine is None or scale is None else why_plots.above_chance(cosine, scale),
        "added": _added_ranks(hit, value),
    }


def _added_ranks(hit: Mapping[str, Any], value: Mapping[str, Any]) -> list[tuple[str, int | None]]:
    return [
        (leg["name"], _rank(hit["chunk_id"], leg["ranking"]["chunks"])) for leg in value["legs"] if "ranking" in leg
    ]


def _rank(chunk: int, chunks: list[int]) -> int | None:
    return chunks.index(chunk) + 1 if chunk in chunks else None


def _slopes(value: Mapping[str, Any], names: list[str]) -> list[Markup]:
    """Return drawings of the hits' ranks in the legs, two legs in each; [] for a search with one leg."""
    hits = value["hits"][:_DRAWN]
    legs = [
        (called, [hit[rank] for hit in hits])
        for leg, rank, called in (("keyword", "keyword_rank", "by words"), ("vector", "vector_rank", "by meaning"))
        if value[leg] is not None
    ]
    legs += [
        (leg["name"], [_rank(hit["chunk_id"], leg["ranking"]["chunks"]) for hit in hits])
        for leg in value["legs"]
        if "ranking" in leg
    ]
    if not hits or len(legs) < 2:
        return []
    return [why_plots.slopes(names[:_DRAWN], legs[n : n + 2]) for n in range(0, len(legs), 2)]


def _words(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the words of the query, rarest first: how rare each is, and what became of it."""
    terms = sorted(value["terms"], key=lambda term: (-term["idf"], term["text"]))[:_WORDS]
    rarest = max((term["idf"] for term in terms), default=0.0)
    words = []
    for term in terms:
        fate = "" if term["used"] else "too common to count, or part of a phrase"
        if not term["document_frequency"]:
            fate = "in no passage"
        words.append(
            {
                "word": term["word"] or term["text"],
                "passages": term["document_frequency"],
                "idf": term["idf"],
                "bar": why_plots.bar([max(term["idf"], 0.0)], rarest),
                "fate": fate,
            }
        )
    return words


def _alone(value: Mapping[str, Any], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return for each leg the documents it would have shown first, with their ranks among the hits."""
    ranks: dict[str, int] = {}
    for hit in value["hits"]:
        ranks.setdefault(hit["document_id"], hit["rank"])
    return [
        {
            "leg": _CALLED.get(leg, leg),
            "documents": [(names.get(id_) or _short(id_), ranks.get(id_)) for id_ in documents],
        }
        for leg, documents in value.get("alone", {}).items()
    ]


def _other_weights(value: Mapping[str, Any], names: Mapping[int, str]) -> dict[str, Any] | None:
    """Return what the browser ranks anew from; None where there is nothing to weigh."""
    other = value.get("other_weights")
    if other is None or not other["candidates"]:
        return None
    expected = (value.get("expected") or {}).get("document_id")
    return {
        **{name: other[name] for name in ("legs", "scales", "weights", "limit")},
        "candidates": [
            {
                "chunk": each["chunk_id"],
                "name": names[each["chunk_id"]],
                "text": each["text"],
                "values": each["values"],
                "expected": each["document_id"] == expected,
            }
            for each in other["candidates"]
        ],
        "before": bool(value["selection"] or value["second"]),
    }


def _expected(value: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the path of an expected document through the search: what it passed, where it was lost, what helps."""
    expected = value.get("expected")
    if expected is None:
        return None
    skipped = {"relevance"} if value.get("min_relevance") is None else set()
    skipped |= {"selection"} if value["selection"] is None else set()
    stages = [
        (stage, called)
        for stage, called in _STAGES
        if (
            (stage != "relevance" or value.get("min_relevance") is not None)
            and (stage != "selection" or value["selection"] is not None)
        )
        or stage == expected["lost"]
    ]
    lost = next((n for n, (stage, _) in enumerate(stages) if stage == expected["lost"]), len(stages))
    path = [
        (called, "passed" if n < lost else "lost" if n == lost else "after") for n, (_, called) in enumerate(stages)
    ]
    weights = expected["weights"]
    return {
        **expected,
        "name": names.get(expected["document_id"]) or _short(expected["document_id"]),
        "path": [*path, ("shown", "passed" if expected["lost"] is None else "after")],
        "calls": [", ".join(f"{name}={change!r}" for name, change in each.items()) for each in expected["remedies"]],
        "range": None if weights is None else why_plots.share_range(weights, value["weights"][0]),
    }
