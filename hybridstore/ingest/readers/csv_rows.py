"""Rows of CSV as people write it: finds out separator, quotes and header, and keeps a stray quote from taking rows."""

from __future__ import annotations

import csv
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_NEVER = "\x1f"  # the separator of a table with one column
_SAMPLE, _SAMPLE_CHARACTERS = 1000, 1 << 18  # lines, from which a table's form is concluded
_ABOVE = 20  # rows in which a header is looked for, below titles and comments
_LONGEST_CELL = 10_000  # lines; a quote that is open for longer was never meant to be one
_LONGEST_ROW = 16 << 20  # characters
_SHORTEST = 20  # lines: less patience after each stray quote, so that a file of them takes linear time
_CONSISTENT = 0.6  # of the rows have as many cells as most
_LONGEST_NAME = 60  # characters of a column's name; a longer one is a text
_NAMES = frozenset("id _id title name text content body url uri date type label key value category description".split())  # noqa: SIM905
_VALUE = re.compile(
    r"[-+(]?[$€£¥]?\s?\d[\d.,:/\sT+%€$-]*Z?\)?$|https?://|[\w.+-]+@[\w-]+\.\w|(?:true|false|null|n/?a|none)$",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?:1[6-9]|20|21)\d\d$")
_BACKSLASH = re.compile(r'(?<!\\)((?:\\\\)*)\\"')
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+$")


@dataclass(slots=True)
class Table:
    """A table's column names, the rows below them, the text above them, and what was assumed (`notes`, when read)."""

    names: list[str]
    rows: Iterator[list[str]]
    above: str
    decimal_comma: bool
    notes: list[str]


@dataclass(slots=True)
class _Form:
    """How rows are written."""

    delimiter: str
    quote: str = '"'
    backslash: bool = False
    width: int = 1

    def reader(self, lines: Iterable[str], *, strict: bool = False, quoted: bool = True) -> Iterator[list[str]]:
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quote,
            skipinitialspace=True,
            strict=strict,
            quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        )


_NOTHING = " \t\r\n,;|\"'"  # a table of these alone is empty


def table_of(lines: Iterator[str], kind: str) -> Table | None:
    """Return the table that these lines are, None if they are blank; `kind` is csv or tsv."""
    head = _head(lines)
    notes = []
    named = re.fullmatch(r'\ufeff?"?sep=(.)"?\s*', head[0], re.IGNORECASE) if head else None
    if named:
        del head[0]
    if not any(line.strip(_NOTHING) for line in head):
        return None
    form = _form(head, named[1] if named else "\t" if kind == "tsv" and any("\t" in line for line in head) else "")
    sample = [row for row in _Rows(head, form) if any(map(str.strip, row))]
    if not sample:
        return None
    form.width = _width(sample)
    start = _header_row(sample, form.width)
    has_header = _is_header(sample[start], sample[start + 1 :])
    usual = "\t" if kind == "tsv" else ","
    if form.delimiter not in {usual, _NEVER}:
        notes.append(f"its cells are separated by {_SEPARATORS.get(form.delimiter, repr(form.delimiter))}")
    if form.quote != '"':
        notes.append(f"quoted by {form.quote}")
    decimal_comma = form.delimiter not in {",", _NEVER} and _has_decimal_commas(sample[start + 1 :])
    notes += ["numbers have decimal commas"] * decimal_comma
    if start:
        notes.append(
            "the line above the header is its title" if start == 1 else f"{start} lines above it are its title"
        )
    notes += ["it has no header, so that columns are numbered"] * (not has_header)
    rows = _Rows(chain(head, lines), form)
    header = sample[start] if has_header else [""] * form.width
    header[0] = re.sub(r"^#\s*", "", header[0]) or header[0]
    above = "; ".join(cell.strip(" #") for row in sample[:start] for cell in row if cell.strip(" #"))
    return Table(header, _below(rows, sample, start + has_header, notes), above, decimal_comma, notes)


def _below(rows: _Rows, sample: Sequence[Sequence[str]], skip: int, notes: list[str]) -> Iterator[list[str]]:
    """Yield the rows after so many that are not blank; note what was odd about them at the end."""
    header = sample[skip - 1] if skip else None
    uneven = repeated = 0
    number = 0
    for row in rows:
        if not any(map(str.strip, row)):
            continue
        number += 1
        if number <= skip:
            continue
        if row == header and len(row) > 1:
            repeated += 1
            continue
        uneven += len(row) != rows.form.width
        yield row
    notes += [f"{_count(uneven, 'row')} with more or fewer cells than the header"] * (uneven > 0)
    notes += [f"{_count(repeated, 'header')} repeated below left out"] * (repeated > 0)
    notes += [f"{_count(rows.broken, 'row')} with stray quotes (the first in line {rows.first})"] * (rows.broken > 0)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


