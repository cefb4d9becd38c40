"""Further forms of words: what else somebody may type who looks for `e-mail`, `OAuth2Token`, `1,000,000` or `10 kg`.

Equal forms of the same thing: `e-mail` and `email`, `foo_bar` and `fooBar`, `ABC-1234` and `ABC1234`, `U.S.A.` and
`USA`. Separators that tell things apart stay: in versions, addresses and ranges (`1.2.3`, `192.168.0.1`, `10-20`).
"""

from __future__ import annotations

import re

# Signs that join the words of one raw token; the wide forms are Chinese and Japanese keyboards'.
JOIN = r"(?:[-_./\\:@+#&‐‑‒–−－＿．／＠＋＃＆]{1,3}|['’‘´`ʼ′״׳＇]|(?<=\d)[,，](?=\d{3}(?!\d)))"

_BETWEEN = r"(?<=[^-_.'/\\:@+#&])"
# A hyphen between digits may be a range, a dot near a digit a version.
_SEPARATOR = re.compile(
    rf"{_BETWEEN}(?:(?<!\d)[-_']{{1,3}}(?=[^-_.'/\\:@+#&])|[-_']{{1,3}}(?=[^-_.'/\\:@+#&\d])"
    r"|(?<!\d)\.(?=[^-_.'/\\:@+#&\d]))"
)
_SIMPLY_JOINED = re.compile("[a-z]+(?:[-_.'][a-z]+)+")  # most of them; only separators to take out
_SEPARATORS = str.maketrans("", "", "-_.'")
_GROUPED = re.compile(r"(\d{1,3}(?:,\d{3})+|\d{1,3}(?:['_]\d{3})+|\d{1,3}(?:\.\d{3}){2,}|\d{1,3}\.000)([.,]\d{1,2})?")
_NUMBERED = re.compile(r"\d+(?:[-.]\d+)+(?:-x)?")
_TELEPHONE = re.compile(r"\d{3}\.\d{3}\.\d{4}")
_NOT_WORD = re.compile(r"[\W_]+")
_LEAST_DIGITS, _MOST_DIGITS = 7, 19  # of one number written in groups; shorter ones are ranges and dates without days

_UNITS = """
kg g mg µg μg lb lbs oz t km m cm mm µm μm nm mi ft yd l ml dl cl gal b kb mb gb tb pb kib mib gib tib kbit mbit gbit
kbps mbps gbps hz khz mhz ghz thz v mv kv w kw mw gw kwh mwh mah ms s µs μs ns min h hr hrs px em rem dpi fps rpm mph
kmh pa kpa mpa psi bar kcal cal j kj mj mol mmol eur usd gbp chf k °c °f ppm ppb db
"""
UNITS = frozenset(_UNITS.split())
_QUANTITY = re.compile(r"(\d+(?:[.,]\d+)?)([a-zµμ°]{1,4})")

# What numbers written in several pieces consist of.
_PART_OF_NUMBER = re.compile(
    r"\((?:\d{3}|0\d{1,4})\)|[+$€£¥]{0,2}\d[\d.,'’_/-]*|[A-Z]{2,5}|(?=[A-Z]*\d)[A-Z0-9]{2,4}|[µμ°][a-zA-Z]{1,2}"
)
_DIGIT_GROUPS = re.compile(r"(?<!\S)\d{1,15}(?: \d{1,15})+(?!\S)")
_THOUSANDS = re.compile(r"\d{1,3}(?: \d{3})+")
_ACCOUNT = re.compile(r"(?<!\S)[a-z]{2}\d{2}(?: [a-z0-9]{4}){2,7}(?: [a-z0-9]{1,3})?(?!\S)")
_LEAST_ACCOUNT = 14  # characters, with spaces
_CODE_AND_NUMBER = re.compile(r"(?<!\S)([a-z]{2,5}) (?=(\d{2,})(?!\S))")
_NUMBER_AND_UNIT = re.compile(r"(?<!\S)(\d+) ([^\W\d]+|°[a-z])(?!\S)")
_MOST_GROUPS = 8  # more are the row of a table
# A piece that may go on in the next one, as a number does, ends with STX: a number before a number or a unit, or a code
# before a number; and all the words of such a run.
NEIGHBOURS = re.compile("\2(?: \\d|(?<=\\d\2) [^ \2]{1,4}\2)")
_RUN = re.compile("(?:(?:[^ \2]+\2|\\d+)(?: |$)){2,14}")
_RUN_BEFORE = re.compile("(?:\\d+ ){0,4}[^ \2]+$")

