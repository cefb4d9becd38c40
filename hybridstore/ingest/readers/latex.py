"""The LaTeX reader: sections as headings, text without commands, formulas in Unicode; one pass over the tokens."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from hybridstore.ingest.readers.origin import Origin, Unreadable
from hybridstore.records import Document

_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%[^\n]*(?:\n[ \t]*)?")
_VERBATIM = re.compile(r"\\begin\{(verbatim\*?|Verbatim|lstlisting|minted|alltt|comment)\}([^\n]*)\n?")
_TOKEN = re.compile(
    r"\\(?P<command>[A-Za-z@]+)\*?|\\(?P<sign>.)|(?P<other>[{}&~^_$]|\n[ \t]*\n\s*|``|''|---?)", re.DOTALL
)
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BEFORE_ARGUMENT = re.compile(r"\s*(?:\[[^\[\]]{0,200}\]\s*){0,3}")
_LONGEST_TITLE = 2000  # characters
_OPTION = re.compile(r"[ \t]*+(?:\n[ \t]*+)?\[[^\[\]{}]{0,500}(?:\{[^{}]{0,200}\}[^\[\]{}]{0,200})*\]")
_ARGUMENT = re.compile(r"\s*\{([^{}]*)\}")

_SECTIONS = {
    "part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5, "subparagraph": 6,
}  # fmt: skip
_DROPPED = {  # commands of which this many arguments are not text
    "label": 1, "vspace": 1, "hspace": 1, "includegraphics": 1, "usepackage": 1, "documentclass": 1, "input": 1,
    "include": 1, "bibliographystyle": 1, "bibliography": 1, "pagestyle": 1, "thispagestyle": 1, "setlength": 2,
    "setcounter": 2, "addtocounter": 2, "color": 1, "textcolor": 1, "definecolor": 3, "fontsize": 2, "index": 1,
    "phantom": 1, "vphantom": 1, "hphantom": 1, "href": 1, "cline": 1, "multicolumn": 2, "multirow": 2, "rule": 2,
    "graphicspath": 1, "theoremstyle": 1, "newtheorem": 2, "geometry": 1, "hypersetup": 1, "addbibresource": 1,
    "newcommand": 2, "renewcommand": 2, "providecommand": 2, "newenvironment": 3, "DeclareMathOperator": 2, "date": 1,
    "title": 1, "author": 1, "parbox": 1, "raisebox": 1, "resizebox": 2, "scalebox": 1, "hyphenation": 1, "nocite": 1,
}  # fmt: skip
_CITED = frozenset(("cite", "citep", "citet", "citeauthor", "parencite", "textcite", "ref", "eqref", "autoref", "cref"))
_WITH_ARGUMENTS = {
    "tabular": 1,
    "tabularx": 2,
    "array": 1,
    "longtable": 1,
    "minipage": 1,
    "thebibliography": 1,
    "multicols": 1,
}
_ACCENTS = {"`": 0x300, "'": 0x301, "^": 0x302, "~": 0x303, "=": 0x304, "u": 0x306, ".": 0x307, '"': 0x308, "r": 0x30A,
            "H": 0x30B, "v": 0x30C, "c": 0x327, "k": 0x328, "d": 0x323, "b": 0x331}  # fmt: skip
_WORDS = {
    "item": "\n- ", "par": "\n\n", "newline": "\n", "linebreak": "\n", "tabularnewline": "\n",
    "quad": " ", "qquad": " ", "ldots": "…", "dots": "…", "cdots": "⋯", "textbackslash": "\\", "LaTeX": "LaTeX",
    "TeX": "TeX", "ss": "ß", "ae": "æ",
    "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "aa": "å", "AA": "Å", "l": "ł", "L": "Ł", "i": "ı", "j": "ȷ",
    "S": "§", "P": "¶", "euro": "€", "pounds": "£", "copyright": "©", "textendash": "–", "textemdash": "—",
    "textasciitilde": "~", "textasciicircum": "^", "textbar": "|", "degree": "°", "footnote": " — note: ",
    "caption": "\n\n", "times": "×", "cdot": "·", "div": "÷", "pm": "±", "mp": "∓", "leq": "≤", "le": "≤", "geq": "≥",
    "ge": "≥", "neq": "≠", "ne": "≠", "approx": "≈", "equiv": "≡", "sim": "∼", "propto": "∝", "infty": "∞", "sum": "∑",
    "prod": "∏", "int": "∫", "oint": "∮", "partial": "∂", "nabla": "∇", "sqrt": "√", "in": "∈", "notin": "∉", "ni": "∋",
    "subset": "⊂", "subseteq": "⊆", "supset": "⊃", "supseteq": "⊇", "cup": "∪", "cap": "∩", "emptyset": "∅", "to": "→",
    "forall": "∀", "exists": "∃", "neg": "¬", "land": "∧", "wedge": "∧", "lor": "∨", "vee": "∨", "rightarrow": "→",
    "leftarrow": "←", "Rightarrow": "⇒", "Leftarrow": "⇐", "leftrightarrow": "↔", "Leftrightarrow": "⇔", "iff": "⇔",
    "implies": "⇒", "mapsto": "↦", "otimes": "⊗", "oplus": "⊕", "circ": "∘", "ast": "∗", "star": "⋆", "perp": "⊥",
    "parallel": "∥", "angle": "∠", "langle": "⟨", "rangle": "⟩", "ell": "ℓ", "hbar": "ℏ", "Re": "ℜ", "Im": "ℑ",
    "ll": "≪", "gg": "≫", "setminus": "∖", "prime": "′", "varepsilon": "ε", "vartheta": "ϑ", "varphi": "φ",
}  # fmt: skip
_SIGNS = {"\\": "\n", ",": " ", ";": " ", ":": " ", "!": "", " ": " ", "\n": " ", "/": "", "-": "", "(": "", ")": "",
          "[": "\n", "]": "\n", "@": ""}  # fmt: skip
_OTHERS = {"&": " | ", "~": " ", "$": "", "``": "“", "''": "”", "--": "–", "---": "—"}
_BLOCKS = frozenset(("figure", "table", "tabular", "equation", "align", "itemize", "enumerate", "abstract", "quote"))


def read_latex(origin: Origin) -> Document:
    """Return a LaTeX file as markdown, with title, author and date of its preamble; comments are left out."""
    source = origin.text().replace("\r\n", "\n")
    preamble, begin, body = source.partition("\\begin{document}")
    preamble = _COMMENT.sub(r"\1", preamble)
    body = body.partition("\\end{document}")[0] if begin else source
    parts: list[str] = []
    position = 0
    while block := _VERBATIM.search(body, position):
        end = body.find(f"\\end{{{block[1]}}}", block.end())
        if end < 0:  # the rest is not verbatim, or the file is truncated
            break
        parts.append(_Text().read(body[position : block.start()]))
        if block[1] != "comment":
            parts.append(f"```\n{body[block.end() : end].rstrip()}\n```")
        position = end + len(block[1]) + len("\\end{}")
    parts.append(_Text().read(body[position:]))
    text = "\n\n".join(part for part in parts if part)
    if not text:
        raise Unreadable(origin.name, "contains no text")
    found = {name: _command(preamble if begin else source, name) for name in ("title", "author", "date")}
    title = found.pop("title")
    return Document(text=text, title=title, metadata={k: v for k, v in found.items() if v}, format="markdown")


def _command(source: str, name: str) -> str:
    """Return the text of a command's argument, the title's say, on one line."""
    start = re.search(rf"\\{name}\s*(?:\[[^\]]*\]\s*)?\{{", source)
    if not start:
        return ""
    argument = source[start.end() - 1 : start.end() + _LONGEST_TITLE]
    end = _matching(argument).get(0, 0)
    return " ".join(_Text().read(argument[1 : end - 1]).split()) if end else ""


@dataclass(slots=True)
class _Text:
    """One pass over LaTeX without verbatim parts: its text so far, and what the open braces close with."""

    parts: list[str] = field(default_factory=list)
    closing: list[str] = field(default_factory=list)
    next_brace: tuple[str, str] = ("", "")  # what the next brace opens and closes with
    denominator: bool = False
    ends: dict[int, int] = field(default_factory=dict)

    def read(self, source: str) -> str:
        """Return the text of a piece of LaTeX."""
        source = _COMMENT.sub(r"\1", source)
        self.ends = _matching(source)
        position = 0
        while token := _TOKEN.search(source, position):
            self.parts.append(source[position : token.start()])
            position = token.end()
            if token["command"]:
                position = self._command(token["command"], source, position)
            elif token["sign"]:
                position = self._sign(token["sign"], source, position)
            else:
                self._other(token["other"], source, position)
        self.parts.append(source[position:])
        text = re.sub(r"[ \t]+", " ", "".join(self.parts))
        return re.sub(r"\n{3,}", "\n\n", re.sub(r" ?\n ?", "\n", text)).strip()

    def _command(self, name: str, source: str, position: int) -> int:
        """Write a command; return the position after it and what of its arguments is not text."""
        if name in {"begin", "end"}:
            return self._environment(name, source, position)
        if name in _ACCENTS and len(name) == 1 and (letter := re.compile(r"\s*\{?(\w)\}?").match(source, position)):
            return self._accent(name, letter)
        if name not in _WORDS or name in {"footnote", "caption", "sqrt", "item"}:
            option = _OPTION.match(source, position)
            position = option.end() if option else position
        return self._known(name, source, position)

    def _known(self, name: str, source: str, position: int) -> int:
        if name in _SECTIONS:
            self.next_brace = (f"\n\n{'#' * _SECTIONS[name]} ", "\n\n")
        elif name in _CITED:
            self.next_brace = ("[", "]")
        elif name in {"frac", "dfrac", "tfrac"}:
            self.next_brace, self.denominator = ("(", ")/"), True
        elif name in _WORDS:
            self.parts.append(_WORDS[name])
            self.next_brace = {"sqrt": ("(", ")"), "caption": ("", "\n\n")}.get(name, ("", ""))
        elif greek := _greek(name):
            self.parts.append(greek)
        else:
            for _ in range(_DROPPED.get(name, 0)):
                position = self._after_argument(source, position)
            if source[position : position + 1] == " " and name not in _DROPPED:
                self.parts.append("" if self.parts and self.parts[-1].endswith((" ", "\n")) else " ")
        return position

    def _environment(self, name: str, source: str, position: int) -> int:
        argument = _ARGUMENT.match(source, position)
        if not argument:
            return position
        position = argument.end()
        environment = argument[1].strip().rstrip("*")
        if name == "begin":
            option = _OPTION.match(source, position)
            position = option.end() if option else position
            for _ in range(_WITH_ARGUMENTS.get(environment, 0)):
                position = self._after_argument(source, position)
        self.parts.append("\n\n" if environment in _BLOCKS else "\n")
        return position

    def _after_argument(self, source: str, position: int) -> int:
        """Return the position after an argument in braces, or after a command as the argument."""
        before = _BEFORE_ARGUMENT.match(source, position)
        position = before.end() if before else position
        if source[position : position + 1] == "\\":
            command = re.compile(r"\\[A-Za-z@]+").match(source, position)
            return command.end() if command else position
        return self.ends.get(position, position)

    def _sign(self, sign: str, source: str, position: int) -> int:
        if sign in _ACCENTS and (letter := re.compile(r"\{?\\?([A-Za-z])\}?").match(source, position)):
            return self._accent(sign, letter)
        self.parts.append(_SIGNS.get(sign, sign))
        if sign == "\\" and (option := re.compile(r"\*?\[[\w.\s-]*\]").match(source, position)):
            return option.end()
        return position

    def _accent(self, sign: str, letter: re.Match[str]) -> int:
        self.parts.append(unicodedata.normalize("NFC", letter[1] + chr(_ACCENTS[sign])))
        return letter.end()

    def _other(self, mark: str, source: str, position: int) -> None:
        if mark == "{":
            opening, closing = self.next_brace
            self.parts.append(opening)
            self.closing.append(closing)
            self.next_brace = ("", "")
        elif mark == "}":
            closing = self.closing.pop() if self.closing else ""
            self.parts.append(closing)
            if closing == ")/" and self.denominator:
                self.next_brace, self.denominator = ("(", ")"), False
        elif mark in "^_":
            self.parts.append(mark)
            grouped = source[position : position + 1] == "{" and source[position + 2 : position + 3] != "}"
            self.next_brace = ("(", ")") if grouped else ("", "")
        else:
            self.parts.append("\n\n" if mark.isspace() else _OTHERS[mark])


def _matching(source: str) -> dict[int, int]:
    """Return the positions of braces that are closed, with those after their closing ones."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for brace in _BRACE.finditer(source):
        if brace[0] == "{":
            opened.append(brace.start())
        elif brace[0] == "}" and opened:
            pairs[opened.pop()] = brace.end()
    return pairs


def _greek(name: str) -> str:
    """Return the Greek letter of this name, "" if there is none."""
    size = "CAPITAL" if name[0].isupper() else "SMALL"
    name = {"lambda": "lamda", "Lambda": "Lamda"}.get(name, name)
    try:
        return unicodedata.lookup(f"GREEK {size} LETTER {name.upper()}")
    except KeyError:
        return ""
