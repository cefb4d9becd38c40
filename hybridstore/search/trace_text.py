"""Sentences about a Trace: its terms, weights, scores and confidence. Pure functions; `explain` puts them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hybridstore.records import (
    FULL_Z_SCORE,
    Evidence,
    Hit,
    Leg,
    Ranking,
    Selection,
    Term,
    Trace,
    expected_error,
    least_confidence,
)
from hybridstore.search.evidence import USUAL_POWER
from hybridstore.search.rank_fusion import by_power
from hybridstore.search.vector_legs import names

ANSWERED = least_confidence()  # confidence from which on the store more likely has an answer than not
SURE = 0.8
_LISTED = 12  # terms or words of a kind
_REWRITES = {
    "keywords": "The keywords",
    "meaning": "The meaning",
    "answer": "The hypothetical answer",
    "questions": "The other wording",
}
_QUERY = 160  # characters of a query that a passage led to


def describe_terms(trace: Trace) -> list[str]:
    """Say which words of the query were searched for, which were not, and why; [] without a keyword leg."""
    if trace.keyword is None:
        return []
    known = sorted((term for term in trace.terms if term.document_frequency), key=lambda term: -term.idf)
    used, unused = [term for term in known if term.used], [term for term in known if not term.used]
    lines = [f"Terms, rarest first: {_listed([_term(term) for term in used])}."]
    if unused:
        why = "Left out, because they are too common to add much"
        if trace.phrases:
            why = "Not searched for on their own, because they are part of a phrase or too common to add much"
        lines.append(f"{why}: {_listed([_term(term) for term in unused])}.")
    if unknown := [term.word or term.text for term in trace.terms if not term.document_frequency]:
        lines.append(f"In no passage: {_listed(unknown)}.")
    if trace.ignored:
        lines.append(f"Ignored, because they only carry the grammar: {_listed(trace.ignored)}.")
    return lines


def describe_weights(trace: Trace) -> list[str]:
    """Say how the two rankings were fused, and where the weights come from; [] where one leg ran alone."""
    if trace.added:
        return _describe_several(trace)
    if trace.keyword is None or trace.vector is None:
        return []
    if not len(trace.vector):
        return ["The vector leg found nothing, so the words alone decide."]
    shared = len(np.intersect1d(trace.keyword.chunks[:10], trace.vector.chunks[:10]))
    together = f"the legs share {shared} of their top 10"
    keyword, vector = trace.weights
    if trace.fusion != "adaptive":
        return [f"Fused by {trace.fusion}, weights {keyword:.3g} and {vector:.3g}; {together}."]
    usual = by_power(USUAL_POWER)[1]
    if trace.power is None:
        why = "The power of this store's vectors is unknown (it is measured when text is added with an embedder), "
        why += f"so they get the usual weight of {usual:.2f}."
    else:
        why = "This store's vectors separate a passage from the average chunk by "
        why += f"{trace.power:.1f} standard deviations (power); {USUAL_POWER:g} is usual and gives them {usual:.2f}."
    if trace.filled < 1.0:
        why += f" They weigh less while only {100 * trace.filled:.0f} % of them are there."
    return [f"Fused by adaptive: the keyword leg weighs {keyword:.2f}, the vector leg {vector:.2f}; {together}.", why]


def _describe_several(trace: Trace) -> list[str]:
    """Say how the legs were fused where there are several vector legs."""
    if len(trace.legs) < 2:
        return []
    if trace.fusion != "adaptive":
        return [f"Fused by {trace.fusion}: {', '.join(leg.name for leg in trace.legs)}."]
    weighed = ", ".join(
        f"{leg.name} weighs {leg.weight:.2f}" + ("" if leg.power is None else f" (power {leg.power:.1f})")
        for leg in trace.legs
    )
    together = "" if trace.power is None else f" The vectors together have a power of {trace.power:.1f}."
    return [f"Fused by adaptive: {weighed}.{together}"]


def describe_replica(trace: Trace) -> list[str]:
    """Say which replica was read, at which revision, and how far behind it was; [] where none was."""
    if trace.replica is None:
        return []
    behind = trace.replica.behind
    late = "which does not know how far behind it is" if behind is None else f"{behind:.1f} s behind its primary"
    return [f"Read from the replica {trace.replica.location}, at revision {trace.revision:,}, {late}."]


def describe_model(trace: Trace) -> list[str]:
    """Say which model version adapted the query's vector; [] where none did."""
    if trace.model is None:
        return []
    return [f"Version {trace.model} of this store's model adapted the query's vector before the comparison."]


def describe_confidence(confidence: float | None) -> str | None:
    """Say how likely the store has an answer at all; None where that is unknown."""
    if confidence is None:
        return None
    if confidence >= ANSWERED:
        sentence = "Confident that the store has" if confidence >= SURE else "The store probably has"
        error = f"of what is at least as sure, {expected_error(confidence):.0%} at most should have none"
        return f"{sentence} an answer: {confidence:.2f} ({error})."
    return f"Probably nothing here answers this: {confidence:.2f}."


