"""Checkpoints of a training run, written atomically: whole or absent, whenever the process is killed."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

_KEPT = 2  # the last, and the one before in case a disk has lost the last
_NAME = "step-{:08d}.pt"


def save(folder: Path, run: str, step: int, state: Mapping[str, Any]) -> Path:
    """Write the state after `step` steps of the run, and remove all but the newest two checkpoints.

    The file appears under its name only when all of it is on the disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as file:
        torch.save({"run": run, "step": step, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    path = folder / _NAME.format(step)
    Path(file.name).replace(path)
    for old in [*_newest_first(folder)[_KEPT:], *folder.glob("*.part")]:
        old.unlink(missing_ok=True)
    return path


def last(folder: Path, run: str) -> dict[str, Any] | None:
    """Return the newest readable state of this run, on the CPU; None where there is none."""
    for path in _newest_first(folder):
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError):
            continue  # damaged: the one before it will do
        if state.get("run") == run:
            return state
    return None


def clear(folder: Path) -> None:
    """Remove all checkpoints, so that another run's cannot pass for newer ones."""
    for path in [*_newest_first(folder), *folder.glob("*.part")]:
        path.unlink(missing_ok=True)


def random_state() -> dict[str, Any]:
    """Return the state of PyTorch's random number generators, of the CPU and all GPUs."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": gpus}


def restore_random(state: Mapping[str, Any]) -> None:
    """Restore what `random_state` returned."""
    torch.set_rng_state(state["cpu"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.pt"), reverse=True)
