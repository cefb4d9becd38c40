r"""What a search is restricted to: a tree of typed comparisons, built, parsed and matched in memory.

    {"year": {"$gte": 2020}, "lang": "en"}                the mapping form
    (field("year") >= 2020) & (field("lang") == "en")     the built form
    year>=2020                                            the command line's form of one comparison

A comparison holds only between values of one type: numbers with numbers (1 equals 1.0), text with text (by code
point), booleans with booleans (True is not 1), null with an explicit null. Another type, or no such field, is
no match and no error; `$ne`, `$nin` and `$not` are plain negations, so they keep what lacks the field.

Dots nest ("author.name"); @id, @title and @uri are the document's own. `\.`, `\@`, `\$` and `\\` put that sign
into a name. A stored integer beyond int64 is compared as a float, which is how SQLite reads it.
"""

from hybridstore.filters.everything import passes_all
from hybridstore.filters.matching import matches, matching
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
    kind_of,
    place_of,
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
    "from_text",
    "kind_of",
    "matches",
    "matching",
    "parse",
    "passes_all",
    "place_of",
    "to_dict",
    "value_from_text",
]
