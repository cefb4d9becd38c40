"""The languages of a benchmark's task to the one language of a store's keyword index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hybridstore.text.analysis import LANGUAGES

# Snowball's names with the ISO 639-3 codes that MTEB uses. Which of them there are depends on PyStemmer's version.
_CODES = """
    arabic:ara,arb armenian:hye basque:eus catalan:cat czech:ces danish:dan dutch:nld english:eng esperanto:epo
    estonian:est,ekk finnish:fin french:fra german:deu greek:ell hindi:hin hungarian:hun indonesian:ind irish:gle
    italian:ita lithuanian:lit nepali:nep,npi norwegian:nor,nob,nno persian:fas,pes polish:pol portuguese:por
    romanian:ron russian:rus serbian:srp sesotho:sot spanish:spa swedish:swe tamil:tam turkish:tur yiddish:yid,ydd
"""
_STEMMED = {code: name for name, _, codes in (e.partition(":") for e in _CODES.split()) for code in codes.split(",")}


def language_of(languages: Sequence[str] | Mapping[str, Sequence[str]], subset: str = "default") -> str:
    """Give what `open` takes as `language` for a task in these languages, each as in "deu-Latn".

    They are ISO 639-3 codes with ISO 15924 scripts, for the whole task or by subset; an unknown subset has none. Words
    in Cyrillic, Greek, Arabic, Devanagari and Tamil script are stemmed as their script wants in any store that stems,
    and scripts without spaces not at all, so the languages written in Latin decide where there are some. A single one
    that Snowball knows is taken; else Latin script gets "none", and other scripts "english", which only touches the
    English words among them.
    """
    codes = languages.get(subset, ()) if isinstance(languages, Mapping) else languages
    latin = [code for code in codes if code.endswith("-Latn")]
    otherwise = "none" if latin else "english"
    stemmed = {_STEMMED.get(code.partition("-")[0], otherwise) for code in latin or codes}
    only = stemmed.pop() if len(stemmed) == 1 else otherwise
    return only if only in LANGUAGES else otherwise
