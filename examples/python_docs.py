"""The documentation of Python's standard library, as this Python carries it: one Document a docstring.

Modules, their public classes and functions, each with its full name as id and title, so that
`gzip.compress` can be found by name and by what it does. Run as a script it writes JSON Lines for
`hybridstore add`.
"""

from __future__ import annotations

import importlib
import inspect
import io
import json
import pkgutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from types import ModuleType

import hybridstore as hs

# They open windows or browsers, print poems, are tests or demonstrations, or are no modules at all.
SKIPPED = {
    "antigravity",
    "this",
    "idlelib",
    "turtledemo",
    "test",
    "tests",
    "__main__",
    "lib2to3",
    "ensurepip",
    "msilib",
}


def modules() -> Iterator[ModuleType]:
    """Give every public module of the standard library that can be imported here, packages one level deep."""
    for name in sorted(sys.stdlib_module_names - SKIPPED):
        module = None if name.startswith("_") else _import(name)
        if module is None:
            continue
        yield module
        for part in pkgutil.iter_modules(getattr(module, "__path__", [])):
            inner = None if part.name.startswith("_") or part.name in SKIPPED else _import(f"{name}.{part.name}")
            if inner is not None:
                yield inner


def _import(name: str) -> ModuleType | None:
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except (ImportError, OSError, AttributeError):  # built for another platform, or without its C library
        return None


def documents() -> Iterator[hs.Document]:
    """Give a Document for each public module, class and function that has a docstring of its own."""
    seen: set[int] = set()
    for module in modules():
        yield from _document(module.__name__, "module", module, module.__name__)
        for name, value in sorted(vars(module).items()):
            owner = getattr(value, "__module__", None)
            if name.startswith("_") or id(value) in seen or owner not in {module.__name__, f"_{module.__name__}"}:
                continue
            seen.add(id(value))
            full = f"{module.__name__}.{name}"
            if inspect.isclass(value):
                yield from _document(full, "class", value, module.__name__)
            elif inspect.isroutine(value):
                yield from _document(full, "function", value, module.__name__)


def _document(name: str, kind: str, value: object, module: str) -> Iterator[hs.Document]:
    text = inspect.cleandoc(doc) if isinstance(doc := getattr(value, "__doc__", None), str) else ""
    if text.strip():
        signature = ""
        if callable(value) and kind != "module":
            with suppress(ValueError, TypeError, AttributeError, NameError):  # many C functions do not tell
                signature = str(inspect.signature(value))
        metadata = {"kind": kind, "module": module, "signature": signature}
        yield hs.Document(id=name, title=name, uri=f"python:{name}", text=text, metadata=metadata)


if __name__ == "__main__":
    for document in documents():
        row = {
            "id": document.id,
            "title": document.title,
            "text": document.text,
            "metadata": dict(document.metadata),
        }
        sys.stdout.write(json.dumps(row) + "\n")
