"""File types: which reader a file needs, by its suffix, its name, or the interpreter in its first line."""

from __future__ import annotations

import re
import zipfile
from pathlib import PurePath
from typing import NamedTuple

from hybridstore.ingest.readers.manual import is_manual


class Kind(NamedTuple):
    """How a file is read: the reader, the `type` in its metadata, and the language of source code."""

    reader: str
    type: str
    language: str = ""


_READERS = {
    "txt": "txt text log",
    "md": "md markdown mdown mkd mdx qmd rmd",
    "rst": "rst rest",
    "org": "org",
    "asciidoc": "adoc asciidoc asc",
    "latex": "tex ltx",
    "rtf": "rtf",
    "man": "man mdoc",
    "html": "html htm xhtml",
    "xml": "xml rss atom opml fb2 dita ditamap dbk docbook kml gpx tei xliff xlf plist tmx",
    "pdf": "pdf",
    "docx": "docx docm dotx dotm",
    "pptx": "pptx pptm ppsx ppsm potx potm",
    "odt": "odt ott odp otp fodt fodp",
    "epub": "epub",
    "eml": "eml",
    "mhtml": "mht mhtml",
    "webarchive": "webarchive",
    "ipynb": "ipynb",
    "srt": "srt vtt ass ssa sub",
    "openapi": "",
    "xlsx": "xlsx xlsm xltx xlsb xls ods ots",
    "mbox": "mbox mbx",
    "enex": "enex",
    "csv": "csv",
    "tsv": "tsv tab",
    "jsonl": "jsonl ndjson",
    "json": "json",
}
READERS = (*_READERS, "code")

_LANGUAGES = {
    "python": "py pyi pyw pyx",
    "javascript": "js mjs cjs jsx",
    "typescript": "ts tsx mts cts",
    "c": "c h",
    "c++": "cc cpp cxx hh hpp hxx ino",
    "c#": "cs",
    "java": "java",
    "kotlin": "kt kts",
    "scala": "scala sc",
    "groovy": "groovy gradle",
    "go": "go",
    "rust": "rs",
    "swift": "swift",
    "objective-c": "m mm",
    "ruby": "rb rake gemspec",
    "php": "php",
    "perl": "pl pm",
    "lua": "lua",
    "r": "r",
    "julia": "jl",
    "haskell": "hs",
    "ocaml": "ml mli",
    "erlang": "erl hrl",
    "elixir": "ex exs",
    "clojure": "clj cljs cljc edn",
    "lisp": "el lisp scm rkt",
    "dart": "dart",
    "zig": "zig",
    "nim": "nim",
    "d": "d",
    "fortran": "f f90 f95 for",
    "pascal": "pas",
    "visual basic": "vb bas",
    "f#": "fs fsi fsx",
    "assembly": "asm s",
    "shell": "sh bash zsh fish ksh",
    "powershell": "ps1 psm1",
    "batch": "bat cmd",
    "sql": "sql",
    "css": "css scss sass less",
    "vue": "vue",
    "svelte": "svelte",
    "graphql": "graphql gql",
    "protobuf": "proto",
    "terraform": "tf hcl",
    "nix": "nix",
    "cmake": "cmake",
    "make": "mk make",
    "yaml": "yaml yml",
    "toml": "toml",
    "ini": "ini cfg conf",
    "xml": "xsd xsl xslt",
    "latex": "sty cls bib",
    "solidity": "sol",
    "verilog": "v sv",
    "vhdl": "vhd vhdl",
    "cuda": "cu cuh",
}

_BINARY = {
    "image": "png jpg jpeg gif bmp ico icns webp tif tiff heic avif psd ai eps svg svgz xcf raw cr2 nef",
    "sound or film": "mp3 wav ogg oga flac m4a aac opus mid mp4 m4v mkv avi mov webm wmv mpg mpeg flv",
    "archive": "zip tar tgz gz bz2 xz 7z rar zst lz4 lzma br jar war whl egg deb rpm dmg iso cab apk crx xpi",
    "program": "exe dll so dylib a o obj lib bin class pyc pyo pyd wasm elc beam node com msi",
    "model or data": (
        "onnx pt pth ckpt safetensors gguf ggml h5 hdf5 npy npz pkl pickle joblib parquet feather arrow avro orc "
        "mat rds rdata tflite pb mlmodel bson msgpack idx faiss"
    ),
    "database": "db sqlite sqlite3 db3 mdb accdb dbf db-wal db-shm db-journal sqlite-wal sqlite-shm ldb",
    "font": "ttf otf woff woff2 eot",
    "older Word file: save it as docx, or `soffice --headless --convert-to docx FILE`": "doc dot wpd wps",
    "older PowerPoint file: save it as pptx, or `soffice --headless --convert-to pptx FILE`": "ppt pps pot",
    "Outlook message: save it as eml, or `msgconvert FILE` (Email::Outlook::Message)": "msg oft",
    "Outlook mailbox: `readpst -o FOLDER FILE` makes mailboxes that are read": "pst ost",
    "OneNote file: export it as docx or PDF": "one onetoc2 onepkg",
    "Apple iWork file: export it as docx, xlsx, pptx or PDF": "pages numbers key",
    "Kindle book: `ebook-convert FILE book.epub` (Calibre) makes one that is read": "mobi azw azw3 prc",
    "scanned or printed pages: make a PDF or text of it (`djvutxt`, `ps2pdf`)": "djvu ps xps oxps",
    "drawing or layout: export it as PDF": "odg odb pub vsd vsdx indd",
    "key or certificate": "p12 pfx jks keystore der gpg",
}


