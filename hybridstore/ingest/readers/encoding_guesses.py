"""Guessing an encoding: by what a text declares, by its language, or by the bytes of UTF-16; and encodings' names."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hybridstore.errors import InputError

_DECLARED = re.compile(
    rb"""\b(?:coding|charset|encoding|fileencoding|fenc)[ \t]{0,9}[:=][ \t]{0,9}["']?([A-Za-z][\w.:+-]{1,30})""",
    re.IGNORECASE | re.ASCII,
)
_INPUTENC = re.compile(rb"\\usepackage\s{0,9}\[(\w{1,20})\]\s{0,9}\{inputenc\}")
_LATEX = {"latin9": "iso8859-15", "ansinew": "cp1252", "applemac": "mac-roman", "cp1252": "cp1252", "koi8-ru": "koi8-u"}
_STRANGE = frozenset(("Cc", "Cn", "Co"))
_SPACING = "\t\n\v\f\r\b\x1a\x85"
_MOST_OFTEN = 0.3  # of a text's characters are one letter beyond ASCII; .13 in Arabic, the most of 33 languages
_LONGEST_WORDS = 60  # characters between two pauses, on the average; 43 in Thai, the most of the languages
_PAUSES = frozenset(".,;:!?()/-'\"。、，．！？：；「」،؟۔।")
_FEW_WORDS = 5  # characters of a text that may all be the same
_MOST_STRANGE = 0.03  # of a decoded text's characters: controls, unassigned, private
# Confidences of chardet 7.7 over 76 encodings in 33 languages: texts of 60 bytes have .08 and more, random bytes .03.
_SURE = 0.07
_TIE = 0.003  # of the confidence; nearly all wrong guesses are that close to the right one
_FEW = 0.25  # share of bytes beyond ASCII in a text of a Western European language, at most
# Encodings whose every text is also one of the second, with a few more characters.
_SUPERSETS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "cp950": "big5hkscs",
}
_NO_CHARSETS = frozenset(("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"))
_REMEDY = "; name it by `encoding` (--encoding)"
_CONTENTS = frozenset("。、，的了のはをに")  # in any Chinese or Japanese text


@dataclass(frozen=True, slots=True)
class Encoding:
    """How bytes become text: a codec's `name`, and a `notice` for the reader of the report, "" if all is certain.

    Bytes that do not fit become U+FFFD unless `strict`.
    """

    name: str
    notice: str = ""
    strict: bool = True

    @property
    def errors(self) -> str:
        """The `errors` argument of `bytes.decode`."""
        return "strict" if self.strict else "replace"


class Undecodable(InputError):  # noqa: N818 - reads as a sentence
    """Bytes are not text, or in an encoding that cannot be told; the message is the reason for the file's owner."""


def codec_of(name: str) -> str | None:
    """Return Python's codec for an encoding's name, None if there is none."""
    label = re.sub(r"-[ie]$", "", name.strip().lower().removeprefix("x-")) if name.isascii() else ""
    for candidate in (name.strip(), label, _LATEX.get(label, "")):
        try:
            "a".encode(candidate)  # LookupError for base64 and other codecs that are not of text
            codec = codecs.lookup(candidate).name
        except (LookupError, UnicodeError, ValueError):
            continue
        return None if codec.replace("-", "_") in _NO_CHARSETS else codec
    return None


def shown_name(codec: str) -> str:
    """Return an encoding's name as most know it: windows-1251 instead of cp1251."""
    return re.sub(r"^cp(125\d|874)$", r"windows-\1", codec)


def is_seven_bit(codec: str) -> bool:
    """Return whether an encoding writes all characters with the bytes of ASCII."""
    return codec.startswith(("iso2022", "hz", "utf-7"))


def named(head: bytes, codec: str) -> Encoding:
    """Return the encoding of this name, or one that has all its characters and fits the text's beginning."""
    larger = _SUPERSETS.get(codec, codec)
    return Encoding(larger if _decodes(head, larger) else codec)


def wide(head: bytes, codec: str | None = None) -> Encoding:
    """Return the encoding of text with many NULs or controls: UTF-16 or UTF-32 without a mark, or EBCDIC.

    `codec` is the one that is named, used if it makes hardly any controls. Raises Undecodable for binary data.
    """
    if codec and is_without_controls(head, codec):
        return named(head, codec)
    guesses = _detect(head)[:1]
    codec = _utf_16(head) or (guesses[0][0] if guesses else "")
    unit = 4 if codec.startswith("utf-32") else 2 if codec.startswith("utf-16") else 1
    if (
        len(head) % unit
        or not codec.startswith(("utf-16", "utf-32", "cp037", "cp500", "cp1140"))
        or not _is_prose(head.decode(codec, "replace"))
    ):
        raise Undecodable(f"is a binary file (it contains {'NUL bytes' if 0 in head else 'control characters'})")
    return Encoding(codec, f"read as {codec} (guessed)")


