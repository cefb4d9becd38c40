"""Calibrations as they are stored: one JSON object, in every database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from hybridstore.backends.values import Calibration, Embedding

_OPTIONAL = {"agreement", "foreign", "foreign_power", "scale"}  # left out with nothing to say


def calibration_json(measured: Calibration) -> str:
    """Return a calibration as JSON."""
    return json.dumps({name: fact for name, fact in asdict(measured).items() if fact or name not in _OPTIONAL})


def usable_calibration(facts: Mapping[str, Any], embedding: Embedding) -> Calibration | None:
    """Return the calibration of stored facts if it is about this embedding's vectors; ValueError if it is none."""
    try:
        mean, deviation = facts.get("scale") or (0.0, 1.0)
        measured = Calibration(**dict(facts) | ({"scale": (mean, deviation)} if facts.get("scale") else {}))
        numbers = [measured.chunks, measured.power, measured.chance, measured.spread, mean, deviation]
        numbers += [*measured.agreement.values(), measured.foreign, measured.foreign_power]
        usable = np.isfinite(np.array(numbers, np.float64)).all() and min(measured.spread, deviation) > 0
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError("the calibration cannot be read") from error
    if not usable:
        raise ValueError("the calibration cannot be read")
    return measured if measured.fingerprint == embedding.fingerprint else None