# Contractions that would be other words.
CONTRACTIONS = frozenset(["i'll", "i'd", "he'll", "he'd", "she'll", "she'd", "we'll", "we'd", "we're"])

_HUMP_AND_DIGITS = re.compile(r"([^\W\d_]+)\d+")


def whole_form(joined: str) -> str:
    """Return the one form of a folded token that contains separators."""
    if _SIMPLY_JOINED.fullmatch(joined):
        return joined.translate(_SEPARATORS)
    if joined[0].isdigit():
        grouped = _GROUPED.fullmatch(joined)
        if grouped:
            return _NOT_WORD.sub("", grouped[1]) + (grouped[2] or "").replace(",", ".")
        if _NUMBERED.fullmatch(joined):
            digits = _NOT_WORD.sub("", joined)
            if _TELEPHONE.fullmatch(joined) or ("." not in joined and _LEAST_DIGITS <= len(digits) <= _MOST_DIGITS):
                return digits
    return _SEPARATOR.sub("", joined)


def quantity(word: str) -> tuple[str, ...]:
    """Return the number and the unit of a folded word like `10kg`; () for any other word."""
    match = _QUANTITY.fullmatch(word)
    return (match[1], match[2]) if match and match[2] in UNITS else ()


def hump_forms(part: str, humps: list[str]) -> list[str]:
    """Return the words of a camel-case name: OAuth2Token gives oauth2, oauth, token; acronyms may have two letters."""
    forms: list[str] = []
    for number, hump in enumerate(humps):
        named = [hump] if len(hump) > 2 or (len(hump) == 2 and hump.isupper()) else []
        if number and len(humps[number - 1]) == 1 and len(hump) > 2:
            named.append(humps[number - 1] + hump)  # OAuth, iPhone, eBay
        for name in named:
            forms.append(name)
            match = _HUMP_AND_DIGITS.fullmatch(name)
            if match and len(match[1]) > 2:
                forms.append(match[1])
    whole = _HUMP_AND_DIGITS.fullmatch(part)
    if whole:
        forms.append(whole[1])
    return forms


def part_of_number(piece: str) -> bool:
    """Return whether a piece of text may be a part of a number or a code that goes on in the next."""
    return _PART_OF_NUMBER.fullmatch(piece) is not None


def _joined_numbers(words: str) -> list[str]:
    """Return the forms without spaces of the numbers, codes and quantities in some neighbouring words."""
    forms = [match[0].replace(" ", "") for match in _ACCOUNT.finditer(words)] if len(words) >= _LEAST_ACCOUNT else []
    for match in _DIGIT_GROUPS.finditer(words):
        groups = match[0].split(" ")
        if _THOUSANDS.fullmatch(match[0]) or (
            len(groups) <= _MOST_GROUPS and _LEAST_DIGITS <= sum(map(len, groups)) <= _MOST_DIGITS
        ):
            forms.append("".join(groups))
    forms += [match[1] + match[2] for match in _CODE_AND_NUMBER.finditer(words) if match[1] not in UNITS]
    forms += [match[1] + match[2] for match in _NUMBER_AND_UNIT.finditer(words) if match[2] in UNITS]
    return forms


def numbers_across(tokens: str) -> list[str]:
    """Return the forms without spaces of the numbers that stand in several pieces, from marked words."""
    forms: list[str] = []
    at = 0
    for match in NEIGHBOURS.finditer(tokens):
        if match.start() < at:
            continue
        start = tokens.rfind(" ", at, match.start()) + 1 or at
        first = start
        while first > at and tokens[first - 2].isdigit() and first > match.start() - 200:
            first = tokens.rfind(" ", at, first - 1) + 1 or at
        if first < start and (before := _RUN_BEFORE.search(tokens, first, match.start())):
            start = before.start()
        run = _RUN.match(tokens, start)
        if run:
            forms += _joined_numbers(run[0].replace("\2", "").strip())
            at = run.end()
    return forms
