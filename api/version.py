"""Which Threadwise this is."""

import tomllib
from importlib import metadata
from pathlib import Path

_PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def installed_version() -> str:
    """The version that is installed; that of the source tree where nothing is."""
    try:
        return metadata.version("threadwise")
    except metadata.PackageNotFoundError:
        return str(tomllib.loads(_PYPROJECT.read_text(encoding="utf-8"))["project"]["version"])
