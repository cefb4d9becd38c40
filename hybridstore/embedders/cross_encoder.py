"""Cross-encoders: models that read a question and a passage together and say how well it answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridstore import telemetry
from hybridstore.embedders import recipe
from hybridstore.embedders.onnx_session import cores, session_options
from hybridstore.embedders.tokenizer import clean, from_file
from hybridstore.errors import InputError, ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class CrossEncoder:
    """A cross-encoder in a local folder, as sentence-transformers exports it to ONNX. Safe to share between threads.

    The folder has model.onnx (or onnx/model.onnx) and tokenizer.json. The graph's output is a logit for each pair, or
    two, of which the second is for "answers". `threads` None uses all cores.

    Raises ModelUnavailable if the folder is not such a model's, MissingExtra without onnxruntime or tokenizers.
    """

    def __init__(self, folder: str | Path, *, threads: int | None = None) -> None:
        where = Path(folder).expanduser()
        self.name = where.resolve().name
        graph = next((where / path for path in recipe.GRAPHS if (where / path).is_file()), None)
        if graph is None:
            raise ModelUnavailable(
                str(folder), f"a cross-encoder is a local folder with {' or '.join(recipe.GRAPHS)} and tokenizer.json"
            )
        if threads is not None and threads < 1:
            raise InputError(f"threads must be at least 1, not {threads}")
        self._tokenizer = from_file(where / "tokenizer.json", self.name)
        # Of a pair that is too long the longer one, which is the passage, is cut first; padding is done here.
        self._tokenizer.enable_truncation(recipe.window(where, self.name), strategy="longest_first")
        self._tokenizer.no_padding()
        ort = telemetry.onnxruntime()
        options = session_options(ort, threads or cores())
        try:
            self._session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's errors have no common base
            raise ModelUnavailable(str(folder), f"ONNX Runtime cannot open {graph}: {error}") from error
        self._inputs = {
            node.name: np.int32 if "int32" in node.type else np.int64 for node in self._session.get_inputs()
        }
        if unknown := sorted(set(self._inputs).difference(_INPUTS)):
            raise ModelUnavailable(
                str(folder), f"its graph has the input {', '.join(unknown)}; a cross-encoder has none"
            )
        self._output = self._session.get_outputs()[0].name
        self.score("", [""])  # so that another kind of model is refused here, not in a search

    def __repr__(self) -> str:
        return f"CrossEncoder({self.name!r})"

    def score(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return for each text how well it answers the query: (n,) float32 from 0 to 1."""
        if not texts:
            return np.empty(0, np.float32)
        pairs = self._tokenizer.encode_batch([(clean(query), clean(text)) for text in texts])
        longest = max(len(pair.ids) for pair in pairs)
        feed: dict[str, NDArray[Any]] = {
            name: np.zeros((len(pairs), longest), dtype) for name, dtype in self._inputs.items()
        }
        for row, pair in enumerate(pairs):
            for name, values in zip(_INPUTS, (pair.ids, pair.attention_mask, pair.type_ids), strict=True):
                if name in feed:
                    feed[name][row, : len(values)] = values
        logits = np.asarray(self._session.run([self._output], feed)[0], np.float32)
        if logits.ndim == 2 and logits.shape[1] == 2:
            logits = logits[:, 1] - logits[:, 0]  # whose sigmoid is the softmax
        if logits.size != len(texts):
            raise ModelUnavailable(
                self.name, f"its graph gives {' × '.join(map(str, logits.shape))} numbers for {len(texts)} pairs; "
                "a cross-encoder gives one or two each"
            )  # fmt: skip
        scores: NDArray[np.float32] = 1 / (1 + np.exp(-logits.reshape(-1).clip(-30, 30)))
        return scores
