"""The subtitle reader: what is said in srt, vtt, ass, ssa and sub files, with a heading for each minute."""

from __future__ import annotations

import html
import re
import warnings
from pathlib import PurePath

from hybridstore.ingest.readers.origin import Origin, Unreadable, errors_as_unreadable
from hybridstore.records import Document

_MINUTE = 60_000  # milliseconds; a minute of speech is 150 words, which one chunk holds
_FRAMES = 25.0  # a second, for formats that count frames
_VOICE = re.compile(r"<v(?:\.[\w.-]++)?[ \t]++([^<>]++)>")
_TAG = re.compile(r"</?[A-Za-z0-9:.][^<>]*>")
_BLANK_LINES = re.compile(r"\n{3,}")
_OPEN, _SHOWN = ("\ue002", "\ue003"), ("<", "{")
_FORMATS = {"srt": "srt", "vtt": "vtt", "ass": "ass", "ssa": "ass", "sub": "microdvd"}  # pysubs2's names


def read_subtitles(origin: Origin) -> Document:
    """Return the text of subtitles in the order of their times, under headings such as "00:01:00"."""
    import pysubs2

    text = _BLANK_LINES.sub("\n\n", "\n".join(map(_without_open_marks, origin.text().splitlines())))
    text = _VOICE.sub(r"\1: ", text)
    suffix = PurePath(origin.name.lower().removesuffix(".gz")).suffix[1:]
    with errors_as_unreadable(origin, "subtitle"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of margins and layers that are no numbers
        subtitles = pysubs2.SSAFile.from_string(text, format_=_FORMATS.get(suffix), fps=_FRAMES)
    parts: list[str] = []
    minute, last = -1, ""
    for event in sorted(subtitles.events, key=lambda event: event.start):
        line = " ".join(html.unescape(_shown(_TAG.sub("", event.plaintext))).replace("\0", "").split())
        if event.is_comment or not line or line == last:  # captions that roll up repeat the line before
            continue
        if event.start // _MINUTE != minute:
            minute = event.start // _MINUTE
            parts.append(f"\n## {minute // 60:02}:{minute % 60:02}:00\n")
        speaker = f"{event.name}: " if event.name and not line.startswith(event.name) else ""
        parts.append(f"{speaker}{line}")
        last = line
    if not parts:
        raise Unreadable(origin.name, "contains no subtitles")
    return Document(text="\n".join(parts).strip(), title=origin.stem, format="markdown")


def _without_open_marks(line: str) -> str:
    """Return a line with stand-ins for its `<` and `{` that nothing closes: pysubs2 would look for the end of each."""
    for closing, mark, stand_in in zip((">", "}"), _SHOWN, _OPEN, strict=True):
        end = line.rfind(closing) + 1
        line = line[:end] + line[end:].replace(mark, stand_in)
    return line


def _shown(text: str) -> str:
    """Return a text with the marks that `_without_open_marks` took out."""
    for stand_in, mark in zip(_OPEN, _SHOWN, strict=True):
        text = text.replace(stand_in, mark)
    return text
