"""Every Python block and command of the README and the guides runs, top to bottom; every link leads somewhere."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hybridstore.cli.app import COMMANDS, app

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "docs/guide.md", "docs/memory.md", "docs/scale.md", "docs/sync.md"]
LINKING = [
    *PAGES,
    "docs/integrations.md",
    "docs/http.md",
    "docs/mcp.md",
    "docs/design.md",
    "docs/experiments.md",
    "docs/labs.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [PAGES[0], *(pytest.param(page, marks=pytest.mark.thorough) for page in PAGES[1:])])
def test_every_python_block_runs(page, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime", reason="the examples use the default model: pip install 'hybridstore[cpu]'")
    monkeypatch.chdir(tmp_path)
    if page == "README.md":  # its commands come before
        (tmp_path / "notes").mkdir()
        (tmp_path / "notes" / "valve.md").write_text("Error E4012: the valve in hall 3 leaks above 4 bar.")
    examples = blocks(page, "python")
    assert examples
    space: dict[str, object] = {}
    for block in examples:
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
        result = CliRunner().invoke(app, [*name, "--help"])
        assert result.exit_code == 0, result.output
        for option in (word for word in words if word.startswith("--")):
            assert option in result.stdout, f"{command}: {option} is not an option of {' '.join(name)}"


@pytest.mark.thorough
def test_the_commands_of_the_readme_run_as_they_stand(tmp_path):
    pytest.importorskip("onnxruntime", reason="the examples use the default model: pip install 'hybridstore[cpu]'")
    lines = [line.removeprefix("$ ") for block in blocks("README.md", "console") for line in block.splitlines()]
    lines = [line for line in lines if not line.startswith(("pip ", "make "))]
    assert len(lines) >= 5
    script = "\n".join(re.sub(r"\bhybridstore (?=\w|-)", f"{sys.executable} -m hybridstore ", line) for line in lines)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    result = subprocess.run(
        [shutil.which("bash"), "-euc", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "the valve in hall 3" in result.stdout
    assert "Anna is allergic to nuts" in result.stdout


@pytest.mark.parametrize("page", LINKING)
def test_every_link_to_a_file_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text()):
        assert ((ROOT / page).parent / target).exists(), target


def test_the_manual_page_has_every_command_and_is_read_without_warnings():
    page = ROOT / "docs" / "man" / "hybridstore.1"
    written = page.read_text()
    for name in COMMANDS.keys() - {"model", "serve"}:  # groups
        assert f"\n.SS {name}" in written
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("needs groff")
    ran = subprocess.run([groff, "-man", "-ww", "-Tutf8", "-P-c", page], capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    assert "hybridstore.toml" in re.sub(r".\x08", "", ran.stdout)  # bold is printed twice
