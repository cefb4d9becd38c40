"""The training itself: steps over batches, from the last checkpoint on."""

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
from hybridstore.tuning.finetune import checkpoints, losses
from hybridstore.tuning.finetune.batches import Batch, answers, assemble, order
from hybridstore.tuning.finetune.examples import Example
from hybridstore.tuning.finetune.settings import FinetuneSettings

# Told after each step: steps done, of how many, the step's loss, seconds left.
Progress = Callable[[int, int, float, float], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training did: the loss of every step, after which step it went on, and how fast it was from there."""

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
) -> Trained:
    """Train the module in place, on the device it is on, with checkpoints of the run in `folder`.

    AdamW (Loshchilov and Hutter, 2019) with linear warm-up and decay; the last step is a checkpoint as well. On a CPU,
    with as many threads, a training that was stopped and went on gives bit for bit the weights of one that was not.
    `progress` may raise to stop it. Raises InputError where nothing can be learned from the examples, or where the loss
    stops being a number.
    """
    learner = _learner(module, source, options)
    plan = [
        (epoch, places)
        for epoch in range(options.epochs)
        for places in order(examples, options.batch, options.seed, epoch)
    ]
    if not plan or (options.loss == "listwise" and not any(example.negatives for example in examples)):
        other = "negatives" if options.loss == "listwise" else "several questions with different answers, or negatives"
        raise InputError(f"nothing can be learned from these examples: give {other}")
    told: list[float] = []
    seen = 0
    with _randomness(options, learner.device):
        state = checkpoints.last(folder, run)
        if state is None:
            checkpoints.clear(folder)
        else:
            learner.restore(state)
            told = list(state["losses"])
        first, began = len(told), time.perf_counter()
        known = answers(examples)
        module.train()
        for step, (epoch, places) in enumerate(plan[first:], first + 1):
            batch = assemble(examples, places, known, negatives=options.negatives, seed=options.seed, epoch=epoch)
            told.append(learner.step(batch, options.rate * share(step, len(plan), options.warmup)))
            seen += len(places)
            if step % options.checkpoint_every == 0 or step == len(plan):
                checkpoints.save(folder, run, step, learner.state() | {"losses": told})
            if progress:
                took = (time.perf_counter() - began) / (step - first)
                progress(step, len(plan), told[-1], took * (len(plan) - step))
    module.eval()
    seconds = time.perf_counter() - began
    return Trained(tuple(told), first, seconds, seen / max(seconds, 1e-9))


def share(step: int, steps: int, warmup: float) -> float:
    """Give the learning rate of a step (from 1) as a share of the highest: up in a line, then down to nothing."""
    rising = min(math.ceil(warmup * steps), steps - 1)
    return step / rising if step <= rising else (steps - step + 1) / (steps - rising)


@dataclass(frozen=True, slots=True)
class _Learner:
    """An encoder and what moves its weights; `learning` are those that move, by name."""

    module: Any
    source: EncoderSource
    options: FinetuneSettings
    tokens: Tokens
    learning: Mapping[str, torch.nn.Parameter]
    optimiser: Any
    scaler: Any

    @property
    def device(self) -> torch.device:
        return next(iter(self.learning.values())).device

    def step(self, batch: Batch, rate: float) -> float:
        """Learn from a batch; give its loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        device = self.device
        queries = [self.source.query_prefix + query for query in batch.queries]
        passages = [self.source.document_prefix + passage for passage in batch.passages]
        with torch.autocast(device.type, _half(device), enabled=device.type == "cuda"):
            asked = self.module(*_padded(self.tokens.ids(queries), device))
            found = self.module(*_padded(self.tokens.ids(passages), device))
        loss = _loss(asked.float() @ found.float().T, batch, self.options)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise InputError(f"the loss is {value}, no number: give a lower rate= than {self.options.rate:g}")
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimiser)
        torch.nn.utils.clip_grad_norm_(list(self.learning.values()), self.options.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return value

    def state(self) -> dict[str, Any]:
        """Give all that the next step depends on."""
        return {
            "weights": {name: parameter.detach() for name, parameter in self.learning.items()},
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": checkpoints.random_state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state."""
        with torch.no_grad():
            for name, parameter in self.learning.items():
                parameter.copy_(state["weights"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        checkpoints.restore_random(state["random"])


def _learner(module: Any, source: EncoderSource, options: FinetuneSettings) -> _Learner:
    learning = _choose(module, options, source.name)
    device = next(iter(learning.values())).device
    tokenizer = from_file(source.folder / "tokenizer.json", source.name)
    return _Learner(
        module=module,
        source=source,
        options=options,
        tokens=Tokens(tokenizer, min(options.max_tokens, source.max_tokens)),
        learning=learning,
        optimiser=torch.optim.AdamW(_groups(learning), lr=options.rate),
        scaler=torch.amp.GradScaler(device.type, enabled=device.type == "cuda" and _half(device) is torch.float16),
    )


def _loss(cosines: torch.Tensor, batch: Batch, options: FinetuneSettings) -> torch.Tensor:
    device = cosines.device
    if options.loss == "listwise":
        lists = torch.from_numpy(batch.lists).to(device)
        own = cosines.gather(1, lists.clamp(min=0))
        return losses.listwise(own, torch.from_numpy(batch.scores).to(device), lists >= 0, options.temperature)
    function = losses.softmax if options.loss == "softmax" else losses.sigmoid
    targets, spared = torch.from_numpy(batch.targets).to(device), torch.from_numpy(batch.spared).to(device)
    return function(cosines, targets, spared, options.temperature)


def _padded(ids: list[list[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = np.array([len(each) for each in ids])
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
    padded = np.zeros_like(mask)
    padded[mask.astype(bool)] = np.concatenate([np.array(each, dtype=np.int64) for each in ids])
    return torch.from_numpy(padded).to(device), torch.from_numpy(mask).to(device)


def _choose(module: Any, options: FinetuneSettings, name: str) -> dict[str, torch.nn.Parameter]:
    """Freeze what is not to learn, and give the rest by name."""
    inner = module.inner
    words = getattr(inner, "embeddings", None) or inner.get_input_embeddings()
    if not options.embeddings:
        words.requires_grad_(requires_grad=False)
    count = inner.config.num_hidden_layers
    if options.layers is not None and options.layers < count:
        stacks = [each for each in inner.modules() if isinstance(each, torch.nn.ModuleList) and len(each) == count]
        if not stacks:
            raise ModelUnavailable(name, "its layers cannot be told apart; leave out layers= to train them all")
        for layer in stacks[0][: count - options.layers]:
            layer.requires_grad_(requires_grad=False)
    # BERT's pooler comes after the states that are pooled here, and learns nothing.
    return {
        each: parameter
        for each, parameter in module.named_parameters()
        if parameter.requires_grad and not each.startswith("inner.pooler.")
    }


def _groups(learning: Mapping[str, torch.nn.Parameter]) -> list[dict[str, Any]]:
    """Let matrices decay as AdamW's authors do; norms and biases have no business near zero."""
    matrices = [each for each in learning.values() if each.ndim > 1]
    return [
        {"params": matrices, "weight_decay": 0.01},
        {"params": [each for each in learning.values() if each.ndim < 2], "weight_decay": 0.0},
    ]


def _half(device: torch.device) -> torch.dtype:
    """Give the half precision of a GPU: bfloat16, whose range is float32's, where there is one."""
    return torch.bfloat16 if device.type == "cpu" or torch.cuda.is_bf16_supported() else torch.float16


@contextlib.contextmanager
def _randomness(options: FinetuneSettings, device: torch.device) -> Iterator[None]:
    """Draw from the seed, with so many threads; give the caller's random numbers and threads back."""
    threads = torch.get_num_threads()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(options.seed)
            yield
    finally:
        torch.set_num_threads(threads)
