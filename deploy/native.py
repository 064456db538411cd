"""`python -m deploy.native`: server mode as processes of this machine, without containers.

PostgreSQL and Valkey come from their wheels, the language model has a process of its own, and `threadwise up` runs on
top of them. All four are started in this order, started again when they die, and stopped in the opposite order. A part
that a setting names elsewhere (a database, a broker, a model's server) is used there and not started here.
"""

import argparse
import http.client
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from api.background import answers, doorbell_socket, doorbell_url
from api.endpoint import FILE, find
from api.errors import INTERRUPTED, FileSystemError, as_text, exit_code
from api.occupancy import AlreadyRunningError
from api.output import print_text, tell
from api.serving import Place, free_place
from api.supervisor import ChildEvent, ChildSpec, Patience, Supervisor
from api.tether import tethered
from core.errors import InvalidSettingError, ThreadwiseError
from core.settings import LlmSettings, Settings, load_settings
from deploy import postgres
from deploy.checks import check
from features.files import exclusive
from generation import bundled
from threadwise.language import BUNDLED, models_folder

SETTINGS: Final[Mapping[str, str]] = {
    "DATA_DIR": "`.server`",
    "DATABASE_URL": "its own PostgreSQL, behind a socket in the data folder",
    "QUEUE__URL": "its own Valkey, behind a socket in the data folder",
    "LLM__KIND": "`http`; `none` where no model can be had",
    "LLM__BASE_URL": "its own model server, at a free port of this machine",
    "LLM__API_KEY": "made anew at every start",
}
"""What is set here when it is not set already, as the page of settings says it."""

DEFAULT_FOLDER: Final = Path(".server")
LOCK: Final = "server.lock"
MARK: Final = "anew"
"""A file in a folder that may be emptied by `--anew`, because that has made it."""

POSTGRES: Final = "postgres"
KEY_FILE: Final = "llama.key"
LOOPBACK: Final = "127.0.0.1"
READY_SECONDS: Final = 2.0
LEFTOVER_SECONDS: Final = 5.0
WATCH_SECONDS: Final = 0.1
# `threadwise up` stops three processes, each with half a minute of its own.
PATIENCE: Final = Patience(ready=180.0, stop=100.0)
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Part:
    """A process, what is set for those that use it, and where it listens."""

    child: ChildSpec
    variables: Mapping[str, str]
    place: str


@contextmanager
def alone(folder: Path, *, patience: float = LEFTOVER_SECONDS) -> Iterator[None]:
    """Have the folder for this server alone. Raises `AlreadyRunningError` where anything serves it.

    Processes of a server that was killed end by themselves: they have as many seconds as `patience` says.
    """
    with exclusive(folder / LOCK, wait=False) as held:
        deadline = time.monotonic() + patience
        while (found := _served(folder)) is not None and held and time.monotonic() < deadline:
            time.sleep(WATCH_SECONDS)
        if not held or found is not None:
            raise AlreadyRunningError(
                f"A server runs on {folder} already{found or ''}.",
                hint="Stop it first, or set THREADWISE_DATA_DIR to another folder.",
            )
        yield


def _served(folder: Path) -> str | None:
    """What serves the folder, None where nothing does."""
    if (endpoint := find(folder)) is not None:
        return f": process {endpoint.pid} at {endpoint.url}"
    return f": a database in {folder / POSTGRES}" if postgres.is_there(folder / POSTGRES) else None


def empty(folder: Path) -> None:
    """Remove what an earlier server left that was started with `--anew`, and mark the folder as such a one's.

    Only with the folder's lock held. Raises `InvalidSettingError` where the folder holds anything else.
    """
    found = {path.name: path for path in folder.iterdir() if path.name != LOCK}
    if found and MARK not in found:
        raise InvalidSettingError(
            f"{folder} holds what no server with --anew has made.", hint="Remove it yourself, or choose another folder."
        )
    (folder / MARK).touch(mode=0o600)
    for name, path in found.items():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif name != MARK:
            path.unlink()


