"""Files on their way in: streamed to disk, counted while they come, and gone again when anything goes wrong."""

import asyncio
import os
import re
import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
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

AT_ONCE: Final = 4
SILENCE_SECONDS: Final = 30.0  # between two pieces of an upload
BLOCK: Final = 1024 * 1024
_READ: Final = re.compile(r"application/(zip|x-zip-compressed|octet-stream)|text/[\w.+-]+", re.ASCII)
_STRANGE: Final = re.compile(r"[^\w. -]")


class Uploads:
    """Receives files into a folder of their own, a few at a time."""

    def __init__(self, folder: Path, *, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._open = 0

    @asynccontextmanager
    async def received(self, request: Request, name: str) -> AsyncIterator[Path]:
        """The file, whole and on disk; removed when the body of the `with` raises.

        Raises `UnsupportedMediaTypeError`, `BodyTooLargeError`, `BodyTimeoutError`, `EmptyUploadError`, `LaterError`
        and `FileSystemError`; `ClientLeftError` when the client leaves in the middle.
        """
        self._check(request)
        folder = self._folder / uuid.uuid4().hex
        self._open += 1
        try:
            yield await self._stored(request, folder, folder / safe_name(name))
        except BaseException:
            await to_thread.run_sync(_removed, folder)
            raise
        finally:
            self._open -= 1

    def _check(self, request: Request) -> None:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not _READ.fullmatch(kind):
            raise UnsupportedMediaTypeError(
                "A body of that kind is not read.",
                hint="Send application/json, application/zip, application/octet-stream or text/….",
            )
        if int(request.headers.get("content-length") or 0) > self._limit:
            raise self._too_large()
        if self._open >= AT_ONCE:
            raise LaterError("Too many uploads at once.", seconds=SILENCE_SECONDS)

    async def _stored(self, request: Request, folder: Path, path: Path) -> Path:
        try:
            await to_thread.run_sync(lambda: folder.mkdir(parents=True, mode=0o700))
            with path.open("xb") as file:
                size = 0
                async for block in _blocks(request):
                    size += len(block)
                    if size > self._limit:
                        raise self._too_large()
                    await to_thread.run_sync(file.write, block)
                await to_thread.run_sync(_settled, file)
        except OSError as error:
            raise FileSystemError.of(error) from error
        if not size:
            raise EmptyUploadError("The upload has no bytes.", hint="Send the file as the body.")
        return path

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


def _removed(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