def describe_alone(alone: Mapping[str, Sequence[str]], hits: Sequence[Hit]) -> list[str]:
    """Name the documents that each leg would have ranked first by itself; those among the hits are marked."""
    shown = {hit.document_id for hit in hits}
    lines = []
    for leg, documents in alone.items():
        named = (f"{place}. {id_}{' *' if id_ in shown else ''}" for place, id_ in enumerate(documents, start=1))
        lines.append(f"The {leg} leg alone: {', '.join(named) or 'nothing'}.")
    if any(document in shown for documents in alone.values() for document in documents):
        lines[-1] += " (* is among the hits)"
    return lines


def describe_parts(trace: Trace, chunk: int) -> str | None:
    """Write out the sum that a chunk's fused score is: "0.282 × 0.812 (words: …) + 0.718 × 0.430 (cosine …)".

    None where the fusion does not weigh evidence, the chunk was no candidate, or the score is made of several searches.
    """
    evidence = trace.evidence
    place = None if evidence is None else evidence.at(chunk)
    if trace.fusion != "adaptive" or evidence is None or place is None or trace.path:
        return None
    keyword, deviations = float(evidence.keyword[place]), float(evidence.vector[place])
    above = f"{abs(deviations):.1f} standard deviations {'below' if deviations < 0 else 'above'} the average chunk"
    cosines = [] if trace.vector is None else trace.vector.scores[trace.vector.chunks == chunk].tolist()
    if evidence.is_estimated(chunk):
        above = f"its vector is still to be made; estimated from its words: {above}"
    meaning = ", ".join([*(f"cosine {cosine:.3f}" for cosine in cosines), above])
    if evidence.legs:
        each = names(list(evidence.legs))
        meaning = f"{above}: " + ", ".join(
            f"{each[leg]} {'none' if np.isnan(part[place]) else format(part[place], '.1f')}"
            for leg, part in evidence.legs.items()
        )
    total = trace.weights[0] * keyword + trace.weights[1] * deviations / FULL_Z_SCORE
    return (
        f"{trace.weights[0]:.3f} × {keyword:.3f} (words: {100 * evidence.coverage[place]:.0f} % of the query's, by "
        f"weight) + {trace.weights[1]:.3f} × {deviations / FULL_Z_SCORE:.3f} ({meaning})"
        + ("" if 0 <= total <= 1 else ", limited to 0 to 1")
    )


def describe_truths(trace: Trace) -> list[str]:
    """Say how the truths of a structured query were joined; [] for a text."""
    if trace.truths is None:
        return []
    who = "a document's passages together" if trace.truths.per == "document" else "each passage alone"
    said = {"product": "the product of truths", "lukasiewicz": "Łukasiewicz's norm", "godel": "the least truth"}
    count = len(trace.truths.chunks)
    return [
        f"Judged by {len(trace.truths.parts)} parts, {who}: {count:,} candidate{'' if count == 1 else 's'}.",
        f"Conditions that must all hold count as {said[trace.truths.norm]}, and alternatives as its dual.",
    ]


def describe_truth(trace: Trace, hit: Hit) -> list[str]:
    """Write out how true each part of a structured query is of a hit, as a tree; [] for a text."""
    if trace.truths is None:
        return []
    place = int(np.flatnonzero(trace.truths.chunks == hit.chunk_id)[0])
    lines = []
    for part in trace.truths.parts:
        evidence = part.evidence
        chunk = hit.chunk_id if part.passages is None else int(part.passages[place])
        at = None if evidence is None else evidence.at(chunk)
        why = "" if evidence is None or at is None else _why_true(evidence, at)
        elsewhere = "" if chunk == hit.chunk_id else f"; in passage {chunk}"
        weight = "" if part.weight == 1.0 else f" (weight {part.weight:g})"
        lines.append(f"{'  ' * part.level}{part.truths[place]:.3f} {part.text}{weight}{why}{elsewhere}")
    return lines


def _why_true(evidence: Evidence, place: int) -> str:
    share, deviations = 100 * evidence.coverage[place], float(evidence.vector[place])
    return f": {share:.0f} % of the words, {deviations:+.1f} standard deviations"


def describe_path(trace: Trace) -> list[str]:
    """Say which passage led where, in which order; [] where none led on."""
    if not trace.path:
        return []
    lines = [f"Followed from passage to passage, {trace.path[-1].number} searches deep; scores are made of ranks."]
    return lines + [
        f"{hop.document_id} (passage {hop.chunk_id}) led to search {hop.number}, for: {_cut(hop.query)}"
        for hop in trace.path
    ]


