"""Changes to valid input that leave much of it valid: of bytes, of the members of an archive, of JSON values."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import zipfile
from typing import Any

_TOKEN = re.compile(rb"\w+|[^\w\s]+|\s+")
_KEYS = ("id", "text", "title", "metadata", "type", "name", "vectors", "chunks", "_id", "from", "to", "")
_BETWEEN = re.compile(rb"(?<=>)[^<>&]{2,}(?=<)")
_PLAIN = re.compile(rb"[A-Za-z0-9]")
_ODD = (
    b"",
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
    b"\xc2\x85",
    b"\xef\xbb\xbf",
    b"-1",
    b"0",
    b"1e999",
    b"NaN",
    b"18446744073709551616",
    b"9" * 400,
    b"null",
    b"{}",
    b"[]",
    b"[" * 300,
    b'{"a":' * 200,
    b"(" * 100,
    b"<a>" * 200,
    b"\\ud800",
    b"&#xD800;",
    b"&#99999999999;",
    b"&unknown;",
    b"<!--",
    b"<![CDATA[",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b"2026-13-45",
    b"0001-01-01T00:00:00+23:59",
    b"9999-12-31T23:59:59-12:00",
    b"\r",
    b"\n",
    b"\n\n",
    b"\t",
    b"'",
    b'"',
    b"`",
    b"```",
    b"---\n",
    b"=",
    b"%",
    b"%zz",
    b"=?utf-8?b?////?=",
    b"=?x-none?q?=FF?=",
    b"*",
    b"^",
    b"~",
    b":",
    b"a:b",
    b"$",
    "é東😀".encode(),
    "é".encode("latin-1"),
    b"\xff\xfe",
    b"a" * 3000,
    b" " * 300,
)
_VALUES = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    -(2**63) - 1,
    2**70,
    0.5,
    -0.0,
    1e308,
    float("inf"),
    float("nan"),
    "",
    " ",
    "\0",
    "\ud800",
    "\u202e",
    "é東😀",
    "a" * 3000,
    "2026-13-45",
    "2026-03-02",
    "$eq",
    "@id",
    "9" * 400,
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"a": {"b": [1, {"c": 2}]}},
    ["a", 1, None],
    b"bytes",
    {1: 2},
    (1, 2),
    {"$in": []},
    object,
)


def changed_plainly(rng: random.Random, data: bytes, count: int) -> bytes:
    """Return bytes with other letters in the place of `count` letters, and digits of digits."""
    out, plain = bytearray(data), [match.start() for match in _PLAIN.finditer(data)]
    for at in rng.choices(plain, k=count) if plain else ():
        out[at] = rng.choice(b"0123456789" if 48 <= out[at] < 58 else b"abcdefghijklmnopqrstuvwxyzABC")
    return bytes(out)


def changed_bytes(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Return bytes with one to four changes; `others` are inputs whose parts may be put in.

    Two of five inputs only have other letters and digits: with these, what lies behind the parser is reached.
    """
    if rng.random() < 0.4 and _PLAIN.search(data):
        return changed_plainly(rng, data, rng.choice((1, 2, 5)))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randint(0, len(data))
        to = min(len(data), at + rng.choice((1, 1, 2, 5, 20, 100)))
        match rng.randrange(8):
            case 0:
                data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
            case 1:
                data = data[:at] + rng.choice(_ODD) + data[at:]
            case 2:
                data = data[:at] + data[to:]
            case 3:
                data = data[:to] + data[at:]
            case 4:
                other = rng.choice(others)
                start = rng.randint(0, len(other))
                data = data[:at] + other[start : start + rng.choice((3, 10, 50))] + data[at:]
            case 5 | 6 if len(data) < 20_000:
                tokens = _TOKEN.findall(data) or [b""]
                place = rng.randrange(len(tokens))
                tokens[place] = rng.choice(_ODD) if rng.random() < 0.5 else rng.choice(tokens)
                data = b"".join(tokens)
            case _:
                if data[at:to]:
                    data = data[:at] + data[at:to] * rng.choice((2, 10, 50)) + data[to:]
    return data[:200_000]


