"""Files on their way in: streamed to disk, counted while they come, and gone again when anything goes wrong."""

import asyncio
import errno
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from anyio import to_thread
from fastapi import Request
from starlette.requests import ClientDisconnect

from api.errors import FileSystemError
from api.rest.errors import (
    BodyTimeoutError,
    BodyTooLargeError,
    EmptyUploadError,
    LaterError,
    UnsupportedMediaTypeError,
)
from api.rest.watch import ClientLeftError
from core.errors import StorageFullError

AT_ONCE: Final = 4
SILENCE_SECONDS: Final = 30.0  # between two pieces of an upload
BLOCK: Final = 1024 * 1024
_READ: Final = re.compile(r"application/(zip|x-zip-compressed|octet-stream)|text/[\w.+-]+", re.ASCII)
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_STRANGE: Final = re.compile(r"[^\w. -]")


@dataclass(slots=True)
class Upload:
    """A file that is whole and on disk: its size in bytes and the SHA-256 (hex) of them.

    It goes again with the request unless it was `kept`, because a run reads it or may read it.
    """

    path: Path
    size: int
    sha: str
    kept: bool = False


class Uploads:
    """Receives files into a folder of their own, a few at a time.

    `room` takes bytes that are to come and raises `StorageFullError` where they would not leave enough of the disk.
    """

    def __init__(self, folder: Path, *, limit: int, room: Callable[[int], None]) -> None:
        self._folder = folder
        self._limit = limit
        self._room = room
        self._open = 0

    @asynccontextmanager
    async def received(self, request: Request, name: str) -> AsyncIterator[Upload]:
        """The file, whole and on disk whatever happens to this machine; removed after the `with` unless it is kept.

        Raises `UnsupportedMediaTypeError`, `BodyTooLargeError`, `BodyTimeoutError`, `EmptyUploadError`, `LaterError`,
        `StorageFullError` and `FileSystemError`; `ClientLeftError` when the client leaves in the middle.
        """
        self._check(request)
        folder = self._folder / uuid.uuid4().hex
        upload: Upload | None = None
        self._open += 1
        try:
            upload = await self._stored(request, folder, folder / safe_name(name))
            yield upload
        finally:
            if upload is None or not upload.kept:
                await to_thread.run_sync(_removed, folder)
            self._open -= 1

    def _check(self, request: Request) -> None:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not _READ.fullmatch(kind):
            raise UnsupportedMediaTypeError(
                "A body of that kind is not read.",
                hint="Send application/json, application/zip, application/octet-stream or text/….",
            )
        announced = int(request.headers.get("content-length") or 0)
        if announced > self._limit:
            raise self._too_large()
        if self._open >= AT_ONCE:
            raise LaterError("Too many uploads at once.", seconds=SILENCE_SECONDS)
        self._check_room(announced)

    async def _stored(self, request: Request, folder: Path, path: Path) -> Upload:
        try:
            await to_thread.run_sync(lambda: folder.mkdir(parents=True, mode=0o700))
            with path.open("xb") as file:
                upload = await self._written(request, path, file)
            await to_thread.run_sync(_entered, folder)
        except OSError as error:
            if error.errno in _FULL:
                raise StorageFullError("The disk is full.", hint="Free some of it, then send it again.") from error
            raise FileSystemError.of(error) from error
        if not upload.size:
            raise EmptyUploadError("The upload has no bytes.", hint="Send the file as the body.")
        return upload

    async def _written(self, request: Request, path: Path, file: BinaryIO) -> Upload:
        size, sha = 0, hashlib.sha256()

        def write(block: bytes) -> None:
            self._check_room(len(block))
            sha.update(block)
            file.write(block)

        async for block in _blocks(request):
            size += len(block)
            if size > self._limit:
                raise self._too_large()
            await to_thread.run_sync(write, block)
        await to_thread.run_sync(_settled, file)
        return Upload(path, size, sha.hexdigest())

    def _check_room(self, coming: int) -> None:
        try:
            self._room(coming)
        except StorageFullError as error:
            # Where uploads lie on this machine is nobody's business.
            raise StorageFullError("There is no room for this upload.", hint=error.hint) from error

    def _too_large(self) -> BodyTooLargeError:
        return BodyTooLargeError(
            f"The upload has more than {self._limit} bytes.", hint="THREADWISE_API__MAX_UPLOAD_BYTES is the limit."
        )


def safe_name(name: str) -> str:
    """The last part of a name, without what a file system or a shell could mistake; never hidden, never empty."""
    last = _STRANGE.sub("_", re.split(r"[/\\]", name)[-1])[-100:].strip(" .")
    return last or "upload"


async def _blocks(request: Request) -> AsyncIterator[bytes]:
    """The body in blocks that are worth a write of their own."""
    pieces = aiter(request.stream())
    block = bytearray()
    with suppress(StopAsyncIteration):
        while True:
            block += await _next(pieces)
            if len(block) >= BLOCK:
                yield bytes(block)
                block.clear()
    yield bytes(block)


async def _next(pieces: AsyncIterator[bytes]) -> bytes:
    try:
        async with asyncio.timeout(SILENCE_SECONDS):
            return await anext(pieces)
    except TimeoutError:
        raise BodyTimeoutError("The upload stopped coming.", hint="Send it again.") from None
    except ClientDisconnect:
        raise ClientLeftError from None


def _settled(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _entered(folder: Path) -> None:
    """Keep the names as well: a file whose folder was never written is not there after a crash."""
    for place in (folder, folder.parent, folder.parent.parent):
        number = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _removed(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
