"""Titles in a file's properties: those that programs make up are cleaned or ignored."""

from __future__ import annotations

import re

_PROGRAM = re.compile(r"^microsoft (?:office )?(?:word|powerpoint|excel|publisher|visio|outlook)\s*-\s*", re.IGNORECASE)
_FILE_NAME = re.compile(
    r"\.(?:docx?|docm|dotx?|rtf|odt|ods|odp|pptx?|xlsx?|pdf|tex|dvi|e?ps|indd|qxp|qxd|pages|key|txt|html?|wpd|pub|ai|"
    r"tiff?|jpe?g|png|md)$",
    re.IGNORECASE,
)
_MADE_UP = re.compile(
    r"(?:untitled|unbenannt|sans titre|sin título|no title|title|document|doc|dokument|presentation|powerpoint "
    r"presentation|powerpoint-präsentation|présentation powerpoint|slide|folie|word document|template|scan|"
    r"scanned document|print|book|article|workbook|spreadsheet)[\s_-]*\d*",
    re.IGNORECASE,
)


def clean_title(title: str | None) -> str:
    """Return a title on one line without the name of the program that wrote it; "" if it says nothing.

    Nothing say file names ("draft_v3.docx"), "Untitled", "Document1", addresses and bare numbers.
    """
    words = _PROGRAM.sub("", " ".join((title or "").replace("\0", "").split()))
    if not any(map(str.isalpha, words)) or _FILE_NAME.search(words) or _MADE_UP.fullmatch(words):
        return ""
    return "" if re.match(r"(?:https?|file):|[A-Za-z]:\\|/\w+/", words) else words
