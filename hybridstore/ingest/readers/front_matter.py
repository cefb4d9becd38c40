"""Front matter: the YAML between `---` or TOML between `+++` at the head of a text, as metadata."""

from __future__ import annotations

import datetime as dt
import math
import re
import tomllib
from collections.abc import Mapping
from typing import Any

_BLOCK = re.compile(r"\ufeff?(---|\+\+\+)[ \t]*\r?\n(.*?)^(?:\1|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_PAIR = re.compile(r"([A-Za-z_]+):[ \t]*(.*)")
_ITEM = re.compile(r"[ \t]*-[ \t]+(.+)")
_LARGEST = 1 << 16  # characters; more is not front matter
_DEEPEST = 8
_OURS = frozenset(("path", "type"))  # of the file; a page's own "type" would hide it


def front_matter(text: str) -> tuple[str, dict[str, Any]]:
    """Return the title ("" if none) and the other fields of a text's front matter, as JSON has them.

    Of invalid YAML, `title:`, `date:` and `tags:` of one line, or a list of tags, are read. Dates become ISO 8601,
    `tags`, `categories` and `keywords` lists.
    """
    block = _BLOCK.match(text[:_LARGEST])
    if not block:
        return "", {}
    fields: Any = None
    try:
        fields = tomllib.loads(block[2]) if block[1] == "+++" else load_yaml(block[2])
    except ValueError:  # a title with a colon, say
        fields = None
    if fields is None and block[1] == "---":
        fields = _simple_fields(block[2])
    if not isinstance(fields, Mapping):
        return "", {}
    found = plain_values(fields)
    title = found.pop("title", "")
    for name in ("tags", "categories", "keywords"):
        value = found.get(name)
        if isinstance(value, str):
            found[name] = [tag for part in value.split(",") if (tag := part.strip())]
    found = {name: value for name, value in found.items() if name not in _OURS and value is not None}
    return title if isinstance(title, str) else str(title or ""), found


def _simple_fields(block: str) -> dict[str, Any]:
    """Return the title, date and tags of lines such as "title: text"."""
    fields: dict[str, Any] = {}
    key = ""
    for line in block.splitlines():
        pair, item = _PAIR.fullmatch(line.rstrip()), _ITEM.fullmatch(line.rstrip())
        if pair:
            key, value = pair[1].lower(), pair[2].strip()
            if key in {"title", "date"} and _unquoted(value):
                fields[key] = _unquoted(value)
            elif key == "tags" and value:
                fields[key] = [tag for part in value.strip("[]").split(",") if (tag := _unquoted(part))]
        elif item and key == "tags":
            fields[key] = [*fields.get(key, []), _unquoted(item[1])]
    return fields


def _unquoted(value: str) -> str:
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def load_yaml(text: str) -> Any:
    """Return the value of a YAML document, None without PyYAML; raises ValueError for an invalid one.

    Aliases are invalid here, since a few of them can stand for gigabytes.
    """
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        if "*" in text and any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=loader)):
            raise ValueError("aliases are not read")
        return yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, RecursionError, TypeError, OverflowError, AttributeError) as error:
        raise ValueError(str(error)) from error


def plain_values(fields: Mapping[Any, Any]) -> dict[str, Any]:
    """Return fields as JSON has them: dates in ISO 8601, sets as lists, infinity and NaN as null."""
    return {str(name): _plain(value, 0) for name, value in fields.items()}


def _plain(value: Any, depth: int) -> Any:  # noqa: PLR0911 - one for each type
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, int):
        return value if abs(value) < 1 << 63 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if depth >= _DEEPEST:
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(part, depth + 1) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(part, depth + 1) for part in value]
    return str(value)
