"""Hostile files cost nobody more than themselves."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ingest.errors import RefusedError
from ingest.formats.parsed import (
    DocumentTooLargeError,
    EncryptedDocumentError,
    ParserMemoryError,
    ParserTimeoutError,
    ParserUnavailableError,
    SandboxError,
    UnreadableDocumentError,
)
from ingest.formats.rights import Libc, confine, limit
from ingest.formats.sandbox import ROOT, Sandbox
from tests.support import pdf_files
from tests.support.hostile_parser import CANARY, parse

HOSTILE = "tests.support.hostile_parser"
PDF = "ingest.formats.pdf"
WORDS = b"BT /F1 12 Tf 72 700 Td (words) Tj ET"
FORM = b"/Type /XObject /Subtype /Form /BBox [0 0 99 99] /Resources << /XObject << /X %d 0 R >> >>"
PARENT = f"""
import sys, time
from ingest.formats.rights import Libc, confine, limit
from ingest.formats.sandbox import Sandbox
sandbox = Sandbox([{HOSTILE!r}], parse_seconds=60, parse_memory_mb=256)
sandbox.parse({HOSTILE!r}, b"", "pid")
print(sandbox.pid, flush=True)
sandbox.parse({HOSTILE!r}, b"", sys.argv[1])
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox([HOSTILE, PDF], parse_seconds=60, parse_memory_mb=128) as opened:
        yield opened


@pytest.fixture(scope="module")
def hasty() -> Iterator[Sandbox]:
    with Sandbox([HOSTILE, PDF], parse_seconds=1, parse_memory_mb=128) as opened:
        yield opened


def said(sandbox: Sandbox, deed: str, raw: bytes = b"") -> str:
    (document,) = sandbox.parse(HOSTILE, raw, deed)
    return document.blocks[0].text


