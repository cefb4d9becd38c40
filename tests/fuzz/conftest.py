"""Lets the test here import the fuzzer beside it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
