"""`new` and `init`: a project runs as it is printed, and its tests pass."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_world import Cli

from stream_durable.cli.project import Template

FILES = {".gitignore", "README.md", "app.py", "pyproject.toml", "test_app.py"}


def run(*command: str, cwd: Path) -> str:
    """Run a command as a user does, in the project's directory."""
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("template", list(Template))
def test_a_new_project_has_tests_that_pass_and_is_tidy(cli: Cli, tmp_path: Path, template: Template) -> None:
    told = cli("new", "mine", "--template", template.value).stdout
    project = tmp_path / "mine"

    assert "stream-durable dev app:app" in told
    assert {file.name for file in project.iterdir()} == FILES
    assert " passed" in run("pytest", "-p", "no:cacheprovider", "-q", "--no-header", cwd=project)
    assert json.loads(run("stream_durable", "workflows", "list", "app:app", "-o", "json", cwd=project))
    run("ruff", "check", "--isolated", "--select", "E,F,B,UP", "--line-length", "110", ".", cwd=project)
    run("ruff", "format", "--isolated", "--check", "--line-length", "110", ".", cwd=project)
    # Nothing is left to be filled in.
    assert "{" not in (project / "pyproject.toml").read_text()
    assert "{name}" not in (project / "README.md").read_text()


def test_a_project_is_rehearsed(cli: Cli, tmp_path: Path) -> None:
    found = json.loads(cli("new", "mine", "--dry-run", "--output", "json").stdout)

    assert (set(found["files"]), found["made"]) == (FILES, False)
    assert not (tmp_path / "mine").exists()


def test_init_adds_to_a_project_and_overwrites_nothing(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("# mine\n")

    told = cli("init", "--template", "cron").stdout

    assert "Left as it was: pyproject.toml." in told
    assert (tmp_path / "pyproject.toml").read_text() == "# mine\n"
    assert "there is app.py, test_app.py already" in cli("init", code=2).stderr


def test_a_directory_that_is_there_is_left_alone(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()

    assert "there is mine already" in cli("new", "mine", code=2).stderr
    assert "is no name of a project" in cli("new", "../x", code=2).stderr
