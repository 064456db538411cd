"""Running the real command as a process of its own, and killing it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.support.databases import variables_of

ROOT = Path(__file__).parents[2]


def command(data_dir: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `threadwise ARGUMENTS --json` on a data folder, in a process group of its own."""
    return _start(["-m", "api.cli", *arguments, "--json"], variables_of(data_dir))


def python(program: str, data_dir: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a program that is given as text on a data folder, which is its first argument."""
    return _start(["-c", program, str(data_dir), *arguments], variables_of(data_dir))


def _start(arguments: list[str], variables: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The JSON that the command printed; fails with its stderr when it did not end well."""
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err[-2000:]
    shape: dict[str, Any] = json.loads(out)
    return shape


def kill_after(process: subprocess.Popen[str], seconds: float) -> bool:
    """SIGKILL to the whole group after so many seconds; False when it had ended by itself."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            process.communicate()
            return False
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return True
