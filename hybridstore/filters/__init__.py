r"""Filters: conditions on documents, as a tree of typed comparisons that can be built, parsed, and applied in memory.

    {"year": {"$gte": 2020}, "lang": "en"}                a mapping
    (field("year") >= 2020) & (field("lang") == "en")     built in Python
    year>=2020                                            one comparison on the command line

Only values of the same type match: numbers with numbers (1 equals 1.0), text with text (by code point), booleans with
booleans (True is not 1), null with an explicit null. A value of another type, or a missing field, does not match and is
not an error; `$ne`, `$nin` and `$not` are plain negations, so they keep documents that lack the field. A list matches
where one of its elements does. A date or time (an ISO 8601 text from a day on, or an object of Python) is compared as
an instant, and with dates only.

Dots separate nested keys ("author.name"); where there is no such value, neighbouring keys may be one with a dot.
"$.author.name" is the nested value only. @id, @title and @uri are the document's own fields. `\.`, `\@`, `\$` and `\\`
stand for that character in a name. Stored integers beyond int64 are compared as floats, which is how SQLite reads them.
"""

from hybridstore.filters.matching import matches, passes_all, predicate
from hybridstore.filters.parsing import MAX_CONDITIONS, MAX_LEVELS, from_text, parse, to_dict, value_from_text
from hybridstore.filters.tree import (
    OPERATORS,
    OWN_FIELDS,
    And,
    Comparison,
    Field,
    Filter,
    Not,
    Or,
    field,
    field_path,
    kind_of,
)

__all__ = [
    "MAX_CONDITIONS",
    "MAX_LEVELS",
    "OPERATORS",
    "OWN_FIELDS",
    "And",
    "Comparison",
    "Field",
    "Filter",
    "Not",
    "Or",
    "field",
    "field_path",
    "from_text",
    "kind_of",
    "matches",
    "parse",
    "passes_all",
    "predicate",
    "to_dict",
    "value_from_text",
]