def changed_file(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Return a file with changes; mostly inside the members of an archive, or below its compression."""
    if rng.random() < 0.1:
        return changed_bytes(rng, data, others)
    if data.startswith(b"PK"):
        return _changed_archive(rng, data, others)
    if data.startswith(b"\x1f\x8b"):
        return gzip.compress(changed_bytes(rng, gzip.decompress(data), others), 1)
    return changed_bytes(rng, data, others)


def _changed_archive(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(members))
    match rng.randrange(10):
        case 0:
            del members[name]
        case 1:
            members[rng.choice(list(members))] = members[name]
        case 2 | 3:  # other words between its tags, so that what lies behind the parser is reached
            members[name] = _BETWEEN.sub(lambda found: changed_plainly(rng, found[0], 3), members[name])
        case _:
            members[name] = changed_bytes(rng, members[name], list(members.values()))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def changed_lines(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Return JSON lines with changes: mostly a value in one of them."""
    if rng.random() < 0.2:
        return changed_bytes(rng, data, others)
    lines = data.splitlines()
    at = rng.randrange(len(lines))
    value = changed_value(rng, json.loads(lines[at]), list(_KEYS))
    lines[at] = json.dumps(value, default=repr, skipkeys=True).encode()
    return b"\n".join(lines) + b"\n"


def changed_text(rng: random.Random, text: str, others: list[str]) -> str:
    """Return text with changes; what is not UTF-8 then becomes surrogates or replacement characters."""
    how = "surrogateescape" if rng.random() < 0.05 else "replace"
    return changed_bytes(rng, text.encode(), [other.encode() for other in others]).decode(errors=how)


def changed_value(rng: random.Random, value: Any, keys: list[str]) -> Any:
    """Return a JSON-like value with one change somewhere in it; in two of five, of letters or numbers only."""
    if rng.random() < 0.4:
        return other_words(rng, value)
    return _changed(rng, value, keys)


def changed_call(rng: random.Random, call: dict[str, Any], keys: list[str]) -> Any:
    """Return a call of a tool with a change; in a quarter of them only of the words in its arguments."""
    if rng.random() < 0.25:
        return {**call, "arguments": other_words(rng, call["arguments"])}
    return changed_value(rng, call, keys)


def other_words(rng: random.Random, value: Any) -> Any:
    """Return the value with other words and numbers in places; words that mean something stay."""
    match value:
        case dict():
            return {key: other_words(rng, inner) for key, inner in value.items()}
        case list():
            return [other_words(rng, inner) for inner in value]
        case bool() | None:
            return value
        case int() | float():
            return value + rng.choice((0, 0, 1, 2))
        case str() if value.isalpha() and rng.random() < 0.5:
            return value
        case str() if not any(sign.isdigit() for sign in value):
            return value + rng.choice(("", " ", "é", " more words", ".", "\n", "😀", "'", '"', "\\", "%", "_"))
        case _:
            return value


def _changed(rng: random.Random, value: Any, keys: list[str]) -> Any:
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        if rng.random() < 0.1:
            return {each: inner for each, inner in value.items() if each != key}
        if rng.random() < 0.15:
            return {**value, rng.choice(keys): rng.choice(_VALUES)}
        if rng.random() < 0.1:
            return {rng.choice(keys) if each == key else each: inner for each, inner in value.items()}
        return {**value, key: _changed(rng, value[key], keys)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        return [*value[:at], _changed(rng, value[at], keys), *value[at + rng.randrange(2) :]]
    if isinstance(value, str) and rng.random() < 0.7:
        return changed_text(rng, value, [value, *keys])
    if isinstance(value, (int, float)) and not isinstance(value, bool) and rng.random() < 0.5:
        return value + rng.choice((-1, 1, 100, 0.5))
    return rng.choice(_VALUES)
