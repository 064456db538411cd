"""The app's manifest, for the way in which this installation hears Slack."""

import re
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).resolve().parents[2] / "deploy" / "slack" / "manifest.yaml"
EXAMPLE: Final = "https://threadwise.example.com"

_ADDRESS = re.compile(r"https://[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?(?::[0-9]{1,5})?/?")


def is_address(text: str) -> bool:
    """Whether Slack can call there: https, a host, nothing behind it."""
    return _ADDRESS.fullmatch(text) is not None


def over_http(address: str = EXAMPLE) -> str:
    """The manifest (YAML) with the address at which Slack reaches the service."""
    return _template().replace(EXAMPLE, address.rstrip("/"))


def over_socket() -> str:
    """The manifest (YAML) for Socket Mode: without an address."""
    lines = [line for line in _template().splitlines(keepends=True) if EXAMPLE not in line]
    return "".join(lines).replace("socket_mode_enabled: false", "socket_mode_enabled: true")


def _template() -> str:
    return FILE.read_text(encoding="utf-8")
