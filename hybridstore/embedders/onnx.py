"""The ONNX embedder: runs a model's graph on the CPU or on an NVIDIA GPU, pools its output and makes unit vectors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridstore.embedders import default_model
from hybridstore.embedders.onnx_session import cores, open_int8, open_session
from hybridstore.embedders.tokenizer import Tokens, from_file, wordpiece
from hybridstore.errors import InputError, ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hybridstore.embedders.locate import Located
    from hybridstore.embedders.onnx_session import Graph

DEVICES = ("auto", "cpu", "cuda")
# Padded tokens of one run. On a CPU small runs stay in its caches, but too small ones leave the second core idle: two
# cores embed 65 texts/s with 512, 76 with 1,024, 67 with 2,048 and 55 with 4,096 (MiniLM, mixed lengths; one core 39,
# 41, 31 and 32). A GPU needs large runs.
_BUDGET = {"cpu": 1_024, "cuda": 16_384}
# Texts tokenized together: bounds memory, yet is enough to group texts of similar length.
_BLOCK = 1_024
# Outputs with one vector per text. BERT's `pooler_output` is not among them: it is not an embedding.
_POOLED = ("sentence_embedding", "embedding", "embeddings", "text_embeds")
_STATES = ("last_hidden_state", "token_embeddings")
_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}  # of safetensors
_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}


@dataclass(frozen=True, slots=True)
class Dense:
    """A linear layer after pooling: weight (out, in), bias (out,), with tanh if configured."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    tanh: bool

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (n, in) to (n, out)."""
        mapped = vectors @ self.weight.T + self.bias
        return np.tanh(mapped) if self.tanh else mapped


class OnnxEmbedder:
    """An `Embedder` that uses ONNX Runtime. Safe to share between threads.

    `reference` is a name that `load` accepts; `device` is "cpu" or "cuda", `threads` the number for one run on the CPU,
    `origin` where the files came from.
    """

    def __init__(self, located: Located, *, threads: int | None = None, device: str = "auto") -> None:
        if device not in DEVICES:
            raise InputError(f"device must be one of {', '.join(DEVICES)}, not {device!r}")
        if threads is not None and threads < 1:
            raise InputError(f"threads must be at least 1, not {threads}")
        self._recipe, self._as_wanted = located.recipe, (threads, device)
        self.fingerprint = located.fingerprint
        self.reference = located.reference
        self.origin = located.origin
        self.max_tokens = located.recipe.max_tokens
        self.threads = threads or cores()
        vocabulary = located.tokenizer.suffix == ".txt"
        tokenizer = wordpiece(located.tokenizer) if vocabulary else from_file(located.tokenizer, located.recipe.name)
        self._tokens = Tokens(tokenizer, self.max_tokens)
        self._graph = open_session(located, self.threads, device)
        self.device = self._graph.device
        self._located = located
        self._has_int8 = located.digest == default_model.WEIGHTS_SHA256 and self.device == "cpu"
        self._quick: Graph | None = None  # in int8; opened for the first passages, as searches do without it
        self._opening = Lock()
        self._input_types = {
            node.name: np.int32 if "int32" in node.type else np.int64 for node in self._graph.session.get_inputs()
        }
        if unknown := set(self._input_types) - _INPUTS:
            raise ModelUnavailable(
                located.recipe.name, f"its graph has the input {', '.join(sorted(unknown))}; a text encoder has none"
            )
        self._output, self._pooling = self._choose_output()
        self._dense = tuple(read_dense(folder, located.recipe.name) for folder in located.dense)
        self._without = None if located.recipe.without is None else np.load(located.recipe.without)
        # The width in the graph may be a symbol, and a dense layer changes it, so a text is run.
        self.dim = int(self._vectors([self._tokens.ids([""])[0]], self._graph).shape[1])
        if located.recipe.dim not in (None, self.dim):
            raise ModelUnavailable(
                located.recipe.name,
                f"its graph has vectors of {self.dim} numbers, not {located.recipe.dim} as expected",
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle an embedder as its name or folder: it is loaded where it is unpickled, once in a process."""
        return _loaded_again, (self.reference, self.fingerprint, *self._as_wanted)

    def __repr__(self) -> str:
        return f"OnnxEmbedder({self.fingerprint}, dim={self.dim}, device={self.device}, threads={self.threads})"

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed passages: (n, dim) float32 of unit norm, in order; those that int8 suits in int8, which is faster."""
        return self._embed(texts, self._recipe.document_prefix, int8=self._has_int8)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Embed one query: (dim,) float32 of unit norm."""
        vector: NDArray[np.float32] = self._embed([text], self._recipe.query_prefix)[0]
        return vector

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed many queries at once: (n, dim) float32 of unit norm, in order."""
        return self._embed(texts, self._recipe.query_prefix)

    def embed_plain(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts without either prefix: (n, dim) float32 of unit norm."""
        return self._embed(texts, "")

    def token_starts(self, text: str) -> Sequence[int]:
        """Return where each of the text's tokens begins, as ascending character offsets."""
        return self._tokens.starts(text)

    def _embed(self, texts: Sequence[str], prefix: str, *, int8: bool = False) -> NDArray[np.float32]:
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise InputError("texts must be a sequence of strings; for one text pass [text]")
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        for start in range(0, len(texts), _BLOCK):
            ids = self._tokens.ids([prefix + text for text in texts[start : start + _BLOCK]])
            quick = {i for i, row in enumerate(ids) if default_model.suits_int8(row)} if int8 else set()
            for batch in self._batches(ids, quick):
                graph = self._in_int8() if batch[0] in quick else self._graph
                vectors[[start + i for i in batch]] = self._vectors([ids[i] for i in batch], graph)
        return vectors

    def _in_int8(self) -> Graph:
        with self._opening:
            if self._quick is None:
                self._quick = open_int8(self._located, self.threads)
            return self._quick

    def _batches(self, ids: list[list[int]], quick: Collection[int] = ()) -> Iterator[list[int]]:
        """Group texts of similar length, so that each group padded to its longest text is within the budget.

        All of a group are among the `quick` ones, or none.
        """
        limit, budget = self._recipe.batch_texts, _BUDGET[self.device]
        batch: list[int] = []
        for i in sorted(range(len(ids)), key=lambda i: (i in quick, len(ids[i]))):
            full = (len(batch) + 1) * len(ids[i]) > budget or len(batch) == limit
            if batch and (full or (batch[0] in quick) is not (i in quick)):
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

    def _vectors(self, ids: list[list[int]], graph: Graph) -> NDArray[np.float32]:
        """Run one batch: token ids to unit vectors."""
        lengths = np.array([len(row) for row in ids])
        mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
        feed = {"input_ids": np.zeros_like(mask), "attention_mask": mask, "token_type_ids": np.zeros_like(mask)}
        feed["input_ids"][mask.astype(bool)] = np.concatenate([np.array(row, dtype=np.int64) for row in ids])
        typed = {name: feed[name].astype(kind, copy=False) for name, kind in self._input_types.items()}
        output = self._run(graph.session, typed)
        output = output.astype(np.float32, copy=False)
        vectors = output if output.ndim == 2 else pool(output, mask, self._pooling)
        if vectors.shape[1] != self._recipe.dim:  # otherwise the dense layers are in the graph
            for layer in self._dense:
                vectors = layer(vectors)
        if self._without is not None:
            vectors = vectors - (vectors @ self._without.T) @ self._without
        return unit(vectors)

    def _run(self, session: Any, feed: dict[str, Any]) -> NDArray[Any]:
        result: NDArray[Any]
        if self.device == "cpu":
            result = session.run([self._output], feed)[0]
            return result
        # Bound inputs are copied once, and outputs stay on the device until they are copied back.
        binding = session.io_binding()
        for name, array in feed.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(array))
        binding.bind_output(self._output, "cuda")
        session.run_with_iobinding(binding)
        result = binding.copy_outputs_to_cpu()[0]
        return result

    def _choose_output(self) -> tuple[str, str]:
        """Return the name of the graph's output to use, and how to pool it."""
        outputs = {node.name: node.shape for node in self._graph.session.get_outputs()}
        pooled = next((name for name in _POOLED if name in outputs), None)
        if pooled is not None:
            return pooled, "inside"
        states = next((name for name in _STATES if name in outputs), None)
        states = states or next((name for name, shape in outputs.items() if len(shape) == 3), None)
        if states is None or self._recipe.pooling == "inside":
            raise ModelUnavailable(
                self._recipe.name,
                f"none of its graph's outputs ({', '.join(outputs)}) is an embedding; export the model again",
            )
        return states, self._recipe.pooling


