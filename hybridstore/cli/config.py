"""The config file: `hybridstore.toml`, or `[tool.hybridstore]` in pyproject.toml, for a folder and those below it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hybridstore.errors import InputError
from hybridstore.locations import is_address, is_url

DURABILITIES = ("normal", "full")  # as in `hybridstore.open`; a test compares them
_NAMES = ("hybridstore.toml", "pyproject.toml")


@dataclass(frozen=True, slots=True)
class Config:
    """What a config file says; options and environment variables come before it.

    `db` is the store's file, `embedder` the model, `folders` what `add` reads without a PATH, `exclude` patterns that
    `add` skips besides its own, `durability` that of what commands write, `exchange` the folder, or the
    address of a server, through which changes go to other devices and come from them. Paths in the file are relative
    to its folder; here they are absolute.
    """

    db: str | None = None
    embedder: str | None = None
    folders: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    durability: str | None = None
    exchange: str | None = None


def find_config(folder: Path) -> Config:
    """Return the config of a folder: that of the nearest file in it or above it, or an empty one.

    In one folder hybridstore.toml comes first; a pyproject.toml without `[tool.hybridstore]` is passed over. Raises
    InputError for a file that is not TOML, and for unknown names and values in it.
    """
    for place in (folder, *folder.parents):
        for name in _NAMES:
            file = place / name
            content = _content(file)
            if content is not None and name == "pyproject.toml":
                content = content.get("tool", {}).get("hybridstore")
            if content is not None:
                return _config(file, content)
    return Config()


def _content(file: Path) -> dict[str, Any] | None:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError:  # there is none, or it is not ours to read
        return None
    except ValueError as error:
        if file.name == "pyproject.toml":  # another tool's to complain about
            return None
        raise InputError(f"{file} is not valid TOML: {error}") from error


def _config(file: Path, content: object) -> Config:
    known = [field.name for field in fields(Config)]
    if not isinstance(content, dict) or (unknown := [name for name in content if name not in known]):
        wrong = f"has unknown names: {', '.join(unknown)}" if isinstance(content, dict) else "is not a table"
        raise InputError(f"the configuration in {file} {wrong}; there are {', '.join(known)}")
    texts = {
        name: _text(file, name, content[name])
        for name in ("db", "embedder", "durability", "exchange")
        if name in content
    }
    lists = {name: _list(file, name, content[name]) for name in ("folders", "exclude") if name in content}
    folders = tuple(_absolute(file, folder) for folder in lists.get("folders", ()))
    db, exchange = (_absolute(file, texts[name]) if name in texts else None for name in ("db", "exchange"))
    durability = texts.get("durability")
    if durability is not None and durability not in DURABILITIES:
        raise InputError(f"durability in {file} must be {' or '.join(map(repr, DURABILITIES))}, not {durability!r}")
    return Config(db, texts.get("embedder"), folders, lists.get("exclude", ()), durability, exchange)


def _text(file: Path, name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise InputError(f'{name} in {file} must be a text, such as {name} = "…", not {value!r}')
    return value


def _list(file: Path, name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise InputError(f'{name} in {file} must be a list of texts, such as {name} = ["…"], not {value!r}')
    return tuple(value)


def _absolute(file: Path, path: str) -> str:
    return path if is_url(path) or is_address(path) else str(file.parent / Path(path).expanduser())
