"""Noise: files and parts of files that no search is about, such as lock files, minified code and embedded pictures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

_LOCK_FILES = frozenset(
    """
    package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock bun.lockb deno.lock poetry.lock pipfile.lock
    pdm.lock uv.lock pixi.lock conda-lock.yml cargo.lock gemfile.lock composer.lock go.sum go.work.sum flake.lock
    mix.lock rebar.lock pubspec.lock podfile.lock packages.lock.json gradle.lockfile buildscript-gradle.lockfile
    conan.lock cartfile.resolved package.resolved paket.lock .terraform.lock.hcl cabal.project.freeze stack.yaml.lock
    shard.lock project.assets.json manifest.lock requirements.lock requirements-dev.lock pylock.toml renv.lock
    """.split()  # noqa: SIM905 - a list of words reads better without quotes
)
_MINIFIED_NAME = re.compile(r"[.-]min\.(?:js|mjs|cjs|css|json|html)$")
_MAP_NAME = re.compile(r"\.(?:js|mjs|cjs|ts|css|wasm)\.map$")
_MAP = re.compile(r'\s*\{\s*"version"\s*:\s*3\s*,.{0,20000}?"mappings"\s*:', re.DOTALL)

_HEX_LINE = re.compile(
    r"\s*(?:(?:0x)?[0-9A-Fa-f]{4,16}[:\s|*]\s*(?:[0-9A-Fa-f]{2,8}[ \t:-]+){3,}|:[0-9A-Fa-f]{10,}\s*$"
    r"|S[0-9][0-9A-Fa-f]{8,}\s*$|(?:0x[0-9A-Fa-f]{1,2},\s*){6,}|(?:[0-9A-Fa-f]{2}[ \t]+){12,}|[0-9A-Fa-f]{64,}\s*$)"
)
_SAMPLE = 200  # lines
_FEWEST_LINES = 20  # of a hex dump; a shorter one illustrates a text
_MINIFIED_LINE = 400  # characters of the average line; the longest of hand-written code is about 60
_MINIFIED_SPACE = 0.12  # share of white space: 3 to 7 % in minified code, 15 to 35 % in any other
_SMALLEST = 2000  # characters of a file that is worth leaving out

# Half as many characters would be a token, a key or a long URL, which people do search for.
_LONGEST_WORD = 1000
_ENCODED = "A-Za-z0-9+/=_\\-"
_DATA = re.compile(rf"(data:[\w.+-]*+(?:/[\w.+-]*+)?+(?:;(?!base64,)[\w.=-]++)*+;base64,)[{_ENCODED}%]{{64,}}")
_WORD = re.compile(rf"(?<![{_ENCODED}])[{_ENCODED}]{{{_LONGEST_WORD},}}")
_WRAPPED = re.compile(
    r"(?:^[ \t>]*[A-Za-z0-9+/]{60,76}[ \t]*\r?\n){15,}(?:^[ \t>]*[A-Za-z0-9+/=]{1,76}[ \t]*$)?"
    r"|(?:^M[ -`]{60}\r?\n){15,}",  # the second is uuencode
    re.MULTILINE,
)
# What has one of the parts above has one of these at every so many characters; most texts have none, and looking at a
# few places of 8 KB takes 10 µs instead of 1 ms.
_HALF_WORD = re.compile(rf"[{_ENCODED}]{{{_LONGEST_WORD // 2}}}")
_WRAPPED_LINE = re.compile(r"[^\n]{0,200}+\n[ \t>]*+(?:[A-Za-z0-9+/]{60}|M[ -`]{60})")
_STEP = 300  # characters; 15 lines of 60 have three such places
_LEFT = 24  # characters left of an encoded word, by which it can still be found


@dataclass(slots=True)
class Removed:
    """How many encoded parts were left out of a file's documents, and their characters."""

    parts: int = 0
    characters: int = 0

    def __str__(self) -> str:
        what = "an embedded picture or other encoded data" if self.parts == 1 else f"{self.parts:,} embedded pictures"
        size = f"{self.characters / 1000:,.0f} kB"
        return f"{what} ({size}) left out" if self.parts == 1 else f"{what} or other encoded data ({size}) left out"


def noise_of_name(path: str) -> str | None:
    """Return what kind of noise a file of this name is, None if it is none or that depends on its content."""
    name = PurePath(path).name.lower()
    if name in _LOCK_FILES:
        return "lock file"
    if _MAP_NAME.search(name):
        return "source map"
    return "minified code" if _MINIFIED_NAME.search(name) else None


def noise_of_text(text: str, *, code: bool) -> str | None:
    """Return what kind of noise a whole text is, None if it is worth searching; `code` says it is source code."""
    if len(text) < _SMALLEST:
        return None
    if text[:200].lstrip().startswith("{") and _MAP.match(text):
        return "source map"
    head = text[: 1 << 16]
    lines = [line for line in head.splitlines()[:_SAMPLE] if line.strip()]
    if len(lines) >= _FEWEST_LINES and sum(map(bool, map(_HEX_LINE.match, lines))) > len(lines) * 0.8:
        return "hex dump"
    if code and len(text) > _MINIFIED_LINE * (text.count("\n") + 1):
        spaces = sum(map(str.isspace, head))
        if spaces < len(head) * _MINIFIED_SPACE:
            return "minified code"
    return None


def without_encoded(text: str, removed: Removed) -> str:
    """Return a text without pictures and other data encoded as letters, which are counted in `removed`."""
    if len(text) < _LONGEST_WORD and "base64," not in text:
        return text

    def drop(found: re.Match[str], left: str) -> str:
        removed.parts += 1
        removed.characters += len(found[0]) - len(left)
        return f"{left}…"

    def drop_word(found: re.Match[str]) -> str:
        word = found[0]
        return drop(found, word[:_LEFT]) if _is_encoded(word[:_LONGEST_WORD]) else word

    def drop_lines(found: re.Match[str]) -> str:
        encoded = found[0].lstrip(" \t>").startswith("M") or _is_encoded(found[0][:_LONGEST_WORD])
        return drop(found, found[0].lstrip(" \t>")[:_LEFT]) + "\n" if encoded else found[0]

    if "base64," in text:
        text = _DATA.sub(lambda found: drop(found, found[1]), text)
    if any(_HALF_WORD.match(text, place) for place in range(0, len(text), _LONGEST_WORD // 2)):
        text = _WORD.sub(drop_word, text)
    if any(_WRAPPED_LINE.match(text, place) for place in range(0, len(text), _STEP)):
        text = _WRAPPED.sub(drop_lines, text)
    return text


def _is_encoded(word: str) -> bool:
    """Return whether letters are base64 or hexadecimal, rather than a sequence of genes or a ruler."""
    kinds = sum(any(map(test, word)) for test in (str.islower, str.isupper, str.isdigit))
    return kinds == 3 or (kinds == 2 and len(set(word.lower()) - set("0123456789abcdef\r\n \t>")) == 0)