def copies_of(pid: int | None) -> list[int]:
    return [int(found) for found in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    with suppress(OSError):
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    return False


def until(holds: Callable[[], object]) -> bool:
    for _ in range(1000):
        if holds():
            return True
        time.sleep(0.01)
    return False


def limited(deed: str) -> str:
    """What a hostile parser says under the limits without the filter, in a process that is nobody's."""
    read, write = os.pipe()
    if not (pid := os.fork()):
        try:
            confine(Libc())
            limit(memory=1 << 40, seconds=9)
            os.write(write, parse(b"", deed)[0].blocks[0].text.encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read) as answer:
        return answer.read()


def test_bytes_go_in_and_documents_come_out(sandbox: Sandbox) -> None:
    assert said(sandbox, "echo", "Grüße\n".encode()) == "Grüße\n"
    assert said(sandbox, "echo", b"x" * 3_000_000) == "x" * 3_000_000


def test_each_file_is_read_by_a_process_of_its_own_that_is_gone_afterwards(sandbox: Sandbox) -> None:
    first, child = said(sandbox, "pid"), sandbox.pid
    assert len({first, said(sandbox, "pid"), str(child)}) == 3
    assert sandbox.pid == child
    assert not copies_of(child)


def test_a_file_that_takes_its_reader_over_changes_nothing_for_the_next_one(sandbox: Sandbox) -> None:
    said(sandbox, "echo", b"start it")
    child = sandbox.pid
    assert said(sandbox, "poison") == "poisoned"
    assert said(sandbox, "echo", b"next") == "next"
    assert sandbox.pid == child


def test_a_file_whose_reader_answers_and_stays_is_read_and_its_reader_ended(sandbox: Sandbox) -> None:
    said(sandbox, "echo", b"start it")
    child = sandbox.pid
    assert [document.blocks for document in sandbox.parse(HOSTILE, b"", "linger")] == [()]
    assert not copies_of(child)
    assert said(sandbox, "echo", b"next") == "next"
    assert sandbox.pid == child


@pytest.mark.parametrize(
    ("deed", "kind"),
    [
        ("hog", ParserMemoryError),
        ("crash", SandboxError),
        ("exit", SandboxError),
        ("recurse", UnreadableDocumentError),
        ("fail", UnreadableDocumentError),
        ("locked", EncryptedDocumentError),
    ],
)
def test_a_file_that_does_harm_is_refused_and_the_next_one_is_read(
    sandbox: Sandbox, deed: str, kind: type[RefusedError]
) -> None:
    with pytest.raises(RefusedError) as caught:
        sandbox.parse(HOSTILE, b"", deed)
    assert type(caught.value) is kind
    assert CANARY not in f"{caught.value}{caught.value.hint}"
    assert not copies_of(sandbox.pid)
    assert said(sandbox, "echo", b"next") == "next"


@pytest.mark.parametrize("deed", ["loop", "sleep"])
def test_a_file_that_takes_too_long_is_refused_and_the_next_one_is_read(hasty: Sandbox, deed: str) -> None:
    with pytest.raises(ParserTimeoutError):
        hasty.parse(HOSTILE, b"", deed)
    assert not copies_of(hasty.pid)
    assert said(hasty, "echo", b"next") == "next"


@pytest.mark.parametrize(
    ("deed", "answer"),
    [
        *((deed, str(errno.EPERM)) for deed in ("open", "write", "socket", "fork", "name a file")),
        *((deed, str(errno.EPERM)) for deed in ("signal the parent", "limit the parent", "read the parent")),
        ("raise limits", "refused"),
        ("folder", "/"),
        ("print", "printed 0"),
    ],
)
def test_what_parsing_does_not_need_is_out_of_reach(sandbox: Sandbox, deed: str, answer: str) -> None:
    assert said(sandbox, deed) == answer


@pytest.mark.parametrize(
    ("deed", "answer"),
    [("open", errno.EMFILE), ("write", errno.EMFILE), ("socket", errno.EMFILE), ("fork", errno.EAGAIN)],
)
def test_the_limits_alone_keep_files_and_processes_out_of_reach(deed: str, answer: int) -> None:
    assert limited(deed) == str(answer)


def test_the_environment_is_not_handed_on(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THREADWISE_TOKEN", "secret")
    sandbox.close()
    assert {*said(sandbox, "environment").split(",")} <= {"LC_CTYPE", "OPENBLAS_NUM_THREADS", "PYTHONHASHSEED"}


def test_a_child_that_died_between_two_files_is_no_fault_of_the_next(sandbox: Sandbox) -> None:
    said(sandbox, "echo", b"start it")
    pid = sandbox.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert said(sandbox, "echo", b"next") == "next"


def test_a_child_that_dies_under_a_file_takes_its_copy_along_and_the_next_file_is_read(sandbox: Sandbox) -> None:
    said(sandbox, "echo", b"start it")
    child = sandbox.pid
    assert child is not None
    seen: list[int] = []

    def kill() -> None:
        until(lambda: copies_of(child))
        seen.extend(copies_of(child))
        os.kill(child, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises((SandboxError, ParserUnavailableError)):  # the latter where it had not told of its copy yet
        sandbox.parse(HOSTILE, b"", "sleep")
    killer.join()
    assert seen
    assert until(lambda: not any(map(is_alive, seen)))
    assert said(sandbox, "echo", b"next") == "next"


def test_an_interrupt_meant_for_the_reader_does_not_end_the_child(sandbox: Sandbox) -> None:
    said(sandbox, "echo", b"start it")
    pid = sandbox.pid
    assert pid is not None
    os.kill(pid, signal.SIGINT)
    assert said(sandbox, "echo", b"next") == "next"
    assert sandbox.pid == pid
    assert os.getpgid(pid) != os.getpgid(0)


def test_threads_take_turns(sandbox: Sandbox) -> None:
    found: dict[int, str] = {}

    def ask(number: int) -> None:
        found[number] = said(sandbox, "echo", str(number).encode() * 100_000)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: str(number) * 100_000 for number in range(4)}


def test_closing_reaps_the_child() -> None:
    with Sandbox([HOSTILE], parse_seconds=5, parse_memory_mb=128) as opened:
        copy, child = said(opened, "pid"), opened.pid
    assert opened.pid is None
    assert not any(Path("/proc", str(pid)).exists() for pid in (copy, child))


def test_a_child_that_cannot_start_is_no_fault_of_the_file() -> None:
    missing = "tests.support.no_such_parser"
    with Sandbox([missing], parse_seconds=5, parse_memory_mb=128) as broken, pytest.raises(ParserUnavailableError):
        broken.parse(missing, b"", "a")


def test_more_text_than_any_document_has_is_refused() -> None:
    with Sandbox([HOSTILE], parse_seconds=30, parse_memory_mb=512) as opened, pytest.raises(DocumentTooLargeError):
        said(opened, "long")


def test_what_a_child_says_unasked_is_taken_for_no_answer(sandbox: Sandbox) -> None:
    for _ in range(2):
        with pytest.raises(SandboxError):
            said(sandbox, "lie")
        assert said(sandbox, "echo", b"next") == "next"


@pytest.mark.parametrize("deed", ["sleep", "loop"])
def test_the_child_and_its_copy_die_with_whoever_asked(deed: str) -> None:
    command = [sys.executable, "-c", PARENT, deed]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env={"PATH": os.environ["PATH"]}) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert until(lambda: copies_of(child))
        family = [child, *copies_of(child)]
        parent.kill()
    assert until(lambda: not any(map(is_alive, family)))


HOSTILE_PDFS = {
    "a page that unpacks to more than there is memory": pdf_files.one_page(
        pdf_files.packed_stream(WORDS + b" " * (1 << 28))
    ),
    "forms that draw ten others each": pdf_files.one_page(
        pdf_files.stream(b"/X Do"),
        resources=b"<< /XObject << /X 6 0 R >> >>",
        extra={number: pdf_files.stream(b"/X Do " * 10, keys=FORM % (number + 1)) for number in range(6, 16)},
    ),
    "arrays in arrays": pdf_files.one_page(pdf_files.stream(b"[" * 200_000 + WORDS)),
    "a catalogue of arrays in arrays": pdf_files.file_of({1: b"<< /Pages 2 0 R /X " + b"[" * 200_000 + b" >>"}),
    "a page tree that holds itself": pdf_files.file_of(
        {1: b"<< /Type /Catalog /Pages 2 0 R >>", 2: b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 9 >>"}
    ),
    "a password": pdf_files.encrypted(),
    "half of a file": pdf_files.pdf([pdf_files.lines("words")] * 20)[:2000],
}


@pytest.mark.parametrize("raw", HOSTILE_PDFS.values(), ids=HOSTILE_PDFS.keys())
def test_a_hostile_pdf_is_refused_within_its_limits_and_the_next_one_is_read(hasty: Sandbox, raw: bytes) -> None:
    with pytest.raises(RefusedError):
        hasty.parse(PDF, raw, "a.pdf")
    (found,) = hasty.parse(PDF, pdf_files.pdf([pdf_files.lines("next")]), "b.pdf")
    assert [block.text for block in found.blocks] == ["next"]


def test_tables_of_objects_that_refer_to_themselves_lose_nothing(sandbox: Sandbox) -> None:
    raw = pdf_files.pdf([pdf_files.lines("words")])
    loop = raw.replace(b"/Root", b"/Prev %d /Root" % raw.index(b"xref\n0"))
    (found,) = sandbox.parse(PDF, loop, "a.pdf")
    assert [block.text for block in found.blocks] == ["words"]


def test_a_document_of_very_many_pages_is_read_whole(*, full_size: bool) -> None:
    count = 10_000 if full_size else 500
    raw = pdf_files.pdf([pdf_files.lines(f"word{number}") for number in range(count)])
    with Sandbox([PDF], parse_seconds=60, parse_memory_mb=1024) as opened:
        (found,) = opened.parse(PDF, raw, "a.pdf")
    assert [(block.anchor, block.text) for block in found.blocks] == [
        (f"page={number + 1}", f"word{number}") for number in range(count)
    ]
