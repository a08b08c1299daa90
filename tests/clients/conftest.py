"""The tools that build the web page."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest

WEB = pathlib.Path(__file__).resolve().parents[2] / "clients" / "web"


@pytest.fixture(scope="session")
def tools(tmp_path_factory) -> pathlib.Path:
    """A copy of the module's folder with its build tools."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs Node.js and npm, which are not installed")
    copy = tmp_path_factory.mktemp("web") / "web"
    shutil.copytree(WEB, copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    if (WEB / "node_modules" / "axe-core").is_dir():
        (copy / "node_modules").symlink_to(WEB / "node_modules")
        return copy
    if subprocess.run(["npm", "ping"], capture_output=True, check=False).returncode:
        pytest.skip("npm has no registry to install the build tools from")
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=copy, capture_output=True, check=True, timeout=600)
    return copy
