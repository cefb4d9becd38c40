"""Text to token ids, cut to the model's window, and where tokens begin."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from hybridstore.errors import MissingExtra, ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# Only the first characters of a long text can reach the window. English has about 4.5 of them to a token, so this
# is nearly always enough; where it is not (very long words, runs of blanks), twice as many are read, and so on.
_CHARACTERS_PER_TOKEN = 12
# Pieces in which long text is counted: long enough for speed, short enough that the tokenizer's copies stay small.
_PIECE = 8_000
_TOGETHER = 32
_BLANK = re.compile(r"\s")


class Tokens:
    """A fast tokenizer with a window of `max_tokens`. May be used from many threads.

    Lone surrogates are read as "?", which keeps every character offset where it was.
    """

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        # Truncation and padding are state of the tokenizer; both are done here instead.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        # The special tokens around a text, as the tokenizer's template has them: [CLS] and [SEP] for BERT.
        bare = tokenizer.encode("a", add_special_tokens=False).ids
        dressed = tokenizer.encode("a").ids
        at = next(i for i in range(len(dressed)) if dressed[i : i + len(bare)] == bare)
        self._before, self._after = dressed[:at], dressed[at + len(bare) :]
        self.max_tokens = max_tokens
        self._room = max_tokens - len(self._before) - len(self._after)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Give each text's token ids, special tokens included, at most `max_tokens` of them."""
        limit = self._room * _CHARACTERS_PER_TOKEN
        heads = [_head(text, limit) for text in texts]
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(heads, add_special_tokens=False)]
        for i, (text, head) in enumerate(zip(texts, heads, strict=True)):
            size = limit
            # One token more than fits must be seen, lest the last be half a word that the cut made.
            while len(encoded[i]) <= self._room and size < len(text) and len(head) < len(text):
                size *= 4
                encoded[i] = self._tokenizer.encode(_head(text, size), add_special_tokens=False).ids
        return [[*self._before, *found[: self._room], *self._after] for found in encoded]

    def starts(self, text: str) -> list[int]:
        """Give where each token begins, as strictly ascending character offsets, without special tokens."""
        starts: list[int] = []
        last = -1
        pieces = _pieces(text)
        while group := list(islice(pieces, _TOGETHER)):
            encoded = self._encoded([_clean(piece) for _, piece in group])
            for (at, _), encoding in zip(group, encoded, strict=True):
                for begin, end in encoding.offsets:
                    # Some tokenizers have tokens that stand for no character, or several for one.
                    if begin < end and at + begin > last:
                        last = at + begin
                        starts.append(last)
        return starts

    def _encoded(self, pieces: Sequence[str]) -> list[Any]:
        if len(pieces) == 1:  # the threads of a batch cost ten times what a short text takes
            return [self._tokenizer.encode(pieces[0], add_special_tokens=False)]
        found: list[Any] = self._tokenizer.encode_batch(pieces, add_special_tokens=False)
        return found


def wordpiece(vocabulary: Path) -> Any:
    """Build BERT's uncased tokenizer from its vocabulary file, a word piece a line.

    Raises:
        MissingExtra: the `tokenizers` package is not installed.

    """
    try:
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    except ImportError as error:
        raise MissingExtra("cpu", "embedding text", "tokenizers") from error
    tokenizer = Tokenizer(models.WordPiece.from_file(str(vocabulary), unk_token="[UNK]"))  # noqa: S106 - a token of text
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    marks = [(mark, tokenizer.token_to_id(mark)) for mark in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=marks)
    return tokenizer


def from_file(path: Path, model: str) -> Any:
    """Read a tokenizer.json.

    Raises:
        MissingExtra: the `tokenizers` package is not installed.
        ModelUnavailable: the file is missing or not a tokenizer.

    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtra("cpu", "embedding text", "tokenizers") from error
    if not path.is_file():
        raise ModelUnavailable(model, f"{path} is missing; a model's folder needs its tokenizer.json")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception for whatever is wrong
        raise ModelUnavailable(model, f"{path} is not a tokenizer: {error}") from error


def _clean(text: str) -> str:
    """Replace lone surrogates, which are no text, by one "?" each."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text


def _head(text: str, size: int) -> str:
    """Cut a text to about its first `size` characters, before a blank where there is one near."""
    if len(text) <= size:
        return _clean(text)
    return _clean(text[: _cut(text, 0, size)])


def _cut(text: str, start: int, size: int) -> int:
    """Give the place to cut at, in (start, start + size]: before the last blank of the final 200 characters."""
    end = start + size
    for back in range(end, max(end - 200, start + 1), -1):
        if _BLANK.match(text, back):
            return back
    return end


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Split a text into pieces of bounded length, each with its offset."""
    at = 0
    while len(text) - at > _PIECE:
        end = _cut(text, at, _PIECE)
        yield at, text[at:end]
        at = end
    yield at, text[at:]
