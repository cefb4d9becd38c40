"""The process in test_training.py that is killed: trains slowly, with a checkpoint after every other step."""

import sys
import time
from pathlib import Path

from conftest import examples

from hybridstore.tuning import encoder
from hybridstore.tuning.finetune import FinetuneSettings
from hybridstore.tuning.finetune.training import train


def report(step: int, *_: float) -> None:
    sys.stdout.write(f"step {step}\n")
    sys.stdout.flush()
    time.sleep(0.05)


source = encoder.find(Path(sys.argv[1]))
train(
    encoder.load(source, "cpu", attention="sdpa"),
    source,
    examples.__wrapped__(),
    FinetuneSettings(epochs=3, batch=6, rate=1e-3, threads=1, checkpoint_every=2),
    folder=Path(sys.argv[2]),
    run="run",
    progress=report,
)
