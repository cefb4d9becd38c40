"""The spreadsheet reader (xlsx, xlsm, xlsb, xls, ods): a document for each row of a table, else for a sheet."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from hybridstore.errors import MissingExtra
from hybridstore.ingest.readers.archives import check_members_not_encrypted, check_not_encrypted, most_unpacked, words
from hybridstore.ingest.readers.csv_json import column_names, record_documents
from hybridstore.ingest.readers.origin import Origin, Unreadable, errors_as_unreadable, too_large
from hybridstore.records import Document

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HEADER_ROWS = 20  # titles and blank rows that may stand above a table


def read_spreadsheet(origin: Origin, kind: str) -> Iterator[Document]:
    """Yield a document for each row below a header, as of a CSV file, else one for the whole sheet.

    The id of a row is the path, "#", the sheet, "!" and the row's number. Formulas are read as the values they had when
    the file was saved. Metadata have the sheet's name and the row's number. A header is the first row of at least two
    texts, all different, with a row below; rows above it become the title.
    """
    try:
        import python_calamine
    except ImportError as error:
        raise MissingExtra("files", "reading spreadsheets", "python-calamine") from error
    data = origin.data()
    check_not_encrypted(origin, data)
    with errors_as_unreadable(origin, "spreadsheet"):
        _check_container(origin, data)
        try:
            workbook = python_calamine.load_workbook(io.BytesIO(data))
        except python_calamine.PasswordError as error:
            raise Unreadable(origin.name, "is encrypted; save a copy without a password") from error
        empty = True
        for sheet in workbook.sheet_names:
            rows = _numbered_rows(workbook.get_sheet_by_name(sheet))
            for document in _sheet(origin, kind, sheet, rows):
                empty = False
                yield document
    if empty:
        raise Unreadable(origin.name, "contains no text")


def _check_container(origin: Origin, data: bytes) -> None:
    if not data.startswith(b"PK"):
        return
    with zipfile.ZipFile(io.BytesIO(data)) as members:
        # A sheet of a million rows of ten columns is 400 MB of XML.
        if sum(member.file_size for member in members.infolist()) > most_unpacked(origin):
            raise too_large(origin.name, most_unpacked(origin))
        _check_not_encrypted(origin, members)  # before all else: what is encrypted is neither XML nor readable
        if damaged := members.testzip():  # also one that unpacks to more than it says
            raise Unreadable(origin.name, f"is damaged ({damaged} does not match its checksum)")
        for name in members.namelist():
            _check_well_formed(origin, members, name)


def _check_not_encrypted(origin: Origin, members: zipfile.ZipFile) -> None:
    check_members_not_encrypted(origin, members)
    manifest = "META-INF/manifest.xml"  # of OpenDocument
    if manifest in members.namelist() and b"encryption-data" in members.read(manifest):
        raise Unreadable(origin.name, "is encrypted; save a copy without a password")


def _check_well_formed(origin: Origin, members: zipfile.ZipFile, name: str) -> None:
    """Raise Unreadable for a part whose elements do not end: calamine would search for their ends for ever."""
    with members.open(name) as stream:
        binary = b"\0" in stream.read(512) and not name.endswith((".xml", ".rels"))
        if binary or name.endswith(("/", "mimetype")):
            return
        stream.seek(0)
        try:
            expat.ParserCreate().ParseFile(stream)
        except expat.ExpatError as error:
            raise Unreadable(origin.name, f"is damaged ({name} is not well-formed XML: {error})") from error


def _numbered_rows(sheet: Any) -> list[tuple[int, list[Any]]]:
    """Return the rows that are not blank, with their numbers as the program shows them."""
    first = (sheet.start or (0, 0))[0] + 1
    rows = enumerate(sheet.to_python(skip_empty_area=True), start=first)
    return [(number, row) for number, row in rows if any(str(cell).strip() for cell in row)]


def _sheet(origin: Origin, kind: str, sheet: str, rows: list[tuple[int, list[Any]]]) -> Iterator[Document]:
    header = next((index for index in range(min(len(rows) - 1, _HEADER_ROWS)) if _is_header(rows[index][1])), None)
    if header is None:
        lines = [f"| {' | '.join(words(_text(cell)) for cell in row)} |" for _, row in rows]
        if lines:
            yield Document(
                text="\n".join(lines),
                id=f"{origin.name}#{sheet}",
                uri=origin.name,
                title=f"{origin.stem}: {sheet}",
                metadata={"path": origin.name, "type": kind, "sheet": sheet},
                format="markdown",
            )
        return
    above = "; ".join(words(_text(cell)) for _, row in rows[:header] for cell in row if _text(cell).strip())
    names = column_names([_text(cell) for cell in rows[header][1]])
    for number, row in rows[header + 1 :]:
        record = {name: _value(cell) for name, cell in zip(names, row, strict=False) if _text(cell).strip()}
        place = f"{sheet}!{number}"
        for document in record_documents(record, origin, kind, str(number), place=place):
            metadata = {**document.metadata, "sheet": sheet, "row": number}
            title = document.title or (f"{above} ({sheet})" if above else f"{origin.stem}: {sheet}")
            yield Document(text=document.text, id=document.id, uri=document.uri, title=title, metadata=metadata)


def _is_header(row: Sequence[Any]) -> bool:
    """Return whether a row names columns: at least two cells, all of them text and different."""
    cells = [cell for cell in row if _text(cell).strip()]
    texts = [cell.strip().lower() for cell in cells if isinstance(cell, str)]
    return len(cells) >= 2 and len(texts) == len(cells) == len(set(texts)) and max(map(len, texts)) <= 80


def _value(cell: Any) -> Any:
    """Return a cell as JSON has it: whole numbers without a fraction, dates in ISO 8601."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1 << 53:
        return int(cell)
    if isinstance(cell, dt.datetime) and cell.time() == dt.time():
        return cell.date().isoformat()
    if isinstance(cell, dt.date | dt.time):
        return cell.isoformat()
    return str(cell) if isinstance(cell, dt.timedelta) else cell


def _text(cell: Any) -> str:
    return str(_value(cell))
