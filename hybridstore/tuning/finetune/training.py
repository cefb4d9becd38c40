"""The training loop of a fine-tune, its three losses, and its resumption from the last checkpoint.

The losses are taken over whole batches or lists. There is no loss over single triplets of question, positive and
negative with a margin: tried elsewhere on harvested triples, one took their nDCG@10 from .646 to .055, where the
softmax over the batch did not.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hybridstore.embedders.tokenizer import Tokens, from_file
from hybridstore.errors import InputError, ModelUnavailable
from hybridstore.tuning.encoder import EncoderSource
from hybridstore.tuning.finetune import checkpoints
from hybridstore.tuning.finetune.examples import Batch, Example, FinetuneSettings, answers, assemble, order

_SOFTNESS = 0.1  # temperature of the softmax over scores

Progress = Callable[[int, int, float, float], None]
"""Called after each step with steps done, steps in all, the step's loss, and the seconds left."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """The loss of every step, the step that training resumed at, and how long and how fast it ran from there."""

    losses: tuple[float, ...]
    resumed_at: int
    seconds: float
    examples_per_second: float


def train(
    module: Any,
    source: EncoderSource,
    examples: Sequence[Example],
    options: FinetuneSettings,
    *,
    folder: Path,
    run: str,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train the module in place, on its device, with checkpoints of the run in `folder`.

    AdamW (Loshchilov and Hutter, 2019) with linear warm-up and decay. The last step writes a checkpoint too. On a CPU,
    with the same number of threads, a training that was interrupted ends with the same weights, bit for bit, as one
    that was not. `progress` may raise to stop it. Raises InputError where nothing can be learned from the examples, or
    where the loss stops being a number.
    """
    learner = _learner(module, source, options)
    plan = [
        (epoch, places)
        for epoch in range(options.epochs)
        for places in order(examples, options.batch, options.seed, epoch)
    ]
    if not plan or (options.loss == "listwise" and not any(example.negatives for example in examples)):
        missing = (
            "negatives" if options.loss == "listwise" else "several questions with different answers, or negatives"
        )
        raise InputError(f"nothing can be learned from these examples: give {missing}")
    losses: list[float] = []
    seen = 0
    with _seeded(options, learner.device):
        state = checkpoints.last(folder, run)
        if state is None:
            checkpoints.clear(folder)
        else:
            learner.restore(state)
            losses = list(state["losses"])
        first, began = len(losses), time.perf_counter()
        known = answers(examples)
        module.train()
        for step, (epoch, places) in enumerate(plan[first:], first + 1):
            batch = assemble(examples, places, known, negatives=options.negatives, seed=options.seed, epoch=epoch)
            losses.append(learner.step(batch, options.rate * rate_share(step, len(plan), options.warmup)))
            seen += len(places)
            if step % options.checkpoint_every == 0 or step == len(plan):
                checkpoints.save(folder, run, step, learner.state() | {"losses": losses})
            if progress:
                seconds_per_step = (time.perf_counter() - began) / (step - first)
                progress(step, len(plan), losses[-1], seconds_per_step * (len(plan) - step))
    module.eval()
    seconds = time.perf_counter() - began
    return TrainingResult(tuple(losses), first, seconds, seen / max(seconds, 1e-9))


def rate_share(step: int, steps: int, warmup: float) -> float:
    """Return a step's learning rate (from step 1) as a share of the highest: linear warm-up, then linear decay."""
    rising = min(math.ceil(warmup * steps), steps - 1)
    return step / rising if step <= rising else (steps - step + 1) / (steps - rising)


def softmax_loss(
    cosines: torch.Tensor, targets: torch.Tensor, ignored: torch.Tensor, temperature: float = 0.05
) -> torch.Tensor:
    """Return the mean cross-entropy of each question's target among all passages of the batch.

    `cosines` (n, m), `targets` (n,) int64, `ignored` (n, m) bool: passages that count as neither right nor wrong.
    -log(exp(c_t / T) / Σ_j exp(c_j / T)) over all j that are not ignored. InfoNCE: van den Oord et al., "Representation
    Learning with Contrastive Predictive Coding", 2018; with hard negatives among the passages: Karpukhin et al.,
    "Dense Passage Retrieval for Open-Domain Question Answering", 2020.
    """
    logits = (cosines / temperature).masked_fill(ignored, float("-inf"))
    return torch.nn.functional.cross_entropy(logits, targets)


def listwise_loss(
    cosines: torch.Tensor, scores: torch.Tensor, present: torch.Tensor, temperature: float = 0.05
) -> torch.Tensor:
    """Return the mean KL divergence of each list's softmax of cosines from that of its scores.

    `cosines`, `scores` (n, k) and `present` (n, k) bool, False where a list is shorter. Σ_j p_j log(p_j / q_j), with
    p = softmax(scores / 0.1) and q = softmax(cosines / temperature). Hinton et al., "Distilling the Knowledge in a
    Neural Network", 2015; over a list: Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach",
    2007. Fused scores of one list lie within a few tenths, hence the 0.1.
    """
    low = torch.finfo(cosines.dtype).min
    wanted = torch.softmax((scores / _SOFTNESS).masked_fill(~present, low), dim=1)
    logs = torch.log_softmax((cosines / temperature).masked_fill(~present, low), dim=1)
    terms = torch.xlogy(wanted, wanted) - wanted * logs
    return terms.masked_fill(~present, 0.0).sum(1).mean()


def sigmoid_loss(
    cosines: torch.Tensor, targets: torch.Tensor, ignored: torch.Tensor, temperature: float = 0.05
) -> torch.Tensor:
    """Return the loss of classifying each pair of question and passage, summed over each question's pairs.

    Shapes as for `softmax_loss`. -(1/n) Σ_ij log sigmoid(z_ij (c_ij / T + b)), z = 1 for targets, -1 for the others,
    without ignored pairs. Zhai et al., "Sigmoid Loss for Language Image Pre-Training", 2023. There, T and b are learned
    from b = -10; for a trained encoder T is known, and b = -1 / (2 T) sets the border at a cosine of one half.
    """
    signs = -torch.ones_like(cosines)
    signs[torch.arange(len(targets), device=targets.device), targets] = 1.0
    pairs = torch.nn.functional.logsigmoid(signs * (cosines - 0.5) / temperature)
    return -pairs.masked_fill(ignored, 0.0).sum() / len(targets)


@dataclass(frozen=True, slots=True)
class _Learner:
    """An encoder with its optimiser; `trained` are the parameters that are trained, by name."""

    module: Any
    source: EncoderSource
    options: FinetuneSettings
    tokens: Tokens
    trained: Mapping[str, torch.nn.Parameter]
    optimiser: Any
    scaler: Any

    @property
    def device(self) -> torch.device:
        return next(iter(self.trained.values())).device

    def step(self, batch: Batch, rate: float) -> float:
        """Train on a batch; return its loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        device = self.device
        queries = [self.source.query_prefix + query for query in batch.queries]
        passages = [self.source.document_prefix + passage for passage in batch.passages]
        with torch.autocast(device.type, _half(device), enabled=device.type == "cuda"):
            query_vectors = self.module(*_padded(self.tokens.ids(queries), device))
            passage_vectors = self.module(*_padded(self.tokens.ids(passages), device))
        loss = _loss(query_vectors.float() @ passage_vectors.float().T, batch, self.options)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise InputError(f"the loss is {value}, not a number: give a lower rate= than {self.options.rate:g}")
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimiser)
        torch.nn.utils.clip_grad_norm_(list(self.trained.values()), self.options.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return value

    def state(self) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        return {
            "weights": {name: parameter.detach() for name, parameter in self.trained.items()},
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": checkpoints.random_state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned."""
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(state["weights"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        checkpoints.restore_random(state["random"])


def _learner(module: Any, source: EncoderSource, options: FinetuneSettings) -> _Learner:
    trained = _trained_parameters(module, options, source.name)
    device = next(iter(trained.values())).device
    matrices = [parameter for parameter in trained.values() if parameter.ndim > 1]
    vectors = [parameter for parameter in trained.values() if parameter.ndim < 2]
    # Weight decay for matrices only, as AdamW's authors do: it would pull norms and biases towards zero.
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    return _Learner(
        module=module,
        source=source,
        options=options,
        tokens=Tokens(
            from_file(source.folder / "tokenizer.json", source.name), min(options.max_tokens, source.max_tokens)
        ),
        trained=trained,
        optimiser=torch.optim.AdamW(groups, lr=options.rate),
        scaler=torch.amp.GradScaler(device.type, enabled=device.type == "cuda" and _half(device) is torch.float16),
    )


def _loss(cosines: torch.Tensor, batch: Batch, options: FinetuneSettings) -> torch.Tensor:
    device = cosines.device
    if options.loss == "listwise":
        lists = torch.from_numpy(batch.lists).to(device)
        own = cosines.gather(1, lists.clamp(min=0))
        return listwise_loss(own, torch.from_numpy(batch.scores).to(device), lists >= 0, options.temperature)
    function = softmax_loss if options.loss == "softmax" else sigmoid_loss
    targets, ignored = torch.from_numpy(batch.targets).to(device), torch.from_numpy(batch.ignored).to(device)
    return function(cosines, targets, ignored, options.temperature)


def _padded(ids: list[list[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = np.array([len(row) for row in ids])
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
    padded = np.zeros_like(mask)
    padded[mask.astype(bool)] = np.concatenate([np.array(row, dtype=np.int64) for row in ids])
    return torch.from_numpy(padded).to(device), torch.from_numpy(mask).to(device)


def _trained_parameters(module: Any, options: FinetuneSettings, name: str) -> dict[str, torch.nn.Parameter]:
    """Freeze the parameters that are not to be trained; return the others by name."""
    inner = module.inner
    words = getattr(inner, "embeddings", None) or inner.get_input_embeddings()
    if not options.embeddings:
        words.requires_grad_(requires_grad=False)
    count = inner.config.num_hidden_layers
    if options.layers is not None and options.layers < count:
        stacks = [part for part in inner.modules() if isinstance(part, torch.nn.ModuleList) and len(part) == count]
        if not stacks:
            raise ModelUnavailable(name, "its layers cannot be identified; leave out layers= to train them all")
        for layer in stacks[0][: count - options.layers]:
            layer.requires_grad_(requires_grad=False)
    # BERT's pooler comes after the states that are pooled here, and gets no gradient.
    return {
        path: parameter
        for path, parameter in module.named_parameters()
        if parameter.requires_grad and not path.startswith("inner.pooler.")
    }


def _half(device: torch.device) -> torch.dtype:
    """Return the half precision of a device: bfloat16, whose range is float32's, where there is one."""
    return torch.bfloat16 if device.type == "cpu" or torch.cuda.is_bf16_supported() else torch.float16


@contextlib.contextmanager
def _seeded(options: FinetuneSettings, device: torch.device) -> Iterator[None]:
    """Seed the random numbers and set the threads; restore the caller's afterwards."""
    threads = torch.get_num_threads()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(options.seed)
            yield
    finally:
        torch.set_num_threads(threads)
