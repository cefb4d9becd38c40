"""Every Python block of the README and the guide runs, top to bottom; every command they name exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "docs/guide.md", "docs/memory.md", "docs/integrations.md"]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_every_python_block_runs(page, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime", reason="the examples use the default model: pip install 'hybridstore[cpu]'")
    monkeypatch.chdir(tmp_path)
    found = blocks(page, "python")
    assert found
    space: dict[str, object] = {}
    for block in found:
        exec(compile(block, page, "exec"), space)  # noqa: S102 - our own documentation


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "console")])
def test_every_command_and_option_named_exists(page):
    lines = [line for block in blocks(page, "console") for line in block.splitlines()]
    commands = [
        re.sub(r"^\$ hybridstore(?: --db \S+)? ", "", line) for line in lines if line.startswith("$ hybridstore")
    ]
    assert commands
    for command in commands:
        words = command.split("  #")[0].split()
        name = words[:2] if words[0] == "model" else words[:1]
        told = subprocess.run(
            [sys.executable, "-m", "hybridstore", *name, "--help"], capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stderr
        for option in (word for word in words if word.startswith("--")):
            assert option in told.stdout, f"{command}: {option} is not an option of {' '.join(name)}"


@pytest.mark.parametrize("page", [*PAGES, "docs/design.md", "docs/experiments.md", "CHANGELOG.md"])
def test_every_link_to_a_file_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text()):
        assert ((ROOT / page).parent / target).exists(), target


@pytest.mark.parametrize("writer", ["tables.py", "memory/page.py"])
def test_the_benchmark_pages_are_what_their_results_say(writer):
    told = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / writer), "--check"], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
