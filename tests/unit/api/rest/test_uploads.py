"""An upload is whole, on the disk and known by its hash, or it is not there; and there has to be room for it."""

import asyncio
import errno
import hashlib
import os
from pathlib import Path

import pytest
from fastapi import Request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Message, Receive

from api.rest.uploads import Upload, Uploads
from core.errors import StorageFullError, ThreadwiseError

LIMIT = 1000


def room(_coming: int) -> None:
    """A disk without an end."""


def full(_coming: int) -> None:
    """A disk without a byte."""
    raise StorageFullError("There is nothing free on /srv/threadwise.", hint="Make room.")


async def never() -> Message:
    """A body that nobody may ask for."""
    raise AssertionError


def body(*parts: bytes) -> Receive:
    """A body that comes in parts."""
    messages = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)} for number, part in enumerate(parts, 1)
    ]

    async def receive() -> Message:
        return messages.pop(0)

    return receive


def received(uploads: Uploads, receive: Receive, *, keep: bool = False, **headers: str) -> tuple[Upload, bytes]:
    """The upload as it was inside the `with`, and what the file held there."""
    named = {"content-type": "text/markdown"} | {name.replace("_", "-"): value for name, value in headers.items()}
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)

    async def story() -> tuple[Upload, bytes]:
        async with uploads.received(request, "page.md") as upload:
            upload.kept = keep
            return upload, upload.path.read_bytes()

    return asyncio.run(story())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(parts=st.lists(st.binary(max_size=40), min_size=1, max_size=5), keep=st.booleans())
def test_what_comes_in_parts_lies_there_whole_and_stays_only_if_it_is_kept(
    tmp_path: Path, parts: list[bytes], *, keep: bool
) -> None:
    whole = b"".join(parts)
    uploads = Uploads(tmp_path / "uploads", limit=LIMIT, room=room)
    if not whole:
        with pytest.raises(ThreadwiseError):
            received(uploads, body(*parts), keep=keep)
        return
    upload, content = received(uploads, body(*parts), keep=keep)
    assert (content, upload.size, upload.sha) == (whole, len(whole), hashlib.sha256(whole).hexdigest())
    assert upload.path.exists() is upload.path.parent.exists() is keep


def test_without_room_nothing_of_it_is_read_and_nobody_learns_where_it_would_lie(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "uploads", limit=LIMIT, room=full)
    with pytest.raises(StorageFullError) as caught:
        received(uploads, never)
    assert "/srv" not in str(caught.value)
    assert not (tmp_path / "uploads").exists()


def test_what_is_announced_has_to_fit_before_it_comes(tmp_path: Path) -> None:
    asked: list[int] = []
    received(Uploads(tmp_path, limit=LIMIT, room=asked.append), body(b"abc"), content_length="3")
    assert asked == [3, 3]


def test_a_disk_that_fills_up_while_it_comes_is_full_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(_number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StorageFullError):
        received(Uploads(tmp_path, limit=LIMIT, room=room), body(b"abc"))
    assert not list(tmp_path.iterdir())
