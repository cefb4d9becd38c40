"""Every Python block of docs/integrations.md runs, top to bottom."""

import re
from pathlib import Path

import pytest

NEEDED = ("onnxruntime", "langchain_core", "langgraph", "llama_index.core", "haystack", "anthropic", "openai")
PAGE = Path(__file__).parents[2] / "docs" / "integrations.md"


def test_every_python_block_runs(tmp_path, monkeypatch):
    for package in (
        "onnxruntime",
        "langchain_core",
        "langgraph",
        "llama_index.core",
        "haystack",
        "anthropic",
        "openai",
    ):
        pytest.importorskip(package, reason=f"docs/integrations.md shows {package}, which is not installed")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), namespace)  # noqa: S102 - our own documentation
