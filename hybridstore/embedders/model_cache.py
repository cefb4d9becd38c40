"""The model cache: files fetched from the Hugging Face hub at one revision, and the SHA-256 of every model file.

A model is in CACHE/organisation--name/REVISION/. CACHE/organisation--name/pin.json records that revision and the
SHA-256 of each file when it was fetched, which files without a checksum in the catalog are held to from then on.
Files that are made here of an installed package's weights are in CACHE/model--package/KEY/, KEY being their digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridstore import telemetry
from hybridstore.embedders import recipe
from hybridstore.errors import MissingExtra, ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

VARIABLE = "HYBRIDSTORE_CACHE"
_PARTIAL = "partial-"
_ABANDONED = 3600.0  # seconds after which a partial folder has no process that is still filling it
_TIMEOUT = 10.0  # seconds for the request before any download: whether the hub answers, and which files it has


@dataclass(frozen=True, slots=True)
class Pinned:
    """A model in the cache: its folder, its revision, and the SHA-256 each file had when it was fetched."""

    folder: Path
    revision: str
    digests: Mapping[str, str]


def cache_folder(folder: Path | None = None) -> Path:
    """Return `folder` if there is one, else $HYBRIDSTORE_CACHE, else ~/.cache/hybridstore/models."""
    if folder is not None:
        return folder
    variable = os.environ.get(VARIABLE)
    return Path(variable).expanduser() if variable else Path.home() / ".cache" / "hybridstore" / "models"


def sha256(path: Path, cache: Path) -> str:
    """Return the file's SHA-256 in hex, from the cache's record if size and modification time are the same.

    Hashing the default model's 22 MB takes 23 ms of a cold start, reading the record 0.1 ms.
    """
    state = path.stat()
    location = str(path.resolve())
    key = [location, state.st_size, state.st_mtime_ns]
    record = cache / "verified" / f"{hashlib.sha256(os.fsencode(location)).hexdigest()[:24]}.json"
    with contextlib.suppress(OSError, ValueError):  # without a readable record the file is hashed again
        known = json.loads(record.read_bytes())
        if known[:-1] == key:
            return str(known[-1])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with contextlib.suppress(OSError):
        _write_json(record, [*key, digest])
    return digest


def verify(path: Path, expected: str | None, model: str, cache: Path) -> str:
    """Return the file's SHA-256; raises ModelUnavailable if it is not the expected one (None: any)."""
    digest = sha256(path, cache)
    if expected is not None and digest != expected:
        raise ModelUnavailable(
            model, f"{path} is damaged or a different file (SHA-256 {digest}, not {expected}); delete it and try again"
        )
    return digest


def remember(name: str, cache: Path) -> None:
    """Record that the user named this model; in a cache that cannot be written, nothing is recorded."""
    with contextlib.suppress(OSError):
        _write_json(_record(name, cache), name)


def is_remembered(name: str, cache: Path) -> bool:
    """Return whether the user has named this model on this machine."""
    try:
        return bool(json.loads(_record(name, cache).read_bytes()) == name)
    except (OSError, ValueError):
        return False


def _record(name: str, cache: Path) -> Path:
    return cache / "named" / f"{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:24]}.json"


def cached(repo: str, revision: str | None, cache: Path) -> Pinned | None:
    """Return the cached files of a repository at this revision (None: any), or None if they are not all there."""
    home = _home(repo, cache)
    pin = recipe.read(home / "pin.json", repo)
    if pin is None or (revision is not None and pin.get("revision") != revision):
        return None
    pinned = Pinned(home / str(pin["revision"]), str(pin["revision"]), dict(pin["files"]))
    return pinned if all((pinned.folder / path).is_file() for path in pinned.digests) else None


def fetch(
    repo: str, revision: str | None, files: Sequence[str] | None, known: Mapping[str, str], cache: Path
) -> Pinned:
    """Fetch a repository's files (None: the graph, the tokenizer and their configuration) and pin them.

    Files are verified against `known` (path to SHA-256) before they are moved into place.

    Raises:
        MissingExtra: huggingface_hub is not installed.
        ModelUnavailable: the hub cannot be reached, lacks a file, or sent one with another checksum.

    """
    telemetry.off("HF_HUB_DISABLE_TELEMETRY", "1")  # otherwise requests name the versions of PyTorch and others
    try:
        from huggingface_hub import HfApi, errors, hf_hub_download
    except ImportError as error:
        raise MissingExtra("cpu", f"fetching {repo}", "huggingface-hub") from error
    # Whichever HTTP library the hub's client is built on, its errors derive from this one or from OSError.
    foreign = (OSError, ValueError, getattr(errors, "HTTPError", OSError))
    home = _home(repo, cache)
    try:
        # Unlike a download this request is never retried, so that it fails at once without a network.
        info = HfApi().model_info(repo, revision=revision, timeout=_TIMEOUT)
        paths = _files_to_fetch(repo, [sibling.rfilename for sibling in info.siblings or []], files)
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix=_PARTIAL) as partial:
            revision = recipe.inside(str(info.sha), repo)
            for path in (recipe.inside(path, repo) for path in paths):
                hf_hub_download(repo, path, revision=revision, local_dir=partial, etag_timeout=_TIMEOUT)
            shutil.rmtree(Path(partial) / ".cache", ignore_errors=True)  # the client's own metadata
            digests = {path: verify(Path(partial) / path, known.get(path), repo, cache) for path in paths}
            _replace_folder(home / revision, Path(partial))
    except ModelUnavailable:
        raise
    except foreign as error:
        raise ModelUnavailable(repo, _reason(repo, error)) from error
    _write_json(home / "pin.json", {"repo": repo, "revision": revision, "files": digests})
    return Pinned(home / revision, revision, digests)


