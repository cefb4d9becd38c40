"""Further forms of words: what else somebody may type who looks for `e-mail`, `OAuth2Token`, `1,000,000` or `10 kg`.

Equal forms of the same thing: `e-mail` and `email`, `foo_bar` and `fooBar`, `ABC-1234` and `ABC1234`, `U.S.A.` and
`USA`. Separators that tell things apart stay: in versions, addresses and ranges (`1.2.3`, `192.168.0.1`, `10-20`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hybridstore.text.normalisation import folded

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

# A piece of text that may be a part of a number or a code, or a unit, is marked by STX behind its words if the next
# piece may go on with it. Only a text with such neighbours is looked through for numbers in several pieces.
_PART_OF_NUMBER = re.compile(
    r"\((?:\d{3}|0\d{1,4})\)|[+$€£¥]{0,2}\d[\d.,'’_/-]*|[A-Z]{2,5}|(?=[A-Z]*\d)[A-Z0-9]{2,4}|[µμ°][a-zA-Z]{1,2}"
)
NEIGHBOURS = re.compile("\2(?: \\d|(?<=\\d\2) [^ \2]{1,4}\2)")

_UNIT = r"(?:[^\W\d_]{1,5}|°[CFcf]?)"
_END = r"(?=[.,;:!?)\]}\"'%]*(?:\s|\Z)|[:/–-])"
# The space before a further group of digits, before a unit, or behind a code.
_JOINT = re.compile(
    rf" (?:(?=\d)(?:(?<=\d )|(?=\d\d)(?<=[A-Z]{{2}} )|(?<=\d\) ))|(?<=\d )(?:(?=\(\d)|(?={_UNIT}{_END})"
    r"|(?<=[A-Z]{2}\d\d )(?=[A-Z0-9]{4}\s)))"
)
_BEFORE = re.compile(r"\S{1,20}\Z")
_GROUPS = r"\d{1,15}\)?(?: \(?\d{1,15}\)?){0,24}"
_NUMBER = re.compile(
    rf"(?:([A-Z]{{2,5}}) )?([+$€£¥(]{{0,2}})({_GROUPS})((?:[.,]\d{{1,3}}){{0,4}})(?: ({_UNIT}))?{_END}"
)
_ACCOUNT = re.compile(r"[A-Z]{2}\d{2}(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?(?!\w)")
_SPACES = "\u00a0\u2007\u2009\u202f"
_GROUP = re.compile(r"\d+")
_YEAR = re.compile(r"(?:1[5-9]|20)\d\d")
_ISBN = {(10, 4), (13, 5)}  # digits and groups
_MOST_TELEPHONE = 15  # digits, after ITU-T E.164
# Lengths of the groups of telephone, card and social security numbers.
_LAYOUTS = {(3, 3, 4), (1, 3, 3, 4), (4, 4, 4), (4, 4, 4, 4), (4, 4, 4, 4, 3), (4, 6, 5), (3, 2, 4)}
_MOST_THOUSANDS = 5  # groups

# Contractions that would be other words.
CONTRACTIONS = frozenset(["i'll", "i'd", "he'll", "he'd", "she'll", "she'd", "we'll", "we'd", "we're"])

# Behind the token of a word's other spelling in the index: of `Müller` there are `muller` and `mueller¨`. A query for
# `Müller` looks for `muller` and `mueller`, one for `Mueller` for `mueller` and `mueller¨`: each text has only one of
# them, so that no word counts twice.
OTHER_SPELLING = "¨"

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


def _is_one_number(groups: list[str], before: str) -> bool:
    """Return whether groups of digits are written as one number, and not several: "1 000 000", but not "2019 2020"."""
    lengths = tuple(map(len, groups))
    if lengths[0] <= 3 and set(lengths[1:]) == {3} and len(lengths) <= _MOST_THOUSANDS and groups[0][0] != "0":
        return True
    if lengths in _LAYOUTS:
        return not all(map(_YEAR.fullmatch, groups))
    digits = sum(lengths)
    if "+" in before or "(" in before or (groups[0][0] == "0" and lengths[0] > 1):  # a telephone number
        return _LEAST_DIGITS <= digits <= _MOST_TELEPHONE
    if lengths == (4, 2, 2):  # a date
        return _YEAR.fullmatch(groups[0]) is not None and "01" <= groups[1] <= "12" and "01" <= groups[2] <= "31"
    return lengths[-1] == 1 and (digits, len(lengths)) in _ISBN and (digits == 10 or groups[0] in ("978", "979"))


def _forms_of_number(match: re.Match[str]) -> Iterator[tuple[str, int]]:
    """Yield each form without spaces of a number with its code or unit, and where it ends in the text."""
    code, before, written, fraction, unit = match.groups()
    code = code.lower() if code else None
    groups = _GROUP.findall(written)
    end = match.end(3)
    one = len(groups) == 1 or _is_one_number(groups, before)
    number = "".join(groups) if one else groups[-1]
    if fraction:
        number = whole_form(groups[0] + fraction) if len(groups) == 1 else number + fraction
        number = number.replace(",", ".")
    if len(groups) > 1 and one:
        yield number, match.end(4)
    if code and code not in UNITS and len(groups[0]) > 1:
        yield code + groups[0], match.start(3) + len(groups[0])
        if len(groups) > 1 and one:
            yield code + number, end
    if unit and folded(unit) in UNITS:
        yield number + unit, match.end(5)


def joined_numbers(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the numbers, codes and quantities that stand in several pieces of a text: as one word, and their span.

    Only single spaces join: tabs, line ends and several spaces are between columns.
    """
    if not text.isascii():
        for space in _SPACES:  # `translate` takes fifty times as long
            text = text.replace(space, " ")
    seen = 0
    for joint in _JOINT.finditer(text):
        first = _BEFORE.search(text, max(seen, joint.start() - 20), joint.start())
        if joint.start() < seen or not first:
            continue
        start = first.start()
        account = _ACCOUNT.match(text, start)
        number = None if account else _NUMBER.match(text, start)
        if account:
            seen = account.end()
            yield account[0].replace(" ", "").lower(), start, seen
        elif number:
            seen = number.end()
            yield from ((folded(form), start, end) for form, end in _forms_of_number(number))
