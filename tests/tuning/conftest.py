"""Lets tests, and the processes that they kill, share the made-up store beside them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