@contextmanager
def parts_of(settings: Settings, folder: Path, place: Place) -> Iterator[list[Part]]:
    """What has to be started, in this order, under these settings."""
    with ExitStack() as stack:
        parts, beside = [], {"THREADWISE_DATA_DIR": str(folder)}
        if not settings.database_url:
            parts.append(database_part(folder / POSTGRES))
        if not settings.queue.url:
            parts.append(doorbell_part(stack.enter_context(doorbell_socket(folder))))
        if settings.llm.kind in ("bundled", "gguf"):
            weights = weights_of(settings)
            if weights is None:
                beside["THREADWISE_LLM__KIND"] = "none"
            else:
                parts.append(language_part(weights, settings.llm, folder))
        yield [*parts, service_part(folder, place, beside)]


def database_part(folder: Path) -> Part:
    """PostgreSQL. Raises `InvalidSettingError` where it cannot run in this folder."""
    postgres.prepare(folder)
    command = (sys.executable, "-m", "deploy.postgres", str(folder))
    child = ChildSpec(name="postgres", command=command, ready=partial(postgres.answers, folder))
    url = postgres.url(folder)
    return Part(child, {"THREADWISE_DATABASE_URL": url}, url)


def doorbell_part(socket: Path) -> Part:
    """Valkey behind a socket: on one machine a port and a password would let in more people, and nothing else."""
    command = (sys.executable, "-m", "workers.doorbell", str(socket))
    child = ChildSpec(name="doorbell", command=command, ready=partial(answers, socket))
    url = doorbell_url(socket)
    return Part(child, {"THREADWISE_QUEUE__URL": url}, url)


def weights_of(settings: Settings) -> Path | None:
    """The file of weights that the settings name; the bundled model's are fetched where they are not here.

    None where that fails: then answers are quotes, and a line says so.
    """
    if settings.llm.kind == "gguf":
        return Path(settings.llm.path).expanduser().absolute()
    try:
        return bundled.pull(bundled.entry_of(BUNDLED), models_folder(settings.embedding.cache_dir))
    except ThreadwiseError as error:
        tell(f"{as_text(error)} Without a model answers are quotes.")
        return None


def language_part(weights: Path, settings: LlmSettings, folder: Path) -> Part:
    """The model's server, at a port of loopback and with a key that lies in a file."""
    port, key, key_file = free_place(LOOPBACK, 0).port, secrets.token_urlsafe(32), folder / KEY_FILE
    key_file.unlink(missing_ok=True)
    key_file.touch(mode=0o600)
    key_file.write_text(key, encoding="ascii")
    size = {"context-tokens": settings.context_tokens, "slots": settings.slots, "threads": settings.threads}
    given = {"model": weights, "port": port, "key-file": key_file} | size
    command = [sys.executable, "-m", "generation.llama_server"]
    command += [part for name, value in given.items() for part in (f"--{name}", str(value))]
    child = ChildSpec(name="llama", command=tuple(command), ready=partial(is_healthy, port))
    url = f"http://{LOOPBACK}:{port}/v1"
    variables = {"KIND": "http", "BASE_URL": url, "API_KEY": key}
    return Part(child, {f"THREADWISE_LLM__{name}": value for name, value in variables.items()}, url)


