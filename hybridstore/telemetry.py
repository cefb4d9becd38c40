"""Telemetry of the libraries underneath: switched off before they are imported. See docs/security.md."""

from __future__ import annotations

import os
import sys
from typing import Any

from hybridstore.errors import MissingExtra

# From version 1.29 on, ONNX Runtime writes a device id and a queue of events below the user's cache folder, and looks
# up the name of its collector. It reads this variable once, when it is imported.
_VARIABLE = "ORT_DISABLE_TELEMETRY"
_TRUE = ("1", "true", "yes", "on")

STARTED_BEFORE_US = "onnxruntime" in sys.modules and os.environ.get(_VARIABLE, "").lower() not in _TRUE
"""Whether the program imported ONNX Runtime before hybridstore, with its telemetry on."""

os.environ[_VARIABLE] = "1"


def onnxruntime() -> Any:
    """Import ONNX Runtime with its telemetry off, and return the module; raises MissingExtra if it is not installed."""
    os.environ[_VARIABLE] = "1"  # in case the program has replaced its environment since
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("cpu", "embedding text", "onnxruntime") from error
    # The rest that can be done where the program imported it first, and the switch of the event log on Windows.
    if hasattr(onnxruntime, "disable_telemetry_events"):
        onnxruntime.disable_telemetry_events()
    return onnxruntime


def off(variable: str, value: str) -> None:
    """Set another library's variable, before it is imported, unless the user has set it."""
    os.environ.setdefault(variable, value)