@dataclass(slots=True)
class _Rows:
    """The rows of lines; a quote that is never closed, or in the wrong place, is a character of its own row."""

    lines: Iterable[str]
    form: _Form
    broken: int = 0
    first: int = 0
    patience: int = _LONGEST_CELL
    number: int = 0
    buffer: list[str] = field(default_factory=list)
    waiting: deque[str] = field(default_factory=deque)
    open_at_end: bool = False

    def __iter__(self) -> Iterator[list[str]]:
        source = iter(self.lines)
        reader = self.form.reader(self._fed(source), strict=True)
        while True:
            self.buffer.clear()
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:
                row = self._mended()
                reader = self.form.reader(self._fed(source), strict=True)
            yield row

    def _fed(self, source: Iterator[str]) -> Iterator[str]:
        """Yield lines until the row that began is too long to be one."""
        self.open_at_end = False
        size = 0
        while len(self.buffer) <= self.patience and size <= _LONGEST_ROW:
            line = self.waiting.popleft() if self.waiting else next(source, None)
            if line is None:
                break
            self.number += 1
            if self.form.backslash:
                line = _BACKSLASH.sub(r'\1""', line)
            size = size + len(line) if self.buffer else len(line)
            self.buffer.append(line)
            yield line
        self.open_at_end = True

    def _mended(self) -> list[str]:
        """Return the row that begins with the buffer's first line, and leave the lines after it for the next ones."""
        lines = [*self.buffer]
        self.broken += 1
        self.first = self.first or self.number - len(lines) + 1
        width = self.form.width
        alone = self.open_at_end or all(self._cells(line, width) for line in lines[:_SHORTEST])
        row, used = self._cells(lines[0], width) or next(self.form.reader(lines[:1], quoted=False)), 1
        if not alone:  # quotes within a cell of several lines
            whole = self.form.reader(lines)
            row = next(whole)
            used = whole.line_num  # type: ignore[attr-defined]
        if len(lines) > _SHORTEST:
            self.patience = max(_SHORTEST, self.patience // 2)
        self.waiting.extendleft(reversed(lines[used:]))
        self.number -= len(lines) - used
        return row

    def _cells(self, line: str, width: int) -> list[str]:
        """Return the cells of a line that is a row of its own, with its quotes or regardless of them; else none."""
        cells = next(self.form.reader([line], quoted=False), [])
        if len(cells) == width:
            quote = self.form.quote
            return [cell.strip().removeprefix(quote).removesuffix(quote) for cell in cells]
        cells = next(self.form.reader([line]), [])
        return cells if len(cells) == width else []


def _head(lines: Iterator[str]) -> list[str]:
    """Return the first lines, from the first that is not blank."""
    head: list[str] = []
    left = _SAMPLE_CHARACTERS
    for line in lines:
        if head or line.strip():
            head.append(line)
            left -= len(line)
        if left < 0 or len(head) >= _SAMPLE:
            break
    return head


def _form(head: Sequence[str], delimiter: str) -> _Form:
    """Return the form in which most rows have as many cells, at least two; a named separator is taken as it is.

    Without one, rows are divided as the first line can be; if it cannot, the table has one column.
    """
    if delimiter:
        return _quoted(head, delimiter)
    best, most = None, (_CONSISTENT, 0)
    first, longest = _Form(_NEVER), 1
    for form in (_quoted(head, separator) for separator in _SEPARATORS):
        rows = [row for row in _Rows(head, form) if any(map(str.strip, row))]
        if not rows:
            continue
        width = _width(rows)
        score = (sum(len(row) == width for row in rows) / len(rows), width)
        if width > 1 and score > most:
            best, most = form, score
        if len(rows[0]) > longest:
            first, longest = form, len(rows[0])
    return best or first


def _quoted(head: Sequence[str], delimiter: str) -> _Form:
    separator = re.escape(delimiter)
    text = "".join(head)
    backslash = re.search(rf'\\"(?!\s*(?:{separator}|$))', text, re.MULTILINE) is not None
    single = (
        0 if '"' in text else len(re.findall(rf"(?:^|{separator})\s?'[^'\n]*'\s?(?={separator}|$)", text, re.MULTILINE))
    )
    return _Form(delimiter, "'" if single >= len(head) / 2 else '"', backslash)


def _width(sample: Sequence[Sequence[str]]) -> int:
    (width, _), *_ = Counter(map(len, sample)).most_common(1)
    return width


def _header_row(sample: Sequence[Sequence[str]], width: int) -> int:
    """Return the index of the first row that is as wide as most and at least half filled; 0 if there is none."""
    for index, row in enumerate(sample[:_ABOVE]):
        filled = sum(bool(cell.strip()) for cell in row)
        if len(row) == width and filled * 2 >= width and (width > 1 or not row[0].startswith("#")):
            return index
    return 0


def _is_header(first: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Return whether a row has the names of columns, rather than values like those below it."""
    cells = [cell.strip() for cell in first]
    if any(cell.lower() in _NAMES for cell in cells):
        return True
    if any(len(cell) > _LONGEST_NAME or "\n" in cell for cell in cells):
        return False
    values = [cell for cell in cells if _VALUE.match(cell)]
    years = [cell for cell in values if _YEAR.match(cell)]
    if values and not (len(years) == len(values) > 1 and len(values) < len(cells) and years == sorted(set(years))):
        return False
    others = [row for row in body if row != first]
    return not any(
        cell and any(len(row) > index and row[index].strip() == cell for row in others)
        for index, cell in enumerate(cells)
    )


def _has_decimal_commas(body: Sequence[Sequence[str]]) -> bool:
    cells = [cell.strip() for row in body for cell in row]
    return any(map(_DECIMAL_COMMA.match, cells)) and not any(re.match(r"-?\d+\.\d+$", cell) for cell in cells)
