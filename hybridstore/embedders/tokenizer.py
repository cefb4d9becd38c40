"""The tokenizer: text to token ids, truncated to the model's window, and the offsets of tokens."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from hybridstore.errors import MissingExtra, ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# Only the first characters of a long text fit the window. English has about 4.5 per token, so this is nearly always
# enough; if not (very long words, runs of blanks), four times as many are tokenized, and so on.
_CHARACTERS_PER_TOKEN = 12
# Characters of the pieces in which long text is counted: fast, yet the tokenizer's copies stay small.
_PIECE = 8_000
_TOGETHER = 32
_LARGEST = 256 << 20  # bytes of a tokenizer.json; those of 250,000 words and merges have 33 MB
# WordPiece reads a word of more than 100 characters as one unknown token. A language model does not, so that a note of
# one endless word would pass any budget of tokens; it is counted, and cut, as if it were words of 6 characters.
_LONGEST_TOKEN = 100
_STEP = 6
_BLANK = re.compile(r"\s")


class Tokens:
    """A fast tokenizer with a window of `max_tokens`. Safe to share between threads.

    Lone surrogates are read as "?", which preserves all character offsets.
    """

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        # Truncation and padding would be shared state of the tokenizer; they are done here instead.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        # The special tokens around a text in the tokenizer's template: [CLS] and [SEP] for BERT.
        bare = tokenizer.encode("a", add_special_tokens=False).ids
        full = tokenizer.encode("a").ids
        at = next(i for i in range(len(full)) if full[i : i + len(bare)] == bare)
        self._before, self._after = full[:at], full[at + len(bare) :]
        self.max_tokens = max_tokens
        self._room = max_tokens - len(self._before) - len(self._after)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return each text's token ids, at most `max_tokens`, special tokens included."""
        limit = self._room * _CHARACTERS_PER_TOKEN
        heads = [_head(text, limit) for text in texts]
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(heads, add_special_tokens=False)]
        for i, (text, head) in enumerate(zip(texts, heads, strict=True)):
            size = limit
            # One token more than fits is needed, since the last may be part of a word that was cut.
            while len(encoded[i]) <= self._room and size < len(text) and len(head) < len(text):
                size *= 4
                encoded[i] = self._tokenizer.encode(_head(text, size), add_special_tokens=False).ids
        return [[*self._before, *ids[: self._room], *self._after] for ids in encoded]

    def starts(self, text: str) -> list[int]:
        """Return where each token begins, as strictly ascending character offsets, without special tokens.

        A token of more than 100 characters counts as several, of 6 each.
        """
        starts: list[int] = []
        last = -1
        pieces = _pieces(text)
        while group := list(islice(pieces, _TOGETHER)):
            encoded = self._encode([clean(piece) for _, piece in group])
            for (at, _), encoding in zip(group, encoded, strict=True):
                for begin, end in encoding.offsets:
                    # Some tokenizers have tokens of no character, or several for one character.
                    if begin < end and at + begin > last:
                        last = at + begin
                        starts.append(last)
                    if end - begin > _LONGEST_TOKEN and last == at + begin:
                        more = range(last + _STEP, at + end, _STEP)
                        starts.extend(more)
                        last = more[-1]
        return starts

    def _encode(self, pieces: Sequence[str]) -> list[Any]:
        if len(pieces) == 1:  # the threads of a batch take ten times as long as a short text
            return [self._tokenizer.encode(pieces[0], add_special_tokens=False)]
        encoded: list[Any] = self._tokenizer.encode_batch(pieces, add_special_tokens=False)
        return encoded


def wordpiece(vocabulary: Path) -> Any:
    """Build BERT's uncased tokenizer from a vocabulary file with one word piece per line.

    Raises MissingExtra if the `tokenizers` package is not installed.
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

    Raises MissingExtra without the `tokenizers` package, and ModelUnavailable for a missing or invalid file.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtra("cpu", "embedding text", "tokenizers") from error
    if not path.is_file():
        raise ModelUnavailable(model, f"{path} is missing; a model's folder needs its tokenizer.json")
    if path.stat().st_size > _LARGEST:
        raise ModelUnavailable(model, f"{path} is larger than {_LARGEST >> 20} MiB, which no tokenizer is")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception for all errors
        raise ModelUnavailable(model, f"{path} is not a tokenizer: {error}") from error


def clean(text: str) -> str:
    """Replace each lone surrogate, which cannot be encoded, by "?"."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text


def _head(text: str, size: int) -> str:
    """Truncate a text to about its first `size` characters, before a blank if there is one near."""
    if len(text) <= size:
        return clean(text)
    return clean(text[: _cut(text, 0, size)])


def _cut(text: str, start: int, size: int) -> int:
    """Return the offset to cut at, in (start, start + size]: the last blank of the final 200 characters if any."""
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
