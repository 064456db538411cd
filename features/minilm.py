"""The bundled embedder: all-MiniLM-L6-v2 as ONNX int8, without torch in this process.

One text at a time: dynamic int8 takes its scale from the whole input, so texts in one batch change each other's
vectors, and batches are slower on a CPU anyway. SkipLayerNormalization, which ONNX Runtime would fuse, is 8 times
slower than the two nodes it replaces (2.0 of 13.3 ms for 200 tokens), so that fusion is off.
"""

import hashlib
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.words import Space
from features.errors import ModelCheckError, ModelUnavailableError, TextTooLongError
from features.tokenizer import Tokenizer

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

NAME = "all-MiniLM-L6-v2"
FOLDER = f"{NAME}-int8-1"  # the last figure counts the recipes of `features.minilm_export`
MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
MANIFEST_FILE = "manifest.json"
CHECK_FAILED = 3  # exit code of the export: the model was refused
_ROOT = Path(__file__).resolve().parents[1]
_EXPORT_SECONDS = 900

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What was exported from what: the files of one prepared model belong together by these hashes."""

    weights_sha256: str
    onnx_sha256: str
    tokenizer_fingerprint: str
    dimension: int
    max_tokens: int
    agreement: dict[str, float]
    versions: dict[str, str]

    def to_json(self) -> str:
        """The stored form."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """The manifest of a prepared model; raises `ModelUnavailableError` where there is no readable one."""
        try:
            return cls(**json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError) as error:
            message = f"No prepared embedding model can be read in {folder}: {error}."
            raise ModelUnavailableError(message, hint=_hint(folder)) from error


def prepare(cache_dir: Path) -> Path:
    """The folder of the prepared model, made at first use (about 20 s) by a process of its own, which may use torch."""
    folder = cache_dir.expanduser().resolve() / FOLDER
    if not (folder / MANIFEST_FILE).exists():
        _log.warning("Preparing the embedding model, once, in %s (about 20 seconds).", folder)
        _export(folder)
    return folder


def _export(folder: Path) -> None:
    command = [sys.executable, "-m", "features.minilm_export", str(folder)]
    try:
        done = subprocess.run(  # noqa: S603 - our own module, no shell
            command, cwd=_ROOT, capture_output=True, text=True, check=False, timeout=_EXPORT_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        message = f"Preparing the embedding model took more than {_EXPORT_SECONDS} seconds."
        raise ModelUnavailableError(message) from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        kind = ModelCheckError if done.returncode == CHECK_FAILED else ModelUnavailableError
        raise kind(f"The embedding model cannot be prepared: {reason}")


def open_session(model: Path, threads: int) -> "InferenceSession":
    """An ONNX Runtime session for texts of any length that leaves the CPU alone between two calls."""
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it would keep a plan for every length of text
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        str(model), options, providers=["CPUExecutionProvider"], disabled_optimizers=["SkipLayerNormFusion"]
    )


def run(session: "InferenceSession", ids: list[int]) -> NDArray[np.float32]:
    """The vector (dimension,) of one text's token ids; pooling and normalisation are part of the graph."""
    vector: NDArray[np.float32] = session.run(["embedding"], {"input_ids": np.array(ids, dtype=np.int64)})[0]
    return vector


class MiniLM:
    """all-MiniLM-L6-v2 (384 dimensions, 256 tokens) from a prepared folder; each thread has a session of its own."""

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        manifest = Manifest.read(folder)
        self._model = folder / MODEL_FILE
        self._threads = threads
        self._local = threading.local()
        self.tokenizer = _checked_tokenizer(folder, manifest)
        self.space = Space(
            model=NAME,
            revision=manifest.weights_sha256[:12],
            runtime=f"onnx-int8:{manifest.onnx_sha256[:12]}",
            dimension=manifest.dimension,
            max_tokens=manifest.max_tokens,
        )

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of length 1, shape (len(texts), 384), one text at a time."""
        vectors = np.empty((len(texts), self.space.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row] = self.embed_query(text)
        return vectors

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The vector of length 1 of one text, shape (384,); raises `TextTooLongError`."""
        ids = self.tokenizer.ids(text)
        if len(ids) > self.space.max_tokens:
            raise TextTooLongError.of(len(ids), self.space.max_tokens)
        return run(self._session(), ids)

    def _session(self) -> "InferenceSession":
        if not hasattr(self._local, "session"):
            self._local.session = open_session(self._model, self._threads)
        return self._local.session


def _checked_tokenizer(folder: Path, manifest: Manifest) -> Tokenizer:
    try:
        onnx_sha256 = hashlib.sha256((folder / MODEL_FILE).read_bytes()).hexdigest()
        tokenizer = Tokenizer.from_file(folder / TOKENIZER_FILE)
    except (OSError, ValueError) as error:
        message = f"The prepared embedding model in {folder} cannot be read: {error}."
        raise ModelUnavailableError(message, hint=_hint(folder)) from error
    if (onnx_sha256, tokenizer.fingerprint) != (manifest.onnx_sha256, manifest.tokenizer_fingerprint):
        message = f"The prepared embedding model in {folder} is not the one that was checked."
        raise ModelCheckError(message, hint=_hint(folder))
    return tokenizer


def _hint(folder: Path) -> str:
    return f"Remove {folder}: it is made again at the next start."
