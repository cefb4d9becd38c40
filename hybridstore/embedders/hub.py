"""Fetching a model's files from the Hugging Face hub into the cache, at one revision, checked and recorded.

A model lies in CACHE/organisation--name/REVISION/, and CACHE/organisation--name/pin.json says which revision that
is and what each file hashed to when it came: what the catalog does not know is held to that from then on.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridstore.embedders import checksums, recipe
from hybridstore.errors import MissingExtra, ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Seconds for the one question asked before anything is fetched: whether the hub answers, and what it has.
_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Pinned:
    """A model in the cache: its folder, its revision, and the SHA-256 each file had when it was fetched."""

    folder: Path
    revision: str
    digests: Mapping[str, str]


def cached(repo: str, revision: str | None, cache: Path) -> Pinned | None:
    """Give what the cache holds of a repository at this revision (None: at whichever was fetched), else None."""
    home = _home(repo, cache)
    pin = recipe.read(home / "pin.json", repo)
    if pin is None or (revision is not None and pin.get("revision") != revision):
        return None
    pinned = Pinned(home / str(pin["revision"]), str(pin["revision"]), dict(pin["files"]))
    return pinned if all((pinned.folder / path).is_file() for path in pinned.digests) else None


def fetch(
    repo: str, revision: str | None, files: Sequence[str] | None, known: Mapping[str, str], cache: Path
) -> Pinned:
    """Fetch a repository's files (None: the graph, the tokenizer and what describes them) and pin them.

    Files are checked against `known` (path to SHA-256) before they take their place.

    Raises:
        MissingExtra: huggingface_hub is not installed.
        ModelUnavailable: the hub cannot be reached, lacks a file, or sent another one than expected.

    """
    try:
        from huggingface_hub import HfApi, errors, hf_hub_download
    except ImportError as error:
        raise MissingExtra("cpu", f"fetching {repo}", "huggingface-hub") from error
    # Whichever HTTP library the hub's client is built on, its errors derive from this one or from OSError.
    foreign = (OSError, ValueError, getattr(errors, "HTTPError", OSError))
    home = _home(repo, cache)
    try:
        # This question is never retried, unlike downloads: without a network the answer comes at once.
        info = HfApi().model_info(repo, revision=revision, timeout=_PATIENCE)
        wanted = _wanted(repo, [sibling.rfilename for sibling in info.siblings or []], files)
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix="partial-") as partial:
            revision = str(info.sha)
            for path in wanted:
                hf_hub_download(repo, path, revision=revision, local_dir=partial, etag_timeout=_PATIENCE)
            shutil.rmtree(Path(partial) / ".cache", ignore_errors=True)  # the client's own notes
            found = {path: checksums.verify(Path(partial) / path, known.get(path), repo, cache) for path in wanted}
            _place(Path(partial), home / revision)
    except ModelUnavailable:
        raise
    except foreign as error:
        raise ModelUnavailable(repo, _reason(repo, error)) from error
    checksums.write_json(home / "pin.json", {"repo": repo, "revision": revision, "files": found})
    return Pinned(home / revision, revision, found)


def _home(repo: str, cache: Path) -> Path:
    return cache / repo.replace("/", "--")


def _wanted(repo: str, there: Sequence[str], files: Sequence[str] | None) -> list[str]:
    """Choose what to fetch of the files that are there."""
    if files is not None:
        return list(files)
    graph = next((path for path in recipe.GRAPHS if path in there), None)
    if graph is None or "tokenizer.json" not in there:
        raise ModelUnavailable(
            repo, "the hub has no ONNX graph and tokenizer.json for it; make them with `hybridstore model export`"
        )
    folder = graph.rpartition("/")[0]
    data = [path for path in there if path.rpartition("/")[0] == folder and path.startswith(f"{graph}_data")]
    dense = [path for path in there if path.endswith(("_Dense/config.json", "_Dense/model.safetensors"))]
    described = [path for path in recipe.DESCRIPTIONS if path in there]
    return [graph, "tokenizer.json", *data, *dense, *described]


def _place(partial: Path, target: Path) -> None:
    """Move a finished download into its place; whoever came first with the same revision has the same files."""
    if target.is_dir():
        shutil.rmtree(target)
    shutil.copytree(partial, target, copy_function=shutil.move)


def _reason(repo: str, error: Any) -> str:
    """Say in one sentence why the hub gave nothing."""
    name = type(error).__name__
    if name == "OfflineModeIsEnabled":
        why = "it is not in the cache and HF_HUB_OFFLINE forbids fetching it; unset that"
    elif name in ("RepositoryNotFoundError", "GatedRepoError", "HFValidationError"):
        return f"the hub has no repository {repo!r} open to you; check the name, or pass a local folder"
    elif name in ("RevisionNotFoundError", "RemoteEntryNotFoundError", "EntryNotFoundError"):
        return f"the hub's {repo} lacks a file or the revision asked for; pass a local folder instead"
    else:
        why = "it is not in the cache and the hub cannot be reached; connect to the internet"
    return f"{why}, or pass a local folder with its ONNX files"
