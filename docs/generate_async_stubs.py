"""Writes hybridstore/asynchronous.pyi from Store, Memory and Writer; with --check, says whether it is up to date."""

from __future__ import annotations

import ast
import builtins
import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from hybridstore import asynchronous
from hybridstore.asynchronous import AsyncMemory, AsyncStore, AsyncWriter, ThreadedObject, public_methods, return_kind

STUB = Path(asynchronous.__file__).with_suffix(".pyi")

HEAD = """\
# Written by docs/generate_async_stubs.py from Store, Memory and Writer; change them, then run `make docs`.
"""

BASE = """\
class ThreadedObject(Generic[_Made]):
    def __init__(self, make: Callable[[], _Made], *, workers: int) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    async def run(self, call: Callable[[_Made], _Returned]) -> _Returned: ...
    async def close(self) -> None: ...
"""

# What BASE and the changed return types need: the module of each name. The rest comes from the classes' modules.
IMPORTS = {
    "AbstractAsyncContextManager": "contextlib",
    "AsyncIterator": "collections.abc",
    "Callable": "collections.abc",
    "Generic": "typing",
    "Self": "typing",
    "TracebackType": "types",
    "TypeVar": "typing",
}


def stub() -> str:
    """Return the whole stub, formatted."""
    imports = Imports()
    classes = ["\n".join(_class(of, imports)) for of in (AsyncStore, AsyncMemory, AsyncWriter)]
    variables = '_Made = TypeVar("_Made")\n_Returned = TypeVar("_Returned")'
    return _formatted("\n".join([HEAD, *imports.lines, variables, BASE, *classes]))


class Imports:
    """The import lines of the names in annotations, each taken from where the annotation stands."""

    def __init__(self) -> None:
        self._by_name = {name: (f"from {module} import {name}", module, name) for name, module in IMPORTS.items()}

    @property
    def lines(self) -> list[str]:
        """The lines, each once."""
        return sorted({line for line, _, _ in self._by_name.values()})

    def add(self, annotation: str, module: str) -> str:
        """Take the names of an annotation in this module, and return the annotation; a name means one thing only."""
        known = _imports_of(module)
        for node in ast.walk(ast.parse(annotation, mode="eval")):
            if not isinstance(node, ast.Name) or hasattr(builtins, node.id):
                continue
            if module == asynchronous.__name__ and node.id not in known:
                continue  # it is defined in the stub
            new = known.get(node.id, (f"from {module} import {node.id}", module, node.id))
            old = self._by_name.setdefault(node.id, new)
            if old != new and _object(old) != _object(new):
                raise ValueError(f"{node.id} means two things: {old[0]}, and {new[0]}; rename one")
        return annotation


def _object(imported: tuple[str, str, str]) -> object:
    _, module, name = imported
    return getattr(import_module(module), name)


@cache
def _imports_of(module: str) -> dict[str, tuple[str, str, str]]:
    """Return a module's imports by name, as (line, module, name there)."""
    found = {}
    for node in ast.walk(ast.parse(inspect.getsource(import_module(module)))):
        for alias in node.names if isinstance(node, ast.ImportFrom | ast.Import) else ():
            start = f"from {node.module} " if isinstance(node, ast.ImportFrom) else ""
            renamed = f" as {alias.asname}" if alias.asname else ""
            source = str(node.module) if isinstance(node, ast.ImportFrom) else alias.name
            found[alias.asname or alias.name] = (f"{start}import {alias.name}{renamed}", source, alias.name)
    return found


def _class(of: type[ThreadedObject[Any]], imports: Imports) -> Iterator[str]:
    sync = of._sync  # noqa: SLF001 - what its methods are made from
    yield f"class {of.__name__}(ThreadedObject[{imports.add(sync.__name__, sync.__module__)}]):"
    yield f"    def __init__{_parameters(of.__init__, imports, of._options_of)} -> None: ..."  # noqa: SLF001
    for name, method in vars(of).items():
        if inspect.isfunction(method) and not name.startswith("_") and method.__module__ == asynchronous.__name__:
            yield f"    def {name}{_parameters(method, imports)} -> {_returned(method, imports)}: ..."
    for name, annotation, module in _attributes(sync):
        if name not in of._in_threads:  # noqa: SLF001
            yield f"    @property\n    def {name}(self) -> {imports.add(annotation, module)}: ..."
    for name, method in public_methods(of).items():
        start, returned = "async def", _returned(method, imports)
        kind = return_kind(method)
        if kind == "Iterator":
            start, returned = "def", f"Async{returned}"
        elif kind == "AbstractContextManager":
            start, returned = "def", returned.replace("AbstractContext", "AbstractAsyncContext")
        elif kind == "Writer":
            start, returned = "def", "AbstractAsyncContextManager[AsyncWriter]"
        yield f"    {start} {name}{_parameters(method, imports)} -> {returned}: ..."


def _attributes(sync: type) -> Iterator[tuple[str, str, str]]:
    """Yield the name, type and module of public properties and annotated attributes."""
    for of in reversed(sync.__mro__[:-1]):
        for name, annotation in vars(of).get("__annotations__", {}).items():
            if not name.startswith("_"):
                yield name, annotation, of.__module__
        for name, value in vars(of).items():
            if isinstance(value, property) and not name.startswith("_"):
                yield name, inspect.signature(value.fget).return_annotation, of.__module__


def _parameters(function: Callable[..., Any], imports: Imports, options_of: Callable[..., Any] | None = None) -> str:
    """Return a function's parameters in parentheses; `**options` become the keyword parameters of `options_of`."""
    parameters = [(parameter, function) for parameter in inspect.signature(function).parameters.values()]
    if options_of is not None:
        named = {parameter.name for parameter, _ in parameters}
        options = [each for each in inspect.signature(options_of).parameters.values() if each.name not in named]
        parameters = parameters[:-1] + [(each, options_of) for each in options if each.kind is each.KEYWORD_ONLY]
    texts, keywords = [], False
    for parameter, owner in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not keywords:
            keywords = True
            texts.append("*")
        stars = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        bare = parameter.annotation is parameter.empty
        annotation = "" if bare else f": {imports.add(parameter.annotation, _module(owner))}"
        default = "" if parameter.default is parameter.empty else " = ..."
        texts.append(f"{stars}{parameter.name}{annotation}{default}")
    return f"({', '.join(texts)})"


def _returned(method: Callable[..., Any], imports: Imports) -> str:
    return imports.add(str(inspect.signature(method).return_annotation), _module(method))


def _module(owner: Callable[..., Any]) -> str:
    return inspect.unwrap(owner.__init__ if inspect.isclass(owner) else owner).__module__


def _formatted(text: str) -> str:
    ruff = [sys.executable, "-m", "ruff"]
    for arguments in (["check", "--fix", "--quiet", "--select", "I,F401"], ["format", "--quiet"]):
        command = [*ruff, *arguments, "--stdin-filename", str(STUB), "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)  # noqa: S603 - our own command
        text = done.stdout
    return text


def main() -> int:
    """Write the stub, or check it."""
    text = stub()
    if "--check" in sys.argv[1:]:
        current = STUB.is_file() and STUB.read_text(encoding="utf-8") == text
        if not current:
            sys.stderr.write(f"{STUB} is out of date; run `make docs`\n")
        return int(not current)
    STUB.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
