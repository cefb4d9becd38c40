"""From a model's name to its files: a folder, the cache, an installed weights package, the hub, in that order."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from hybridstore.embedders import catalog, checksums, hub, recipe
from hybridstore.errors import ModelUnavailable

if TYPE_CHECKING:
    from hybridstore.embedders.catalog import ModelCard
    from hybridstore.embedders.recipe import Recipe

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A model whose files are here and are the right ones.

    `tokenizer` is a tokenizer.json, or a .txt with a WordPiece vocabulary. `digest` is the model bytes' SHA-256.
    `reference` finds the model again; `origin` is "path", "cache", "package" or "hub".
    """

    recipe: Recipe
    model: Path
    tokenizer: Path
    dense: tuple[Path, ...]
    digest: str
    fingerprint: str
    reference: str
    origin: str


def locate(name: str | Path, cache: Path | None = None) -> Located:
    """Find a model's files, fetching them where they are nowhere on this machine.

    A name with a separator in it (or a Path) that is a folder is that folder; otherwise a name from the catalog,
    then a folder of that name, then a repository "organisation/name" on the hub.

    Raises:
        ModelUnavailable: there is no such model, or its files cannot be had or trusted.
        MissingExtra: huggingface_hub would be needed and is not installed.

    """
    store = checksums.cache_folder(cache)
    text = str(name)
    folder = Path(name).expanduser()
    spelled_out = isinstance(name, Path) or os.sep in text or "/" in text or text.startswith(("~", "."))
    if spelled_out and folder.is_dir():
        return _in_folder(folder.resolve(), store)
    card = catalog.find(text)
    if card is not None:
        return here(card, store) or _fetched(card, store)
    if folder.is_dir():
        return _in_folder(folder.resolve(), store)
    if isinstance(name, Path) or not recipe.is_repository(text):
        known = ", ".join(each.name for each in catalog.MODELS)
        raise ModelUnavailable(
            text, f"no such folder and no such model; known are {known}, and any 'organisation/name' on the hub"
        )
    pinned = hub.cached(text, None, store)
    origin = "cache" if pinned else "hub"
    pinned = pinned or hub.fetch(text, None, None, {}, store)
    made = recipe.of_folder(pinned.folder, text.rpartition("/")[2])
    return _checked(made, pinned.folder, store, reference=text, origin=origin, pinned=pinned)


def status(card: ModelCard, cache: Path | None = None) -> Path | None:
    """Give where a known model's ONNX file is on this machine now, None where it would have to be fetched."""
    pinned = hub.cached(card.repo, card.revision, checksums.cache_folder(cache))
    if pinned is not None:
        return pinned.folder / card.files[0].path
    return _packaged(card)


def here(card: ModelCard, cache: Path | None = None) -> Located | None:
    """Find a known model's files without fetching: in the cache, else in its package; None where in neither.

    Raises:
        ModelUnavailable: a file is there, and is not the right one.

    """
    store = checksums.cache_folder(cache)
    pinned = hub.cached(card.repo, card.revision, store)
    if pinned is not None:
        return _checked(recipe.of_card(card), pinned.folder, store, reference=card.name, origin="cache", pinned=pinned)
    model = _packaged(card)
    if model is None or card.package is None:
        return None
    made = replace(recipe.of_card(card), graph=model.name, sha256=card.package.model.sha256)
    digest = checksums.verify(model, made.sha256, card.name, store)
    vocabulary = DATA / card.package.vocabulary
    return _located(made, model, vocabulary, store, digest=digest, reference=card.name, origin="package")


def _packaged(card: ModelCard) -> Path | None:
    if card.package is None:
        return None
    spec = importlib.util.find_spec(card.package.module)  # finds it without running it
    if spec is None or spec.origin is None:
        return None
    model = Path(spec.origin).parent / card.package.model.path
    return model if model.is_file() else None


def _fetched(card: ModelCard, store: Path) -> Located:
    known = {file.path: file.sha256 for file in card.files if file.sha256 is not None}
    try:
        pinned = hub.fetch(card.repo, card.revision, [file.path for file in card.files], known, store)
    except ModelUnavailable as error:
        also = f"; or pip install {card.package.distribution}" if card.package else ""
        raise ModelUnavailable(card.name, error.reason + also) from error
    return _checked(recipe.of_card(card), pinned.folder, store, reference=card.name, origin="hub", pinned=pinned)


def _in_folder(folder: Path, store: Path) -> Located:
    return _checked(recipe.of_folder(folder), folder, store, reference=str(folder), origin="path")


def _checked(
    made: Recipe, folder: Path, store: Path, *, reference: str, origin: str, pinned: hub.Pinned | None = None
) -> Located:
    """Compare every file with the checksum it is to have, and give the model."""
    recorded = dict(pinned.digests) if pinned else {}
    if made.sha256 is not None:
        recorded[made.graph] = made.sha256
    graph = folder / made.graph
    if not graph.is_file():
        raise ModelUnavailable(made.name, f"{graph} is missing; fetch or export the model again")
    parts = [graph, *sorted(graph.parent.glob(f"{graph.name}_data*"))]  # weights too large for one file
    found = [checksums.verify(p, recorded.get(p.relative_to(folder).as_posix()), made.name, store) for p in parts]
    digest = found[0] if len(found) == 1 else sha256("".join(found).encode()).hexdigest()
    tokenizer = folder / "tokenizer.json"
    if tokenizer.is_file():
        checksums.verify(tokenizer, recorded.get("tokenizer.json"), made.name, store)
    return _located(made, graph, tokenizer, store, digest=digest, reference=reference, origin=origin)


def _located(
    made: Recipe, model: Path, tokenizer: Path, store: Path, *, digest: str, reference: str, origin: str
) -> Located:
    folder = tokenizer.parent
    dense = tuple(folder / path for path in made.dense)
    if not tokenizer.is_file():
        raise ModelUnavailable(made.name, f"{tokenizer} is missing; a model's folder needs its tokenizer.json")
    # Whatever changes a vector is in the fingerprint, and nothing else: not the path, not the runtime.
    parts = [digest, checksums.sha256(tokenizer, store), made.pooling, str(made.max_tokens)]
    parts += [made.query_prefix, made.document_prefix]
    parts += [checksums.sha256(each / "model.safetensors", store) for each in dense if each.is_dir()]
    fingerprint = f"{made.name}@{sha256(repr(parts).encode()).hexdigest()[:12]}"
    return Located(
        recipe=made,
        model=model,
        tokenizer=tokenizer,
        dense=dense,
        digest=digest,
        fingerprint=fingerprint,
        reference=reference,
        origin=origin,
    )
