"""Rows as Arrow tables, which other programs take without copying, and tables of other programs as documents."""

from hybridstore.tables.table_columns import COLUMNS_OF_DOCUMENTS, Column
from hybridstore.tables.table_reading import TablePage, documents_from, is_table, pages_from
from hybridstore.tables.table_writing import Tabular, reader

__all__ = [
    "COLUMNS_OF_DOCUMENTS",
    "Column",
    "TablePage",
    "Tabular",
    "documents_from",
    "is_table",
    "pages_from",
    "reader",
]
