"""Arrow tables: results as tables that other programs read without copying, and other programs' tables as documents."""

from hybridstore.tables.table_reading import TablePage, documents_from, is_table, pages_from
from hybridstore.tables.table_writing import DOCUMENT_COLUMNS, Column, Tabular, reader, to_plain

__all__ = [
    "DOCUMENT_COLUMNS",
    "Column",
    "TablePage",
    "Tabular",
    "documents_from",
    "is_table",
    "pages_from",
    "reader",
    "to_plain",
]
