"""The reader of manual pages: roff with the macros of man(7) and mdoc(7), as markdown."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

from hybridstore.ingest.readers.origin import Origin, Unreadable
from hybridstore.records import Document

_CHARACTERS = {
    "-": "-", "em": "—", "en": "–", "hy": "-", "bu": "•", "lq": "“", "rq": "”", "oq": "‘", "cq": "’", "aq": "'",
    "dq": '"', "co": "©", "rg": "®", "tm": "™", "ha": "^", "ti": "~", "rs": "\\", "ga": "`", "aa": "´", "->": "→",
    "<-": "←", "mu": "×", ">=": "≥", "<=": "≤", "!=": "≠", "+-": "±", "de": "°", "sc": "§", "ss": "ß", ":a": "ä",
    ":o": "ö", ":u": "ü", ":A": "Ä", ":O": "Ö", ":U": "Ü", "'e": "é", "`e": "è", "at": "@", "ul": "_", "ba": "|",
}  # fmt: skip
_ESCAPE = re.compile(
    r"\\(?:f(?:\[[^\]]*\]|\(..|.)|s[-+]?(?:\[[^\]]*\]|\d{1,2})|\((?P<two>..)|\[(?P<long>[^\]]*)\]|\*(?:\(..|\[[^\]]*\]|.)"
    r"|[hvwLlDZbkoN]'[^']*'|[mMFgn](?:\[[^\]]*\]|\(..|.)|\"[^\n]*|#[^\n]*|(?P<one>.)|$)"
)
_ONE = {"-": "-", "e": "\\", "\\": "\\", "'": "´", "`": "`", " ": " ", "~": " ", "0": " ", "t": "\t", ".": "."}
_FONTS = frozenset(("B", "I", "R", "BI", "IB", "BR", "RB", "IR", "RI", "SM", "SB", "CW", "Sy", "Li", "Em", "Ql"))
_ALTERNATING = frozenset(("BI", "IB", "BR", "RB", "IR", "RI"))
_PARAGRAPHS = frozenset(("PP", "P", "LP", "Pp", "sp", "HP", "Sp", "RS", "RE", "br", "Bl", "El", "YS", "SY"))
_CODE, _CODE_END = frozenset(("nf", "EX", "Bd", "Vb", "DS", "TS")), frozenset(("fi", "EE", "Ed", "Ve", "DE", "TE"))
_IGNORED = frozenset(
    """
    \\" TH Dd Dt Os de am ds nr if ie el ig so mso tr ad na hy nh ne in ti ft ll pl lt ps vs rm cs ss bp ta tm UE ME PD
    AT UC DT Sm Bk Ek Rs Re Xo Xc ns rs nop als rr .. ft IX EQ EN ev fp
    """.split()  # noqa: SIM905 - a list of words reads better without quotes
)
_MDOC_OPEN = {"Op": "[", "Oo": "[", "Dq": "“", "Do": "“", "Pq": "(", "Po": "(", "Aq": "<", "Ao": "<", "Bq": "[",
              "Sq": "‘", "Qq": '"', "Brq": "{"}  # fmt: skip
_MDOC_CLOSE = {"[": "]", "“": "”", "(": ")", "<": ">", "‘": "’", '"': '"', "{": "}"}
_MDOC = frozenset(
    """
    Fl Ar Nm Pa Cm Em Sy Li Va Vt Ev Er Fa Ft Fn Ic No Ns Xr Nd St An Ad Lk Mt Tn Ux Bx Dv In Cd Ms Sx Ap Op Oo Oc Dq
    Do Dc Pq Po Pc Aq Ao Ac Bq Sq Qq Ql Brq It Fo Fc Fd Bo Bc Eo Ec Rv Ex D1 Dl Lb Pf At Nx Fx Ox Dx Bsx Db Es En Fr
    """.split()  # noqa: SIM905 - a list of words reads better without quotes
)


def read_manual(origin: Origin) -> Document:
    """Return a manual page as markdown: its sections as headings, without roff's requests and fonts."""
    page = _Page()
    title = ""
    for line in origin.text().splitlines():
        if not title and line.startswith((".TH ", ".Dt ")):
            title = _title(line[4:])
        page.read(line)
    text = page.text()
    if not text:
        raise Unreadable(origin.name, "contains no text")
    return Document(text=text, title=title, format="markdown")


def is_manual(head: bytes) -> bool:
    """Return whether a file that begins like this is a manual page, rather than a numbered log."""
    return re.search(rb"^[.'](?:TH|Dd|Dt|Sh|SH|so|\\\")", head, re.MULTILINE) is not None


def _title(arguments: str) -> str:
    name, section, *_ = [*_arguments(arguments), "", ""]
    return f"{name.lower()}({section})" if section else name.lower()