def _loaded_again(reference: str, fingerprint: str, threads: int | None, device: str) -> OnnxEmbedder:
    from hybridstore.embedders import shared

    embedder = shared(reference, threads=threads, device=device)
    if embedder.fingerprint != fingerprint:
        raise ModelUnavailable(
            reference, f"the model of that name here is {embedder.fingerprint}, and {fingerprint} was sent here"
        )
    return embedder


def pool(states: NDArray[np.float32], mask: NDArray[np.int64], pooling: str) -> NDArray[np.float32]:
    """Pool token states (n, tokens, dim) to (n, dim): the first token's, or the mean of those not masked out."""
    if pooling == "cls":
        first: NDArray[np.float32] = np.ascontiguousarray(states[:, 0])
        return first
    keep = mask.astype(np.float32)
    total: NDArray[np.float32] = np.matmul(keep[:, None, :], states)[:, 0]
    mean: NDArray[np.float32] = total / np.maximum(keep.sum(axis=1, keepdims=True), 1.0)
    return mean


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale each row to unit length; a row of zeros stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = vectors / np.maximum(norms, np.float32(1e-12))
    return scaled


def read_dense(folder: Path, model: str) -> Dense:
    """Read a layer from a folder with config.json and model.safetensors, as sentence-transformers writes it.

    Raises ModelUnavailable for a missing or invalid file, or an activation other than identity and tanh.
    """
    try:
        config = json.loads((folder / "config.json").read_bytes())
        tensors = _safetensors((folder / "model.safetensors").read_bytes())
        weight = tensors["linear.weight"]
        activation = str(config.get("activation_function", "Identity")).rpartition(".")[2]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ModelUnavailable(model, f"the dense layer in {folder} cannot be read: {error}") from error
    if activation not in ("Identity", "Tanh"):
        raise ModelUnavailable(
            model, f"the dense layer in {folder} uses {activation}; only Identity and Tanh are supported"
        )
    bias = tensors.get("linear.bias", np.zeros(len(weight), np.float32))
    return Dense(weight, bias, tanh=activation == "Tanh")


def _safetensors(data: bytes) -> dict[str, NDArray[np.float32]]:
    """Read the safetensors format: a little-endian uint64 length, a JSON header of that length, the tensors."""
    length = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    tensors: dict[str, NDArray[np.float32]] = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            flat = np.frombuffer(data[8 + length + begin : 8 + length + end], _DTYPES[entry["dtype"]])
            tensors[name] = flat.reshape(entry["shape"]).astype(np.float32)
    return tensors