def made(name: str, digests: Mapping[str, str], model: str, cache: Path, make: Callable[[Path], None]) -> Path:
    """Return the folder CACHE/name/KEY with these files; where one lacks or is damaged, `make` writes them all anew.

    They are verified before they are moved into place together, so that processes that begin at once, or are killed,
    leave no half-made folder. Raises ModelUnavailable if they cannot be written, or come out otherwise.
    """
    home = cache / name
    folder = home / hashlib.sha256(json.dumps(sorted(digests.items())).encode()).hexdigest()[:16]
    if _intact(folder, digests, model, cache):
        return folder
    try:
        home.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(home)
        with tempfile.TemporaryDirectory(dir=home, prefix=_PARTIAL, ignore_cleanup_errors=True) as scratch:
            new, old = Path(scratch) / "new", Path(scratch) / "old"
            new.mkdir()
            make(new)
            for path, digest in digests.items():
                verify(new / path, digest, model, cache)
            _put(new, folder, old, lambda: _intact(folder, digests, model, cache))
    except OSError as error:
        raise ModelUnavailable(
            model,
            f"its files cannot be written to {home}: {error}; make room there, or set {VARIABLE} to another folder",
        ) from error
    return folder


def _put(new: Path, folder: Path, old: Path, intact: Callable[[], bool]) -> None:
    """Move a folder into place, unless another process has put the same files there in the meantime."""
    try:
        new.rename(folder)
    except OSError:
        if not intact():
            with contextlib.suppress(FileNotFoundError):
                folder.rename(old)
            new.rename(folder)


def _intact(folder: Path, digests: Mapping[str, str], model: str, cache: Path) -> bool:
    try:
        for path, digest in digests.items():
            verify(folder / path, digest, model, cache)
    except (OSError, ModelUnavailable):
        return False
    return True


def _remove_abandoned(home: Path) -> None:
    """Remove what processes that were killed have left behind."""
    for partial in home.glob(f"{_PARTIAL}*"):
        with contextlib.suppress(OSError):
            if time.time() - partial.stat().st_mtime > _ABANDONED:
                shutil.rmtree(partial, ignore_errors=True)


def _home(repo: str, cache: Path) -> Path:
    return cache / repo.replace("/", "--")


def _files_to_fetch(repo: str, available: Sequence[str], files: Sequence[str] | None) -> list[str]:
    if files is not None:
        return list(files)
    graph = next((path for path in recipe.GRAPHS if path in available), None)
    if graph is None or "tokenizer.json" not in available:
        raise ModelUnavailable(
            repo, "it has no ONNX graph and tokenizer.json on the hub; make them with `hybridstore model export`"
        )
    folder = graph.rpartition("/")[0]
    data = [path for path in available if path.rpartition("/")[0] == folder and path.startswith(f"{graph}_data")]
    dense = [path for path in available if path.endswith(("_Dense/config.json", "_Dense/model.safetensors"))]
    configuration = [path for path in recipe.CONFIGURATION if path in available]
    return [graph, "tokenizer.json", *data, *dense, *configuration]


def _replace_folder(target: Path, source: Path) -> None:
    if target.is_dir():  # of the same revision, so with the same files
        shutil.rmtree(target)
    shutil.copytree(source, target, copy_function=shutil.move)


def _write_json(path: Path, value: object) -> None:
    """Write a small JSON file so that a reader sees either the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False, encoding="utf-8") as file:
        json.dump(value, file, indent=1)
    Path(file.name).replace(path)


def _reason(repo: str, error: Any) -> str:
    name = type(error).__name__
    if name == "OfflineModeIsEnabled":
        why = "it is not in the cache and HF_HUB_OFFLINE forbids fetching it; unset that"
    elif name in ("RepositoryNotFoundError", "GatedRepoError", "HFValidationError"):
        return f"the hub has no repository {repo!r} open to you; check the name, or pass a local folder"
    elif name in ("RevisionNotFoundError", "RemoteEntryNotFoundError", "EntryNotFoundError"):
        return f"the hub's {repo} lacks a file or the requested revision; pass a local folder instead"
    else:
        why = "it is not in the cache and the hub cannot be reached; connect to the internet"
    return f"{why}, or pass a local folder with its ONNX files"
