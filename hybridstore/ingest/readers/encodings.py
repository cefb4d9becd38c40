"""Encodings: how a file's bytes are decoded: by a mark, because they are UTF-8, as declared, or by a guess."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable

from hybridstore.errors import InputError
from hybridstore.ingest.readers import encoding_guesses as guesses
from hybridstore.ingest.readers.encoding_guesses import Encoding, Undecodable

# Longest first: the UTF-32 mark begins with the UTF-16 one.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The first bytes of binary formats, only those that no text begins with.
_SIGNATURES = re.compile(
    rb"""PK(?:\x03\x04|\x05\x06|\x07\x08) | \x1f\x8b\x08 | \xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 | \x89(?:PNG|HDF)\r\n\x1a\n
    | \xff\xd8\xff | GIF8[79]a | RIFF.{4}(?:WAVE|AVI\ |WEBP) | 7z\xbc\xaf\x27\x1c | Rar!\x1a\x07 | \xfd7zXZ\x00
    | \x28\xb5\x2f\xfd | BZh[1-9]1AY&SY | \x7fELF | \xfe\xed\xfa[\xce\xcf] | [\xce\xcf]\xfa\xed\xfe | \xca\xfe\xba\xbe
    | \x00asm | SQLite\ format\ 3\x00 | OggS\x00 | ID3[\x02-\x04]\x00 | .{4}ftyp[\x20-\x7e]{4}\x00 | \x93NUMPY
    | wOF[F2]\x00""",
    re.VERBOSE | re.DOTALL,
)
_SAMPLE = 1 << 15  # bytes of lines with letters beyond ASCII: chardet 7 is as good on 1 kB as on 10 kB
_HEAD = 1 << 12  # bytes at the start and at the end in which a declaration is looked for
_SEVEN_BIT = re.compile(rb"\x1b[$(]|~\{|\+[A-Za-z0-9/]{2,}-")  # ISO-2022, HZ, UTF-7
_CONTROLS = bytes(code for code in range(32) if chr(code) not in "\t\n\v\f\r\b\x1a\x1b") + b"\x7f"
_MOST_CONTROLS = 0.1  # of a text's bytes; none in nearly all texts, 13 % of compressed data
_MOST_NULS = 0.01  # a stray NUL in a text, rather than a binary format


def encoding_of(blocks: Iterable[bytes], named: str | None = None) -> Encoding:
    """Return how these blocks of a file are decoded; `named` is the encoding of files that are not UTF-8.

    In this order: a byte order mark; UTF-8, if all bytes are valid; `named`; UTF-8 with some invalid bytes; what the
    text declares in its head or its modeline, if its bytes are valid in it; chardet's guess from the lines that are not
    ASCII. Raises Undecodable for no bytes, binary data, and a text whose encoding is uncertain.
    """
    scan = _Scan()
    for number, block in enumerate(blocks):
        mark = "" if number else _mark(block)
        if mark:
            return Encoding(mark)
        scan.add(block)
        if not number and scan.is_wide():
            return guesses.wide(scan.head[:_HEAD], named)
    if not scan.head:
        raise Undecodable("is empty")
    scan.end()
    if not scan.invalid:
        return _valid(scan, named)
    if named:
        return guesses.named(scan.head[:_HEAD], named)
    if scan.characters >= scan.invalid:
        what = "a byte" if scan.invalid == 1 else f"{scan.invalid:,} bytes"
        return Encoding("utf-8", f"is UTF-8 but for {what}, read as U+FFFD", strict=False)
    sample = bytes(scan.sample)
    return guesses.declared(sample, scan.head[:_HEAD], scan.tail) or guesses.guess(sample, scan.head[:_HEAD])


def _valid(scan: _Scan, named: str | None) -> Encoding:
    """Return UTF-8, or the encoding of other characters in ASCII's bytes."""
    if scan.seven_bit and not scan.characters:
        by_name = named and guesses.is_seven_bit(named)
        other = Encoding(str(named)) if by_name else guesses.seven_bit(scan.head[:_SAMPLE])
        if other:
            return other
    return Encoding("utf-8", _nuls(scan.nuls))


