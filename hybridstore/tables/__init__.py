"""Rows as Arrow tables, which other programs take without copying, and tables of other programs as documents."""

from hybridstore.tables.columns import COLUMNS_OF_DOCUMENTS, Column
from hybridstore.tables.reading import Page, documents_from, is_table, pages_from
from hybridstore.tables.writing import Tabular, reader

__all__ = [
    "COLUMNS_OF_DOCUMENTS",
    "Column",
    "Page",
    "Tabular",
    "documents_from",
    "is_table",
    "pages_from",
    "reader",
]
