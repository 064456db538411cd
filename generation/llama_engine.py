"""Starts llama.cpp's server inside this process: one place for the engine's parameters and their reasons.

The engine keeps its own threads; nothing here answers questions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from generation.errors import ModelDamagedError
from generation.gguf import Header, read_header
from generation.memory import available_bytes, check_fit

BATCH_TOKENS = 128  # a generation that is given up during its prompt holds its slot for one or two batches

Chunk = dict[str, Any]


class Engine(Protocol):
    """What is used of `xllamacpp.Server`, which ships no annotations."""

    listening_address: str

    def handle_completions(self, request: Chunk, on_chunk: Callable[[Chunk], bool]) -> None:
        """Run a streamed completion on the calling thread; a callback that returns True stops it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Where an engine listens and how much of the machine it takes."""

    address: str  # a path that ends with .sock, or a host
    port: int = 0  # 0 = a free one
    key: str = ""  # asked of every client but for its health route
    context_tokens: int  # of one slot
    slots: int
    threads: int


def open_engine(
    path: Path, options: EngineOptions, available: Callable[[], int] = available_bytes
) -> tuple[Engine, Header]:
    """Check that the model fits, load it, and return the engine with what the file's header says.

    Raises `ModelMissingError`, `ModelDamagedError`, or `ModelTooLargeError` before any weights are read.
    """
    header = read_header(path)
    check_fit(header.bytes, header.kv_bytes(options.context_tokens * options.slots), available())
    import xllamacpp  # type: ignore[import-untyped] # noqa: PLC0415

    try:
        engine: Engine = xllamacpp.Server(_parameters(xllamacpp.CommonParams(), path, options))
    except RuntimeError as error:
        raise ModelDamagedError(
            f"llama.cpp cannot load {path} or listen at {options.address}:{options.port}.",
            hint="Verify the file with threadwise models pull, or take another port.",
        ) from error
    return engine, header


def _parameters(params: Any, path: Path, options: EngineOptions) -> Any:  # noqa: ANN401 - xllamacpp is not annotated
    params.model.path = str(path)
    params.model_alias = {path.stem}
    params.hostnames = [options.address]
    params.port = options.port
    params.api_keys = [options.key] if options.key else []
    params.n_ctx = options.context_tokens * options.slots
    params.n_parallel = options.slots
    params.n_threads_http = options.slots + 2
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    params.verbosity = -1
    for pool in (params.cpuparams, params.cpuparams_batch):
        pool.n_threads = options.threads
        pool.poll = 0  # waiting threads that spin starve everybody else on a small machine
    _closed(params)
    return params


def _closed(params: Any) -> None:  # noqa: ANN401 - xllamacpp is not annotated
    """Switch off what would take memory without a bound, change the context in silence, or show more than asked."""
    params.offline = True
    params.fit_params = False
    params.n_gpu_layers = 0
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    params.n_ctx_checkpoints = 0
    params.ui = False
    params.endpoint_slots = False
    params.cors_origins = ""