@dataclass(slots=True)
class _Page:
    """One pass over the lines of a page, and the text so far."""

    blocks: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)  # of the current paragraph
    code: list[str] | None = None
    name: str = ""  # the command, which mdoc repeats by .Nm without an argument
    label: str = ""  # of the current paragraph: an option, say
    tag: bool = False  # whether the next line is a label
    defining: bool = False  # whether lines belong to the definition of a macro

    def read(self, line: str) -> None:  # noqa: C901 - a flat list of requests
        """Read a line."""
        if self.defining:
            self.defining = not line.startswith("..")
            return
        request = re.match(r"[.'][ \t]*([^\s\\]+|\\\")[ \t]?(.*)", line)
        if not request:
            self._text("" if line.rstrip() in {".", "'"} else _plain(line))
            return
        name, rest = request[1], request[2]
        if name in {"de", "am", "ig"}:
            self.defining = True
        elif name == "so" and not self.blocks:
            self.words.append(f"See {rest.strip()}")
        elif name in {"SH", "Sh", "SS", "Ss"}:
            self._close()
            self.blocks.append(f"{'#' if name[1] in 'Hh' else '##'} {' '.join(map(_plain, _arguments(rest)))}")
        elif name in {"TP", "TQ"}:
            self._close()
            self.tag = True
        elif name == "IP":
            self._close()
            self.label = "".join(map(_plain, _arguments(rest)[:1]))
        elif name in _PARAGRAPHS:
            self._close()
        elif name in _CODE:
            self._close()
            self.code = []
        elif name in _CODE_END:
            self._close()
        elif name not in _IGNORED:
            self._macro(name, rest)

    def _macro(self, name: str, rest: str) -> None:
        arguments = _arguments(rest)
        if name in _MDOC:
            self._text(self._mdoc([name, *arguments]))
        elif name in {"UR", "MT"}:
            self._text(_plain(rest))
        elif arguments:
            self._text(_plain(("" if name in _ALTERNATING else " ").join(arguments)))

    def _mdoc(self, arguments: list[str]) -> str:  # noqa: C901 - a flat list of macros
        """Return the text of an mdoc line, in which names of macros stand among the words."""
        parts: list[str] = []
        closing: list[str] = []
        for index, argument in enumerate(arguments):
            if argument == "It":
                self._close()
                self.tag = True
            elif argument in _MDOC_OPEN and not argument.endswith("o"):
                parts.append(_MDOC_OPEN[argument])
                closing.append(_MDOC_CLOSE[_MDOC_OPEN[argument]])
            elif argument == "Fl":
                parts.append("-")
            elif argument == "Nm":
                following = arguments[index + 1 : index + 2]
                if not following or following[0] in _MDOC:
                    parts.append(self.name)
                elif not self.name:
                    self.name = _plain(following[0])
            elif argument == "Nd":
                parts.append("-")
            elif argument not in _MDOC:
                previous = arguments[index - 1] if index else ""
                section = previous and index > 1 and arguments[index - 2] == "Xr"
                text = f"({_plain(argument)})" if section else _plain(argument)
                glued = section or previous == "Fl" or (len(argument) == 1 and argument in ".,;:)]")
                if glued and parts:
                    parts[-1] += text
                else:
                    parts.append(text)
        text = " ".join(part for part in parts if part)
        for opening, end in _MDOC_CLOSE.items():
            text = text.replace(f"{opening} ", opening) if end in closing else text
        return text + "".join(reversed(closing))

    def _text(self, text: str) -> None:
        if self.code is not None:
            self.code.append(text.rstrip())
        elif not text.strip():
            if not self.tag:
                self._close()
        elif self.tag:
            self.label, self.tag = text.strip(), False
        else:
            self.words.append(text.strip())

    def _close(self) -> None:
        if self.code is not None:
            if any(line.strip() for line in self.code):
                self.blocks.append("\n".join(("```", *self.code, "```")))
        else:
            self.blocks.append(_labelled(self.label, " ".join(self.words)))
        self.words, self.code, self.label, self.tag = [], None, "", False

    def text(self) -> str:
        """Return the page as markdown."""
        self._close()
        return "\n\n".join(block for block in self.blocks if block)


def _labelled(label: str, text: str) -> str:
    if label in {"•", "·", "-", "*", "o"}:
        return f"- {text}"
    return ": ".join(filter(None, (label, text)))


def _arguments(text: str) -> list[str]:
    """Return the arguments of a macro; quotes hold words together."""
    text = re.sub(r'(?<!\\)\\"[^\n]*', "", text)
    if '"' not in text:
        return text.split()
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.quotes, lexer.escape, lexer.commenters = True, '"', "", ""
    try:
        return list(lexer)
    except ValueError:  # a quotation mark that is not closed
        return text.replace('"', "").split()


def _plain(text: str) -> str:
    """Return a text without roff's escapes."""
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(escape: re.Match[str]) -> str:
    name = escape["two"] or escape["long"]
    if name is not None:
        if code := re.fullmatch(r"u([0-9A-Fa-f]{4,6})", name):
            number = int(code[1], 16)
            return chr(number) if number < 0xD800 or 0xDFFF < number < 0x110000 else ""
        return _CHARACTERS.get(name, "")
    return _ONE.get(escape["one"] or "", "")
