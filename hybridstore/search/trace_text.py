"""What a Trace holds, in sentences: terms, weights, scores, confidence. Pure functions, for whatever shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hybridstore.records import Evidence, Hit, Ranking, Selection, Term, Trace
from hybridstore.search.leg_weights import USUAL_POWER, by_power
from hybridstore.search.rank_fusion import IDENTICAL

ANSWERED = 0.5  # confidence from which on it is likelier that the store has an answer than that it has none
SURE = 0.8
_TOLD = 12  # terms or words of a kind


def tell_terms(trace: Trace) -> list[str]:
    """Tell which of the query's words were looked for and which were not, and why; [] without a keyword leg."""
    if trace.keyword is None:
        return []
    known = sorted((term for term in trace.terms if term.document_frequency), key=lambda term: -term.idf)
    sought, unused = [term for term in known if term.used], [term for term in known if not term.used]
    lines = [f"Terms, rarest first: {_listed([_term(term) for term in sought])}."]
    if unused:
        why = "So common that they add little, and were left out"
        if trace.phrases:
            why = "Not looked for by themselves (they stand in phrases, or are so common that they add little)"
        lines.append(f"{why}: {_listed([_term(term) for term in unused])}.")
    if unknown := [term.text for term in trace.terms if not term.document_frequency]:
        lines.append(f"In no passage: {_listed(unknown)}.")
    if trace.ignored:
        lines.append(f"Ignored, for they only carry the grammar: {_listed(trace.ignored)}.")
    return lines


def tell_weights(trace: Trace) -> list[str]:
    """Tell how two legs became one ranking, and why they weigh what they weigh; [] where one leg ran alone."""
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
        why = "What this store's vectors are worth is unknown (it is measured when text is added with an embedder), "
        why += f"so they weigh the usual {usual:.2f}."
    else:
        why = "This store's vectors tell a passage by a fragment of it at "
        why += f"{trace.power:.1f} standard deviations (power); {USUAL_POWER:g} is usual and gives them {usual:.2f}."
    return [f"Fused by adaptive: the keyword leg weighs {keyword:.2f}, the vector leg {vector:.2f}; {together}.", why]


def tell_model(trace: Trace) -> list[str]:
    """Tell which version of the store's model turned the question's vector; [] where none did."""
    if trace.model is None:
        return []
    return [f"The question's vector was turned by version {trace.model} of this store's model before it was compared."]


def tell_confidence(evidence: Evidence | None) -> str | None:
    """Tell how likely the store has an answer at all; None where that is unknown."""
    confidence = None if evidence is None else evidence.confidence
    if confidence is None:
        return None
    if confidence >= SURE:
        return f"Confident that the store has an answer: {confidence:.2f}."
    if confidence >= ANSWERED:
        return f"The store probably has an answer: {confidence:.2f}."
    return f"Probably nothing here answers this: {confidence:.2f}."


def tell_alone(alone: Mapping[str, Sequence[str]], hits: Sequence[Hit]) -> list[str]:
    """Tell which documents each leg alone would have put first, those marked that are among the hits."""
    shown = {hit.document_id for hit in hits}
    lines = []
    for leg, documents in alone.items():
        named = (f"{place}. {each}{' *' if each in shown else ''}" for place, each in enumerate(documents, start=1))
        lines.append(f"The {leg} leg alone: {', '.join(named) or 'nothing'}.")
    if any(document in shown for documents in alone.values() for document in documents):
        lines[-1] += " (* is shown here, too)"
    return lines


def tell_parts(trace: Trace, chunk: int) -> str | None:
    """Tell the sum that a chunk's fused score is: "0.282 × 0.812 (words: …) + 0.718 × 0.430 (cosine …)".

    None where the fusion did not go by evidence, or the chunk was no candidate.
    """
    evidence = trace.evidence
    place = None if evidence is None else evidence.at(chunk)
    if trace.fusion != "adaptive" or evidence is None or place is None:
        return None
    keyword, deviations = float(evidence.keyword[place]), float(evidence.vector[place])
    above = f"{abs(deviations):.1f} standard deviations {'below' if deviations < 0 else 'above'} the average chunk"
    cosines = [] if trace.vector is None else trace.vector.scores[trace.vector.chunks == chunk].tolist()
    meaning = ", ".join([*(f"cosine {cosine:.3f}" for cosine in cosines), above])
    total = trace.weights[0] * keyword + trace.weights[1] * deviations / IDENTICAL
    return (
        f"{trace.weights[0]:.3f} × {keyword:.3f} (words: {100 * evidence.coverage[place]:.0f} % of the query's, by "
        f"weight) + {trace.weights[1]:.3f} × {deviations / IDENTICAL:.3f} ({meaning})"
        + ("" if 0 <= total <= 1 else ", kept within 0 and 1")
    )


def tell_ranks(hit: Hit) -> str:
    """Tell a hit's place in each leg that has it, with the leg's own score."""
    parts = []
    if hit.keyword_rank is not None:
        parts.append(f"keyword rank {hit.keyword_rank} (BM25 {hit.keyword_score:.3f})")
    if hit.vector_rank is not None:
        parts.append(f"vector rank {hit.vector_rank} (cosine {hit.vector_score:.3f})")
    return " + ".join(parts)


def tell_selection(selection: Selection) -> str:
    """Tell in a sentence what was asked of the selection and what it left out."""
    said = []
    if selection.unique:
        said.append(f"near-copies folded ({len(selection.folded)})")
    if selection.per_document is not None:
        said.append(f"at most {selection.per_document} of a document ({len(selection.capped)} left out)")
    if selection.diversity:
        said.append(f"diversity {selection.diversity:g}")
    return f"Selected from the best {selection.looked}: {', '.join(said)}."


def tell_threshold(trace: Trace, least: float | None) -> list[str]:
    """Tell how many candidates were not relevant enough; [] where nothing was asked for."""
    if least is None or trace.evidence is None or trace.evidence.relevance is None:
        return []
    below = int((trace.evidence.relevance < least).sum())
    return [f"Less relevant than {least:g}, and left out: {below:,} of {len(trace.evidence.chunks):,} candidates."]


def tell_spread(ranking: Ranking, measure: str) -> str:
    """Tell a ranking's length, its highest and its lowest score."""
    scores = f", {measure} {ranking.scores[0]:.3f} down to {ranking.scores[-1]:.3f}" if len(ranking) else ""
    return f"{len(ranking)} candidates{scores}"


def _term(term: Term) -> str:
    return f"{term.text} (in {term.document_frequency}, idf {term.idf:.2f})"


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - _TOLD} more" if len(words) > _TOLD else ""
    return (", ".join(words[:_TOLD]) or "none") + more