def _by_suffix(table: dict[str, str]) -> dict[str, str]:
    return {suffix: name for name, suffixes in table.items() for suffix in suffixes.split()}


_READER_OF, _LANGUAGE_OF, _BINARY_OF = _by_suffix(_READERS), _by_suffix(_LANGUAGES), _by_suffix(_BINARY)
_LANGUAGE_OF_NAME = {
    "makefile": "make",
    "gnumakefile": "make",
    "dockerfile": "docker",
    "containerfile": "docker",
    "cmakelists": "cmake",
    "rakefile": "ruby",
    "gemfile": "ruby",
    "jenkinsfile": "groovy",
    "justfile": "make",
}
_INTERPRETERS = {"node": "javascript", "deno": "typescript", "rscript": "r", "make": "make", "pwsh": "powershell"}
_MANUAL = re.compile(r"\d[a-z]{0,4}|[nl]")  # sections: ls.1, printf.3p, curl_easy.3
_OPENAPI = re.compile(rb"^(?:openapi|swagger)[ \t]*:", re.MULTILINE)
_MAILBOX = re.compile(rb"From \S.*\r?\n(?:>?[\w-]+:|[ \t])")
_MESSAGE = re.compile(rb"(?:Return-Path|Received|Delivered-To|X-Original-To): ")
_ARCHIVED = {"application/epub+zip": "epub", "application/vnd.oasis.opendocument.spreadsheet": "xlsx"}
_SHEBANG = re.compile(rb"#!\s*(?:\S*/)?([^\s/]+)(?:[ \t]+(?:-\S+[ \t]+)*([^\s/-]\S*))?")


def binary_reason(path: str) -> str | None:
    """Return what kind of binary file has a name like this, None if it may be text."""
    name = PurePath(path)
    suffix = name.suffix[1:].lower()
    return binary_reason(name.stem) if suffix == "gz" else _BINARY_OF.get(suffix)


def readable_members(path: str) -> str | None:
    """Return what to do about a zip archive of files that would be read, such as an export; None for any other file."""
    if not path.lower().endswith(".zip"):
        return None
    try:
        with zipfile.ZipFile(path) as members:
            names = members.namelist()
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError):
        return None
    readable = sum(kind_of_name(name) is not None for name in names)
    return None if not readable else "archive of files that can be read: `unzip FILE -d FOLDER`, and add the folder"


def kind_of_name(path: str) -> Kind | None:
    """Return how a file of this name is read, None if that depends on its content."""
    name = PurePath(path)
    suffix = name.suffix[1:].lower()
    if suffix == "gz":
        return kind_of_name(name.stem)
    if suffix in _READER_OF:
        return Kind(_READER_OF[suffix], suffix)
    language = _LANGUAGE_OF_NAME.get(name.name.lower().split(".")[0], "") or _LANGUAGE_OF.get(suffix, "")
    return Kind("code", suffix or language, language) if language else None


def kind_of(path: str, head: bytes) -> Kind:
    """Return how a file is read, by its name and first bytes; an unknown type is plain text."""
    suffix = PurePath(path.removesuffix(".gz")).suffix[1:].lower()
    kind = kind_of_name(path)
    if kind is None:
        return _kind_of_content(head, suffix or "txt")
    if suffix in {"yaml", "yml"} and _OPENAPI.search(head):
        return Kind("openapi", suffix)
    return kind


def kind_of_stream(head: bytes) -> Kind:
    """Return how bytes without a name are read: by the signature of binary formats, JSON lines by the first line."""
    if re.match(rb'(?:\xef\xbb\xbf)?\s*\{\s*"[^\r\n]*\}\s*(?:[\r\n]|\Z)', head) or re.match(rb'\s*\{"', head):
        return Kind("jsonl", "jsonl")
    return _kind_of_content(head, "txt")


def _kind_of_content(head: bytes, suffix: str) -> Kind:
    reader = _signed(head, suffix)
    if reader:
        return Kind(reader, reader)
    shebang = _SHEBANG.match(head)
    if not shebang:
        return Kind("txt", suffix)
    program = (shebang[2] if shebang[1] == b"env" and shebang[2] else shebang[1]).decode("ascii", "replace").lower()
    program = re.sub(r"[\d.]+$", "", program)
    language = _INTERPRETERS.get(program) or _LANGUAGE_OF.get(program, program)
    return Kind("code", language, language)


def _signed(head: bytes, suffix: str) -> str:
    """Return the reader that a file's first bytes ask for, "" if there is none."""
    signs = {b"%PDF-": "pdf", b"{\\rtf": "rtf", b"PK\x03\x04": _reader_of_archive(head)}
    reader = next((reader for sign, reader in signs.items() if head.startswith(sign)), "")
    if _MANUAL.fullmatch(suffix) and is_manual(head):
        return "man"
    return reader or ("mbox" if _MAILBOX.match(head) else "eml" if _MESSAGE.match(head) else "")


def _reader_of_archive(head: bytes) -> str:
    """Return how a zip archive is read, by the names and the type in its first bytes."""
    declared = re.search(rb"mimetype(application/[\w.+-]+?)PK", head)
    if declared:
        return _ARCHIVED.get(declared[1].decode(), "odt")
    return "pptx" if b"ppt/" in head else "xlsx" if b"xl/" in head else "docx"
