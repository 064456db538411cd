"""llama.cpp as a process of its own: `python -m generation.llama_server --model PATH --port N`.

It speaks the OpenAI HTTP API, so that the language model can stay loaded while the API restarts. Once it is ready it
prints one JSON line with its `address`, `model` and `pid`, and it ends on SIGTERM or SIGINT.
"""

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from core.errors import ThreadwiseError
from generation.llama_engine import EngineOptions, open_engine

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def main(arguments: Sequence[str]) -> int:
    """Serve until a signal; exit code 0, 1 where the model cannot be served, 2 for bad use."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.host not in _LOOPBACK and not given.key_file:
        parser.error(f"--host {given.host} can be reached from outside: give --key-file")
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        engine, _ = open_engine(given.model, _options(given))
    except (ThreadwiseError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    ready = {"address": engine.listening_address, "model": given.model.stem, "pid": os.getpid()}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    stopped.wait()
    return 0


def _options(given: argparse.Namespace) -> EngineOptions:
    return EngineOptions(
        address=given.host,
        port=given.port,
        key=given.key_file.read_text(encoding="utf-8").strip() if given.key_file else "",
        context_tokens=given.context_tokens,
        slots=given.slots,
        threads=given.threads,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m generation.llama_server", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a verified GGUF file")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen; others than loopback need a key file")
    parser.add_argument("--port", type=int, default=0, help="0 = a free one")
    parser.add_argument("--key-file", type=Path, help="a file with the key that clients have to send")
    parser.add_argument("--context-tokens", type=int, default=4096, help="of one slot")
    parser.add_argument("--slots", type=int, default=1, help="generations at once")
    parser.add_argument("--threads", type=int, default=1, help="fewer than the free cores")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
