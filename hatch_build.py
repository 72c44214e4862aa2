"""The build of packages: it brings the page along, which is not in the repository."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE = "stream_durable/api/page"


class PageHook(BuildHookInterface[Any]):
    """Builds the page where its sources are newer than what was built, if there is npm."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page. An editable installation takes what `make page` builds."""
        root = Path(self.root)
        if version == "editable" or not (root / "dashboard").is_dir():
            return
        if is_current(root):
            return
        if shutil.which("npm") is None:
            self.app.display_warning(
                "The package has no page: building that needs Node 20.19 or newer with npm."
            )
            return
        for command in (["npm", "ci", "--no-audit", "--no-fund"], ["npm", "run", "build"]):
            subprocess.run(command, cwd=root / "dashboard", check=True)  # noqa: S603 - fixed commands


def is_current(root: Path) -> bool:
    """Return whether the page is newer than all it is built from."""
    built = root / PAGE / "index.html"
    dashboard = root / "dashboard"
    named = ("index.html", "package-lock.json", "vite.config.ts")
    sources = [
        *(dashboard / name for name in named),
        *(dashboard / "src").rglob("*"),
        *(dashboard / "public").rglob("*"),
    ]
    newest = max(source.stat().st_mtime for source in sources if source.is_file())
    return built.is_file() and built.stat().st_mtime >= newest