def _nuls(number: int) -> str:
    if not number:
        return ""
    return "has a NUL character, read as a space" if number == 1 else f"has {number:,} NUL characters, read as spaces"


def _mark(block: bytes) -> str:
    """Return the encoding whose mark a file begins with, "" if it has none; Undecodable for binary data."""
    if _SIGNATURES.match(block):
        raise Undecodable("is a binary file (by its first bytes)")
    mark = next((name for mark, name in _MARKS if block.startswith(mark)), "")
    if mark and not guesses.is_without_controls(block[:_HEAD], mark):
        raise Undecodable("is a binary file (it contains control characters)")
    return mark


def decoded(data: bytes) -> str:
    """Return a part of a file as text, whatever it is: windows-1252 with U+FFFD if nothing better is certain."""
    try:
        encoding = encoding_of([data] if data else [])
    except Undecodable:
        encoding = Encoding("cp1252")
    return data.decode(encoding.name, "replace")


def checked_encoding(name: str) -> str:
    """Return the codec of an encoding's name, as Python, IANA or the web write it; InputError if there is none."""
    codec = guesses.codec_of(name)
    if codec is None:
        raise InputError(f"there is no encoding {name!r}; use a name such as windows-1251, shift_jis or gb18030")
    return codec


def is_binary(head: bytes) -> bool:
    """Return whether a file that begins with these bytes is not text in any encoding."""
    scan = _Scan()
    try:
        if _mark(head):
            return False
        scan.add(head)
        return scan.is_wide() and not guesses.wide(head[:_HEAD])
    except Undecodable:
        return True


class _Scan:
    """What one pass over a file's bytes finds: whether they are UTF-8, and lines to guess another encoding from."""

    def __init__(self) -> None:
        self.head = self.tail = b""
        self.sample = bytearray()
        self.invalid = self.characters = self.nuls = self.controls = 0
        self.seven_bit = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = False

    def add(self, block: bytes) -> None:
        self._check(block)
        first, self.head = not self.head, self.head or block
        self.tail = block[-_HEAD:]
        self.seven_bit = self.seven_bit or (
            _SEVEN_BIT.search(block) is not None if first else b"\x1b$" in block or b"~{" in block
        )
        if block.isascii() and not self._pending:
            return
        self._count(self._decoder.decode(block), block)
        self._pending = bool(self._decoder.getstate()[0])
        if (self.invalid or self._pending) and len(self.sample) < _SAMPLE:
            for line in block.split(b"\n"):
                if not line.isascii() and len(self.sample) < _SAMPLE:
                    self.sample += line[:_SAMPLE] + b"\n"

    def end(self) -> None:
        self._count(self._decoder.decode(b"", final=True), b"")

    def is_wide(self) -> bool:
        """Return whether the first block has the NULs and controls of UTF-16, UTF-32 and EBCDIC, or is binary."""
        return self.controls > 0 or self.nuls > len(self.head) * _MOST_NULS

    def _check(self, block: bytes) -> None:
        nuls = block.count(0)
        self.nuls += nuls
        if nuls > len(block) * _MOST_NULS:
            if self.head:
                raise Undecodable("is a binary file (it contains NUL bytes)")
            return
        controls = len(block) - len(block.translate(None, _CONTROLS))
        if controls > max(1, len(block) * _MOST_CONTROLS) and not (block.isascii() and _SEVEN_BIT.search(block)):
            self.controls += controls
            if self.head:
                raise Undecodable("is a binary file (it contains control characters)")

    def _count(self, text: str, block: bytes) -> None:
        invalid = text.count("\ufffd") - block.count(b"\xef\xbf\xbd")
        self.invalid += max(invalid, 0)
        self.characters += len(text) - len(text.encode("ascii", "ignore")) - max(invalid, 0)


__all__ = ["Encoding", "Undecodable", "checked_encoding", "decoded", "encoding_of", "is_binary"]
