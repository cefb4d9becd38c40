"""Sessions of ONNX Runtime: a model's graph, opened on a device, with the weights it needs in memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hybridstore import telemetry
from hybridstore.embedders import default_model
from hybridstore.errors import InputError, ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hybridstore.embedders.locate import Located


# Microseconds for which a thread waits for the next node without giving up its processor. Where others need that, as
# the other requests of a server do, the default doubled the processor time of a question (30 ms for 16), and it took
# five times as long; without any such wait the next node begins later.
_SPIN = "20"


class Graph(NamedTuple):
    """A session, the device it runs on, and the arrays that must live as long as it does."""

    session: Any
    device: str
    weights: list[Any]


def cores() -> int:
    """Return the number of cores available to this process, which in a container may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def session_options(ort: Any, threads: int) -> Any:
    """Return ONNX Runtime's options for an encoder that runs on so many threads."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1  # an encoder is a chain, so none of its nodes can run in parallel
    options.add_session_config_entry("session.intra_op.spin_duration_us", _SPIN)
    options.log_severity_level = 3  # warnings are about the graph, which users cannot change
    return options


def open_session(located: Located, threads: int, device: str) -> Graph:
    """Open a model's graph on the CPU, or on an NVIDIA GPU where `device` allows it and there is one."""
    ort = telemetry.onnxruntime()
    options = session_options(ort, threads)
    graph: str | bytes = str(located.model)
    weights: list[Any] = []
    if located.digest == default_model.WEIGHTS_SHA256:
        weights = _add_weights(ort, options, default_model.weights(located.model))
        graph = default_model.GRAPH.read_bytes()
    providers = ["CPUExecutionProvider"]
    if device != "cpu" and "CUDAExecutionProvider" in ort.get_available_providers():
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()  # finds the CUDA and cuDNN libraries that pip installed
        providers.insert(0, "CUDAExecutionProvider")
    try:
        session = ort.InferenceSession(graph, options, providers=providers)
    except Exception as error:  # the runtime's errors have no common base
        raise ModelUnavailable(located.recipe.name, f"ONNX Runtime cannot open {located.model}: {error}") from error
    on_gpu = "CUDAExecutionProvider" in session.get_providers()
    if device == "cuda" and not on_gpu:
        raise InputError(
            "device='cuda' needs an NVIDIA GPU and pip install 'hybridstore[gpu]' without the plain onnxruntime "
            "package; device='auto' falls back to the CPU"
        )
    return Graph(session, "cuda" if on_gpu else "cpu", weights)


def open_int8(located: Located, threads: int) -> Graph:
    """Open the default model's graph with int8 matrices, on the CPU."""
    ort = telemetry.onnxruntime()
    options = session_options(ort, threads)
    weights = _add_weights(ort, options, default_model.quantised(located.model))
    graph = default_model.INT8_GRAPH.read_bytes()
    return Graph(ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"]), "cpu", weights)


def _add_weights(ort: Any, options: Any, values: Mapping[str, Any]) -> list[Any]:
    weights = [ort.OrtValue.ortvalue_from_numpy(np.asarray(value, order="C")) for value in values.values()]
    options.add_external_initializers(list(values), weights)
    return weights
