"""Lets the tests of every backend import the one contract beside them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
for _room in (
    "contract",
    "contract_conditions",
    "contract_writing",
    "contract_searching",
    "contract_embedding",
    "contract_evidence",
    "contract_sampling",
    "contract_purging",
    "contract_learning",
    "learning_process",
    "contract_sharing",
):
    pytest.register_assert_rewrite(_room)
