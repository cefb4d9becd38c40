"""Tuning of the whole encoder: triples, a fine-tune, the gate on a copy of the store, and promotion.

The store can be searched and written meanwhile. The new encoder is evaluated on a copy of the store, all of it embedded
anew, along the path of people's searches; the copy's vectors are taken over where the gate accepts it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridstore.backends.learning import ModelVersion, Triple
from hybridstore.errors import InputError
from hybridstore.search.pipeline import Clock
from hybridstore.store import store_copy
from hybridstore.store.embedder_choice import identify
from hybridstore.store.expectations import broken_by
from hybridstore.tuning import adapter_tuning, gate, model_versions, synthetic_questions, training_set
from hybridstore.tuning.adapter_tuning import Progress, TuneReport
from hybridstore.tuning.finetune import FinetuneSettings, check_can_finetune, finetune, from_triples, next_folder
from hybridstore.tuning.gate import Verdict
from hybridstore.tuning.harvesting import harvest

if TYPE_CHECKING:
    from hybridstore.backends.values import Embedding
    from hybridstore.embedders.protocol import Embedder
    from hybridstore.store import Store
    from hybridstore.store.expectations import TestedExpectation
    from hybridstore.tuning.adapter_tuning import ChangedRanking
    from hybridstore.tuning.finetune import FinetuneReport
    from hybridstore.tuning.training_set import LabelledQuestion

HARVESTED = 2_000  # questions of the store's text, where it holds no triples yet
# A few thousand triples are a few hundred steps, in which the rate usual for large data, 2e-5, changes nothing.
DEFAULTS = FinetuneSettings(rate=1e-4)


def tune_full(
    store: Store,
    *,
    options: FinetuneSettings | None = None,
    base: str | None = None,
    out: Path | None = None,
    gate_questions: int = adapter_tuning.GATE_QUESTIONS,
    dry_run: bool = False,
    progress: Progress | None = None,
    notify: Callable[[str], None] | None = None,
) -> TuneReport:
    """Fine-tune the store's encoder on its triples; embed all chunks with it if the gate accepts it.

    Triples about held-out documents are left out; a store without triples is harvested first, from its own text. `base`
    is the encoder to start from, by default the store's own. `out` is the new one's folder, by default
    `<the store's file>.models/<n>`, which is removed if it is refused. About `gate_questions` are searched at the gate.
    With `dry_run` an accepted version stays a candidate. A refused one stays in the history with the reason. `notify`
    is called with what the fine-tune does, in a few words.

    The gate embeds the whole store, in a copy of its file beside it, which takes as much disk space again. The store
    changes only in the last step, at once: its vectors are the new encoder's then, and the old ones are kept for
    `model_versions.rollback`. If training is killed, the same call resumes from the last checkpoint.

    Raises:
        InputError: there is nothing to learn from, or too little to judge it by; there is no embedder, or questions are
            embedded by another one than the vectors; `out` is in use; another process is tuning, or changed the
            store's embedder.
        ModelUnavailable: no PyTorch weights of the encoder are here, or its export is too far from them.
        MissingExtra: torch, transformers or onnx is not installed.

    """
    options, progress, clock = options or DEFAULTS, progress or (lambda *_: None), Clock()
    if gate_questions < gate.FEWEST:
        raise InputError(f"gate_questions must be at least {gate.FEWEST}, not {gate_questions}")
    searched, embedder = adapter_tuning.embedding_of(store)
    base = base or identify(embedder).reference  # not the name in the file, which anybody may have written
    folder = out or next_folder(Path(store.folder or "", Path(store.location).name))
    _check_not_in_use(store, searched, folder)
    check_can_finetune(base, folder, options)
    with store_copy.workplace(store, making=folder if out is None else None) as workplace:
        progress("Making questions", 0, 1)
        held_out = _gate_items(store, gate_questions, options.seed)
        clock.lap("questions")
        triples = _trainable_triples(store) or _harvest(store, options.seed, progress)
        clock.lap("harvest")
        made = finetune(
            base,
            from_triples(store, triples),
            folder,
            options=options,
            progress=lambda step, of, loss, _: progress("Training the encoder", step, of, f"loss {loss:.3f}"),
            notify=notify,
        )
        clock.lap("training")
        new = store.load_embedder(made.out)
        with store_copy.opened(store, workplace) as copy:
            active = copy.learning.model()
            verdict, examples, broken = _evaluate(store, copy, held_out, active, new, progress)
            clock.lap("gate")
            report = TuneReport(
                number=0,
                promoted=False,
                verdict=verdict,
                questions=dict(Counter(triple.kind for triple in triples)),
                settings={"method": "full", "base": base, **asdict(options)},
                seconds=clock.laps,
                examples=examples,
                broken=[str(each) for each in broken],
            )
            number = _propose(store, (searched, active), identify(new), report, made)
            promoted = verdict.accepted and not dry_run
            if promoted:
                _promote(store, copy, new, progress)
                clock.lap("promotion")
    return replace(report, number=number, promoted=promoted)


def _check_not_in_use(store: Store, searched: Embedding, out: Path) -> None:
    """Raise InputError where the folder holds an embedder that the store may need."""
    needed = {model.reference: model.number for model in store.learning.models() if model.state != "refused"}
    taken = {Path(reference).resolve(): f"version {number}" for reference, number in needed.items()}
    taken[Path(searched.reference).resolve()] = "the store's embedder"
    if holder := taken.get(out.resolve()):
        raise InputError(f"{out} holds {holder}; name another folder for the new one, or none")


def _gate_items(store: Store, gate_questions: int, seed: int) -> list[LabelledQuestion]:
    """Return the gate's questions. Raises InputError, before anything is done, where they are too few to judge by."""
    _, held_out = adapter_tuning.split(training_set.collect(store, seed=seed), gate_questions, seed)
    documents = {min(item.documents) for item in held_out}
    if len(documents) < gate.FEWEST:
        raise InputError(
            f"only {len(documents)} of this store's documents could be asked about, and {gate.FEWEST} are needed to "
            "tell whether a fine-tune does any good: one document in five is held out for that; add more of them"
        )
    return held_out


