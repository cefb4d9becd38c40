"""Loading a data set in any of its layouts."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import beir_layout
import locomo
import longmemeval
import meetings
from conversations import Dataset

from hybridstore.errors import InputError
from hybridstore.evaluation import Collection

_LAYOUTS = (
    "a folder in BEIR layout (corpus.jsonl), LoCoMo's locomo10.json or one of LongMemEval's files (longmemeval_s.json)"
)


def load(path: Path, *, user_only: bool = False) -> Dataset:
    """Read a data set from a folder or a file; `user_only` is LongMemEval's other protocol (see `longmemeval`).

    A folder without corpus.jsonl must hold one JSON file. What is in none of the layouts is an InputError.
    """
    if path.is_dir() and any((path / f"corpus.jsonl{ending}").is_file() for ending in ("", ".gz")):
        _refuse(user_only, path)
        collection = Collection(path)
        return meetings.read(collection) if meetings.is_meetings(collection) else beir_layout.read(path)
    if path.is_dir():
        path = _only_file(path)
    if not path.is_file():
        raise InputError(f"{path} is not there; give {_LAYOUTS}")
    rows, name = _rows(path), path.name.removesuffix(".gz").removesuffix(".json")
    first = rows[0] if isinstance(rows, list) and rows else None
    if isinstance(first, Mapping) and "haystack_sessions" in first:
        return longmemeval.read(rows, name, user_only=user_only)
    if isinstance(first, Mapping) and {"conversation", "qa"} <= first.keys():
        _refuse(user_only, path)
        return locomo.read(rows, name)
    raise InputError(f"{path} is in no layout that is known here; give {_LAYOUTS}")


def _refuse(user_only: bool, path: Path) -> None:
    if user_only:
        raise InputError(f"{path}: reading only what the user said (--user-only) is a protocol of LongMemEval alone")


def _only_file(folder: Path) -> Path:
    files = sorted(each for each in folder.iterdir() if each.name.endswith((".json", ".json.gz")))
    if len(files) != 1:
        names = ", ".join(each.name for each in files) or "none"
        raise InputError(f"{folder} has no corpus.jsonl, and not one JSON file but {names}; name the file to be read")
    return files[0]


def _rows(path: Path) -> Any:
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            return json.load(file)
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error})") from error