def is_healthy(port: int) -> bool:
    """Whether the model's server has loaded its weights."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=READY_SECONDS)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == _OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def service_part(folder: Path, place: Place, variables: Mapping[str, str]) -> Part:
    """`threadwise up`, which finds everything else in its environment."""
    command = (sys.executable, "-m", "api.cli", "up", "--host", place.host, "--port", str(place.port), "--json")
    child = ChildSpec(name="threadwise", command=command, ready=lambda: find(folder) is not None)
    return Part(child, variables, f"{place.url}, the key of this machine in {folder / FILE}")


class Errand:
    """A command that runs while everything does. When it ends, the server is stopped; when that ends, so is it."""

    def __init__(self, command: Sequence[str], supervisor: Supervisor) -> None:
        self._command = command
        self._supervisor = supervisor
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, if there is one. Only in the thread that runs the supervisor: the kernel ties it to that one."""
        if self._command:
            program = shutil.which(self._command[0]) or self._command[0]
            command = tethered((program, *self._command[1:]), (), os.getpid())
            self._process = subprocess.Popen(command)  # noqa: S603 - what whoever started this asked for
            threading.Thread(target=self._wait, args=(self._process,), daemon=True).start()

    def end(self) -> int:
        """End it if it still runs; its exit status, 0 where there was none."""
        if self._process is None:
            return 0
        self._process.terminate()
        return self._process.wait()

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        process.wait()
        self._supervisor.stop()


def serve(settings: Settings, folder: Path, *, port: int, command: Sequence[str], anew: bool) -> int:
    """Run everything until a signal, or until the command has ended; the command's exit status, or 0.

    Raises `AlreadyRunningError`, `AddressInUseError`, `InvalidSettingError` and `ChildFailedError`.
    """
    started = time.perf_counter()
    with ExitStack() as stack:
        stack.enter_context(alone(folder))
        if anew:
            empty(folder)
        parts = stack.enter_context(parts_of(settings, folder, free_place(settings.api.host, port)))
        places = {part.child.name: part.place for part in parts}
        for part in parts:
            os.environ.update(part.variables)
        report = partial(tell_event, places)
        supervisor = Supervisor([part.child for part in parts], logs=folder / "logs", report=report, patience=PATIENCE)
        errand = Errand(command, supervisor)

        def on_up() -> None:
            print_text(f"ready in {time.perf_counter() - started:.1f} s; stop with Ctrl-C, or: kill {os.getpid()}")
            errand.start()

        with supervisor.stopping_on_signals():
            supervisor.run(on_up)
        status = errand.end()
    print_text("Stopped.")
    return status


def tell_event(places: Mapping[str, str], event: ChildEvent) -> None:
    """One line for each part that listens, and one for whatever goes wrong."""
    if event.state == "ready":
        print_text(f"{event.name:>10}  {places[event.name]}")
    elif event.state == "died":
        tell(f"{event.name} (process {event.pid}) ended with {event.status}; again in {event.again_in or 0:.1f} s.")
    elif event.state == "killed":
        tell(f"{event.name} (process {event.pid}) did not stop and was killed.")


def main(arguments: Sequence[str]) -> int:
    """Serve the data folder; the exit codes are those of `threadwise`."""
    given = _parser().parse_args(arguments)
    try:
        settings = load_settings(given.data_dir)
        folder = settings.data_dir if "data_dir" in settings.model_fields_set else DEFAULT_FOLDER
        folder = folder.resolve()
        check(settings, folder)
        folder.parent.mkdir(parents=True, exist_ok=True)  # as anybody's folders are, which others may pass through
        os.umask(postgres.PRIVATE)
        folder.mkdir(exist_ok=True)
        port = settings.api.port if given.port is None else given.port
        return serve(settings, folder, port=port, command=given.command, anew=given.anew)
    except OSError as error:
        return _failed(FileSystemError.of(error))
    except ThreadwiseError as error:
        return _failed(error)
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.native", description="Server mode without containers.")
    parser.add_argument("--port", type=int, help="where REST listens, 0 = any [default: THREADWISE_API__PORT]")
    parser.add_argument("--data-dir", help=f"[default: THREADWISE_DATA_DIR, or {DEFAULT_FOLDER}]")
    parser.add_argument("--anew", action="store_true", help="begin empty: remove what an earlier --anew left")
    parser.add_argument("command", nargs="*", help="after --: run this command on it, then stop")
    return parser


def _failed(error: ThreadwiseError) -> int:
    tell(as_text(error))
    return exit_code(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