def _trainable_triples(store: Store) -> list[Triple]:
    """Return the store's triples, without held-out documents and without the questions that these answer."""
    triples = list(store.learning.triples())
    chunks = {chunk for triple in triples for chunk in (triple.positive, triple.origin) if chunk is not None}
    chunks.update(negative.chunk for triple in triples for negative in triple.negatives)
    documents = training_set.documents_of(store, chunks)
    held_out = {chunk for chunk, document in documents.items() if training_set.held_out(document)}
    excluded = {triple.query for triple in triples if {triple.positive, triple.origin} & held_out}
    return [
        replace(triple, negatives=tuple(negative for negative in triple.negatives if negative.chunk not in held_out))
        for triple in triples
        if triple.query not in excluded
    ]


def _harvest(store: Store, seed: int, progress: Progress) -> list[Triple]:
    questions = list(synthetic_questions.from_corpus(store, most=HARVESTED, seed=seed))
    harvested = []
    for done, result in enumerate(harvest(store, questions), start=1):
        harvested.append(result.triple)
        if done % 20 == 0 or done == len(questions):
            progress("Harvesting", done, len(questions))
    # All at once: an interrupted harvest would pass for a complete one next time.
    store.learning.add_triples([triple for triple in harvested if triple is not None])
    if not (triples := _trainable_triples(store)):
        raise InputError(
            "there is nothing to learn from: no triple can be made of this store's text; add documents, or run "
            "`hybridstore harvest` with questions of your own"
        )
    return triples


def _evaluate(  # noqa: PLR0917 - what is compared with what
    store: Store,
    copy: Store,
    held_out: Sequence[LabelledQuestion],
    active: ModelVersion | None,
    new: Embedder,
    progress: Progress,
) -> tuple[Verdict, tuple[ChangedRanking, ...], list[TestedExpectation]]:
    """Search the copy as it is and embedded anew.

    Return the verdict, the questions that changed most, and the expectations that the new embedder breaks.
    """
    texts = [item.text for item in held_out]
    embedding = partial(progress, "Embedding questions")
    vectors = training_set.embed_questions(store, texts, progress=embedding)
    queries = gate.gate_queries(copy, held_out, vectors, progress=partial(progress, "Preparing the gate"))
    before = gate.evaluate(copy, queries, active, progress=partial(progress, "Evaluating the active version"))
    expected = copy.test()
    copy.reembed(new, force=True, progress=partial(progress, "Embedding a copy of the store"))
    new_vectors = training_set.embed_questions(copy, texts, progress=embedding)
    queries = [replace(query, vector=vector) for query, vector in zip(queries, new_vectors, strict=True)]
    after = gate.evaluate(copy, queries, None, progress=partial(progress, "Evaluating the new version"))
    rank_before = adapter_tuning.rank_documents(store, active, texts, vectors)
    rank_after = adapter_tuning.rank_documents(copy, None, texts, new_vectors)
    examples = adapter_tuning.examples(held_out, before, after, rank_before, rank_after)
    broken = broken_by(expected, copy.test())
    return gate.expecting(gate.decide(queries, before, after), broken), examples, broken


def _propose(
    store: Store,
    before: tuple[Embedding, ModelVersion | None],
    identity: Embedding,
    report: TuneReport,
    made: FinetuneReport,
) -> int:
    """Add the version to the history; return its number. Raises InputError where what it was compared with is gone."""
    if (store.embeddings.active, store.learning.model()) != before:
        raise InputError(
            "the store's embedder or its version changed while this one was evaluated, so the comparison is void; "
            "tune again"
        )
    facts: dict[str, Any] = {
        **report.for_history(),
        "finetune": made.to_dict(),
        model_versions.BEFORE: asdict(before[0]),
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


def _promote(store: Store, copy: Store, new: Embedder, progress: Progress) -> None:
    """Take over the copy's vectors, embed what was written since, and switch to them in one step."""
    progress(adapter_tuning.PROMOTING, 0, 1)
    store_copy.copy_vectors(copy, store, identify(new), progress=partial(progress, adapter_tuning.PROMOTING))
    model_versions.promote_embedder(store, new, force=True, progress=partial(progress, "Embedding what was added"))