def _utf_16(data: bytes) -> str:
    """Return the UTF-16 without a mark that these bytes are; "" if they are not.

    Nearly all characters are ASCII and of one block of an alphabet, or are Chinese, Japanese and Korean.
    """
    best, most = "", 0.9
    for codec in ("utf-16-le", "utf-16-be") if len(data) % 2 == 0 else ():
        text = data.decode(codec, "replace")
        blocks = Counter(ord(c) >> 8 for c in text)
        alphabet = blocks.pop(0, 0) + max(blocks.values(), default=0)
        wide = sum("\u3000" <= c <= "\u30ff" or "\u4e00" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7a3" for c in text)
        wide += sum(c >= "\uff00" or c in "\r\n " for c in text) if any(c in _CONTENTS for c in text) else -len(text)
        share = (max(alphabet, wide) + sum(c in "\n \u3000\u3002" for c in text) / 10) / max(len(text), 1)
        if share > most and _is_prose(text):
            best, most = codec, share
    return best


def _is_prose(text: str) -> bool:
    """Return whether text whose encoding is a guess has words, and no control, unassigned or private characters.

    Numbers of two or four bytes are characters too, but they have no pauses, or are the same one over and over.
    """
    characters = text.removesuffix("\ufffd")  # cut within a character
    if "\ufffd" in characters or any(unicodedata.category(c) in _STRANGE and c not in _SPACING for c in characters):
        return False
    beyond = Counter(c for c in characters if c > "\x7f")
    if not beyond:
        return True
    often = max(beyond.values())
    pauses = sum(c.isspace() or c in _PAUSES for c in characters)
    return often <= max(len(characters) * _MOST_OFTEN, _FEW_WORDS) and pauses >= len(characters) // _LONGEST_WORDS


def is_without_controls(head: bytes, codec: str) -> bool:
    """Return whether the decoded beginning of a file has hardly any control characters."""
    text = head.decode(codec, "replace")
    return sum(unicodedata.category(c) == "Cc" and c not in _SPACING for c in text) <= len(text) * _MOST_STRANGE


def seven_bit(head: bytes) -> Encoding | None:
    """Return the encoding that has other characters in ASCII's bytes, None if this is ASCII."""
    guesses = _detect(head)
    codec = guesses[0][0] if guesses else ""
    return Encoding(codec, f"read as {codec} (guessed)", strict=False) if is_seven_bit(codec) else None


def declared(sample: bytes, head: bytes, tail: bytes) -> Encoding | None:
    """Return the encoding that a text declares: Python's and Emacs's coding, XML's, HTML's, Vim's and LaTeX's."""
    for part in (head, tail):
        for found in (*_INPUTENC.finditer(part), *_DECLARED.finditer(part)):
            codec = codec_of(found[1].decode())
            codec = _SUPERSETS.get(codec, codec) if codec else None
            if not codec or codec.startswith("utf"):  # it is none of them, or it had been read as such
                continue
            if _decodes(sample, codec) and _is_plausible(sample, codec):
                return Encoding(codec, f"read as {shown_name(codec)} (declared)", strict=False)
    return None


def guess(sample: bytes, head: bytes) -> Encoding:
    """Return the encoding that chardet finds for lines that are not ASCII; Undecodable if it is uncertain."""
    guesses = _detect(sample)
    while guesses and not _is_plausible(sample, guesses[0][0]):
        del guesses[0]
    wide = "" if guesses else _utf_16(head)
    if wide:
        return Encoding(wide, f"read as {wide} (guessed)")
    codec, confidence = guesses[0] if guesses else ("", 0.0)
    beyond = len(sample) - len(sample.decode("ascii", "ignore"))
    if confidence < _SURE and beyond <= len(sample) * _FEW and _is_western(sample):
        return Encoding("cp1252", "read as windows-1252 (guessed)", strict=False)
    if not guesses:
        raise Undecodable(f"is a binary file, or text in an unknown encoding{_REMEDY}")
    rival = _rival(sample, guesses, beyond)
    if confidence < _SURE or rival:
        names = " or ".join(shown_name(name) for name in (codec, rival) if name)
        raise Undecodable(f"is not UTF-8 but perhaps {names}{_REMEDY}")
    codec = _SUPERSETS[codec] if codec in _SUPERSETS and _decodes(sample, _SUPERSETS[codec]) else codec
    return Encoding(codec, f"read as {shown_name(codec)} (guessed)", strict=False)


def _rival(sample: bytes, guesses: Sequence[tuple[str, float]], beyond: int) -> str:
    """Return an encoding that is as likely as the best but gives other letters; "" if there is none."""
    (best, confidence), *others = guesses
    text = _folded(sample.decode(best, "replace"))
    for codec, likely in others:
        if likely < confidence * (1 - _TIE):
            break
        other = _folded(sample.decode(codec, "replace"))
        if sum(a != b for a, b in zip(text, other, strict=False)) > beyond / 10 and _is_plausible(sample, codec):
            return codec
    return ""


def _detect(sample: bytes) -> list[tuple[str, float]]:
    """Return chardet's guesses, the best first, with their confidences."""
    import chardet

    found = chardet.detect_all(sample, ignore_threshold=True, compat_names=False)
    return [(guess["encoding"], guess["confidence"]) for guess in found if guess["encoding"]]


def _decodes(sample: bytes, codec: str) -> bool:
    try:
        sample.decode(codec)
    except UnicodeDecodeError as error:
        return error.end >= len(sample) - 4  # cut within a character
    return True


def _is_plausible(sample: bytes, codec: str) -> bool:
    """Return whether the decoded sample has hardly any control, unassigned or private characters."""
    text = sample.decode(codec, "replace")
    beyond = [c for c in text if not " " <= c <= "~"]
    strange = sum(unicodedata.category(c) in _STRANGE and c not in _SPACING for c in beyond)
    return strange <= len(text) * _MOST_STRANGE


def _is_western(sample: bytes) -> bool:
    """Return whether all bytes beyond ASCII are letters or marks of windows-1252."""
    return _decodes(sample, "cp1252") and _is_plausible(sample, "cp1252")


def _folded(text: str) -> str:
    """Return a text without accents, which searching ignores, with one character for each."""
    return "".join(unicodedata.normalize("NFKD", c)[0] for c in text)