def describe_hops(trace: Trace, hit: Hit) -> list[str]:
    """Name the searches that have a hit among their first, with its rank there; [] where no passage led on."""
    found = [
        f"{hop.found.index(hit.chunk_id) + 1} of what {hop.document_id} led to"
        for hop in trace.path
        if hit.chunk_id in hop.found
    ]
    return [f"rank {', '.join(found)}"] if found else []


def describe_rewriting(trace: Trace) -> list[str]:
    """Say whether the question was rewritten, and how, or why not; [] for a search without a rewriter."""
    rewriting = trace.rewriting
    if rewriting is None:
        return []
    if rewriting.error:
        return [f"Asked for rewrites in vain ({1000 * rewriting.seconds:.0f} ms): {rewriting.error}."]
    if not rewriting.texts:
        return [f"No rewrites were asked for: {rewriting.reason}."]
    lines = [
        f"Rewrites asked for in {1000 * rewriting.seconds:.0f} ms." if rewriting.asked else "Rewrites were passed."
    ]
    return lines + [
        f"{_REWRITES[each.kind]} counts {each.share:.2f} (agrees {each.agreement:.2f} with the question): "
        f"{_cut(each.text)}"
        for each in rewriting.texts
    ]


def describe_rewritten(trace: Trace, hit: Hit) -> list[str]:
    """Name the rewrites that have a hit among their first ten, with its rank there; [] where none has."""
    texts = () if trace.rewriting is None else trace.rewriting.texts
    found = [
        f"{each.found.index(hit.chunk_id) + 1} for {_REWRITES[each.kind].lower()}"
        for each in texts
        if hit.chunk_id in each.found
    ]
    return [f"rank {', '.join(found)}"] if found else []


def describe_second(trace: Trace) -> list[str]:
    """Say what the second stage read; [] without one."""
    if trace.second is None:
        return []
    share = f"its score weighs {trace.second.weight:.2f}"
    return [f"Read again by {trace.second.name}: the best {len(trace.second.scores)}; {share}."]


def describe_reading(trace: Trace, hit: Hit) -> tuple[list[str], float]:
    """Return how the second stage changed a hit's score, [] without one, and the score that the search gave it."""
    if trace.second is None:
        return [], hit.score
    place = int(np.flatnonzero(trace.fused.chunks == hit.chunk_id)[0])
    before = float(trace.fused.scores[place])
    read = trace.second.scores.get(hit.chunk_id)
    how = "not read again" if read is None else f"{trace.second.name} gave it {read:.3f}"
    return [f"score {hit.score:.3f} after the second stage: {how}; the search ranked it {place + 1}"], before


def describe_ranks(hit: Hit, added: Sequence[Leg] = ()) -> str:
    """Return a hit's rank in each leg that has it, `added` ones included, with the leg's own score."""
    parts = []
    if hit.keyword_rank is not None:
        parts.append(f"keyword rank {hit.keyword_rank} (BM25 {hit.keyword_score:.3f})")
    if hit.vector_rank is not None:
        parts.append(f"vector rank {hit.vector_rank} (cosine {hit.vector_score:.3f})")
    for leg in added:
        places = np.flatnonzero(leg.ranking.chunks == hit.chunk_id).tolist()
        parts += [f"{leg.name} rank {place + 1} (cosine {leg.ranking.scores[place]:.3f})" for place in places]
    return " + ".join(parts)


def describe_selection(selection: Selection) -> str:
    """Say in a sentence which selections ran and what they left out."""
    parts = []
    if selection.unique:
        parts.append(f"near-copies folded ({len(selection.folded)})")
    if selection.per_document is not None:
        parts.append(f"at most {selection.per_document} of a document ({len(selection.capped)} left out)")
    if selection.diversity:
        parts.append(f"diversity {selection.diversity:g}")
    return f"Selected from the best {selection.looked}: {', '.join(parts)}."


def describe_threshold(trace: Trace, least: float | None) -> list[str]:
    """Say how many candidates were not relevant enough; [] without a `min_relevance`."""
    if least is None or trace.evidence is None or trace.evidence.relevance is None:
        return []
    below = int((trace.evidence.relevance < least).sum())
    return [f"Less relevant than {least:g}, and left out: {below:,} of {len(trace.evidence.chunks):,} candidates."]


def describe_spread(ranking: Ranking, measure: str) -> str:
    """Return a ranking's length, its highest and its lowest score."""
    scores = f", {measure} {ranking.scores[0]:.3f} down to {ranking.scores[-1]:.3f}" if len(ranking) else ""
    return f"{len(ranking):,} candidate{'' if len(ranking) == 1 else 's'}{scores}"


def _term(term: Term) -> str:
    times = f", {term.count} times in the query" if term.count > 1 else ""
    return f"{term.word or term.text} (in {term.document_frequency:,}, idf {term.idf:.2f}{times})"


def _cut(text: str) -> str:
    return text if len(text) <= _QUERY else f"{text[:_QUERY]}…"


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    return (", ".join(words[:_LISTED]) or "none") + more
