"""One turn of learning for the whole encoder: triples, a fine-tune, the gate on a copy of the store, the change over.

The store is searched and written as ever meanwhile. What is trained is asked on a copy of it, all of it embedded anew,
the way that people's questions go; the copy's vectors are carried over where the gate lets the new encoder in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridstore.backends.learning import ModelVersion, Triple
from hybridstore.errors import InputError
from hybridstore.search.pipeline import Clock
from hybridstore.store.embedder_choice import identify
from hybridstore.tuning import (
    adapter_tuning,
    embedder_promotion,
    gate,
    gate_probes,
    store_copy,
    synthetic_questions,
    training_set,
)
from hybridstore.tuning.adapter_tuning import Progress, TuneReport
from hybridstore.tuning.finetune import FinetuneSettings, check_can_finetune, finetune, from_triples, next_folder
from hybridstore.tuning.gate import Verdict
from hybridstore.tuning.harvesting import harvest

if TYPE_CHECKING:
    from hybridstore.backends.values import Embedding
    from hybridstore.embedders.protocol import Embedder
    from hybridstore.store import Store
    from hybridstore.tuning.adapter_tuning import ChangedRanking
    from hybridstore.tuning.finetune import FinetuneReport
    from hybridstore.tuning.training_set import LabelledQuestion

HARVESTED = 2_000  # questions of the store's text, where it holds no triples yet
# A few thousand triples are a few hundred steps, in which the rate usual for large data, 2e-5, changes nothing.
OPTIONS = FinetuneSettings(rate=1e-4)


def tune_full(
    store: Store,
    *,
    options: FinetuneSettings | None = None,
    base: str | None = None,
    out: Path | None = None,
    asked: int = adapter_tuning.PROBES,
    change: bool = True,
    progress: Progress | None = None,
    notify: Callable[[str], None] | None = None,
) -> TuneReport:
    """Fine-tune the store's encoder on its triples; give all chunks its vectors if the gate lets it in.

    Triples about documents kept for the gate are left out; a store without any is harvested first, of its own text.
    `base` is the encoder to begin with, the store's own unless named. `out` is the new one's folder, by default
    `<the store's file>.models/<n>`, which goes again where it is refused. About `asked` questions are of the gate. With
    `change` False an accepted version stays a candidate. One that is refused is kept in the history with the reason.
    `notify` is called with what the fine-tune does, in a few words.

    The gate embeds all of the store, in a copy of its file beside it, which needs as much of the disk again. The store
    changes only in the last step, at once: its vectors are the new encoder's then, and those before are kept for
    `versions.rollback`. Killed while it trains, the same call goes on from the last checkpoint.

    Raises:
        InputError: there is nothing to learn from, or too little to judge it by; no embedder, or questions of another
            one than the vectors; `out` is in use; another process is at it, or changed the store's embedder.
        ModelUnavailable: no PyTorch weights of the encoder are here, or its export is too far from them.
        MissingExtra: torch, transformers or onnx is not installed.

    """
    options, told, clock = options or OPTIONS, progress or (lambda *_: None), Clock()
    if asked < gate.FEWEST:
        raise InputError(f"asked, the questions of the gate, must be at least {gate.FEWEST}, not {asked}")
    searched, _ = adapter_tuning.embedding_of(store)
    base = base or searched.reference
    into = out or next_folder(store.location)
    _see_that_it_is_free(store, searched, into)
    check_can_finetune(base, into, options)
    with store_copy.workplace(store, making=into if out is None else None) as folder:
        told("Making questions", 0, 1)
        held = _examined(store, asked, options.seed)
        clock.lap("questions")
        triples = _taught(store) or _harvested(store, options.seed, told)
        clock.lap("harvest")
        made = finetune(
            base,
            from_triples(store, triples),
            into,
            options=options,
            progress=lambda step, of, loss, _: told("Training the encoder", step, of, f"loss {loss:.3f}"),
            notify=notify,
        )
        clock.lap("training")
        new = store.load_embedder(made.out)
        with store_copy.opened(store, folder) as copy:
            now = copy.learning.model()
            verdict, examples = _gated(store, copy, held, now, new, told)
            clock.lap("gate")
            report = TuneReport(
                number=0,
                promoted=False,
                verdict=verdict,
                questions=dict(Counter(triple.kind for triple in triples)),
                settings={"method": "full", "base": base, **asdict(options)},
                seconds=clock.laps,
                examples=examples,
            )
            number = _proposed(store, (searched, now), identify(new), report, made)
            if verdict.accepted and change:
                _change(store, copy, new, told)
                clock.lap("promotion")
    return replace(report, number=number, promoted=verdict.accepted and change)


def _see_that_it_is_free(store: Store, searched: Embedding, out: Path) -> None:
    """Raise where an embedder that the store may need is in the folder already."""
    needed = {model.reference: model.number for model in store.learning.models() if model.state != "refused"}
    taken = {Path(reference).resolve(): f"version {number}" for reference, number in needed.items()}
    taken[Path(searched.reference).resolve()] = "the store's embedder"
    if what := taken.get(out.resolve()):
        raise InputError(f"{out} holds {what}; name another folder for the new one, or none")


def _examined(store: Store, asked: int, seed: int) -> list[LabelledQuestion]:
    """Give the questions of the gate; raises InputError where they are too few to judge by, before anything is done."""
    _, held = adapter_tuning.parted(training_set.collect(store, seed=seed), asked, seed)
    documents = {min(item.documents) for item in held}
    if len(documents) < gate.FEWEST:
        raise InputError(
            f"only {len(documents)} of this store's documents could be asked about, and {gate.FEWEST} are needed to "
            "tell whether a fine-tune does any good: one document in five is kept for that; add more of them"
        )
    return held


def _taught(store: Store) -> list[Triple]:
    """Give the store's triples but for those of the gate's documents, and of questions that such a document answers."""
    triples = list(store.learning.triples())
    named = {triple.positive for triple in triples} | {triple.origin for triple in triples if triple.origin is not None}
    named.update(negative.chunk for triple in triples for negative in triple.negatives)
    documents = training_set.documents_of(store, named)
    examined = {chunk for chunk, document in documents.items() if training_set.held_out(document)}
    barred = {triple.query for triple in triples if {triple.positive, triple.origin} & examined}
    return [
        replace(triple, negatives=tuple(each for each in triple.negatives if each.chunk not in examined))
        for triple in triples
        if triple.query not in barred
    ]


def _harvested(store: Store, seed: int, told: Progress) -> list[Triple]:
    questions = list(synthetic_questions.from_corpus(store, most=HARVESTED, seed=seed))
    found = []
    for done, each in enumerate(harvest(store, questions), start=1):
        found.append(each.triple)
        if done % 20 == 0 or done == len(questions):
            told("Harvesting", done, len(questions))
    # All at once: a harvest that was stopped would pass for a whole one in the next turn.
    store.learning.add_triples([triple for triple in found if triple is not None])
    if not (taught := _taught(store)):
        raise InputError(
            "there is nothing to learn from: no triple can be made of this store's text; add documents, or run "
            "`hybridstore harvest` with questions of your own"
        )
    return taught


def _gated(  # noqa: PLR0917 - what is compared with what
    store: Store, copy: Store, held: Sequence[LabelledQuestion], now: ModelVersion | None, new: Embedder, told: Progress
) -> tuple[Verdict, tuple[ChangedRanking, ...]]:
    """Ask the same of the copy as it is and embedded anew; give the verdict, and questions that tell something."""
    texts = [item.text for item in held]
    vectors = training_set.embed(store, texts, progress=lambda done, of: told("Embedding questions", done, of))
    examined = gate_probes.make(copy, held, vectors, progress=lambda done, of: told("Reading what is alike", done, of))
    before = gate_probes.values(copy, examined, now, progress=lambda done, of: told("Asking as it is", done, of))
    copy.reembed(new, progress=lambda done, of: told("Embedding a copy of the store", done, of))
    again = training_set.embed(copy, texts, progress=lambda done, of: told("Embedding questions", done, of))
    same = [replace(probe, vector=vector) for probe, vector in zip(examined, again, strict=True)]
    after = gate_probes.values(copy, same, None, progress=lambda done, of: told("Asking as it would be", done, of))
    examples = adapter_tuning.examples(
        held,
        before,
        after,
        lambda n: gate_probes.found(store, texts[n], vectors[n], now),
        lambda n: gate_probes.found(copy, texts[n], again[n], None),
    )
    return gate.decide(examined, before, after), examples


def _proposed(
    store: Store,
    before: tuple[Embedding, ModelVersion | None],
    identity: Embedding,
    report: TuneReport,
    made: FinetuneReport,
) -> int:
    """Keep the version in the history; give its number. Raises InputError where it was compared with what is gone."""
    if (store.embeddings.active, store.learning.model()) != before:
        raise InputError(
            "the store's embedder or its version was changed while this one was tried, so the comparison says nothing; "
            "tune again"
        )
    facts: dict[str, Any] = {
        **adapter_tuning.kept(report),
        "finetune": made.to_dict(),
        embedder_promotion.BEFORE: asdict(before[0]),
    }
    return store.learning.propose(
        ModelVersion(
            kind="embedder",
            source=identity.fingerprint,
            target=identity.fingerprint,
            reference=identity.reference,
            state="candidate" if report.verdict.accepted else "refused",
            report=facts,
        )
    )


def _change(store: Store, copy: Store, new: Embedder, told: Progress) -> None:
    """Take the copy's vectors over, make those of what was written since, and change to them in one step."""
    told(adapter_tuning.PROMOTING, 0, 1)
    store_copy.carry(copy, store, identify(new), progress=lambda done, of: told(adapter_tuning.PROMOTING, done, of))
    embedder_promotion.promote_embedder(
        store, new, progress=lambda done, of: told("Embedding what was added", done, of)
    )
