"""What a process gives up before it reads what may be hostile.

Each layer only adds to the others: a container or a kernel may forbid one of them, and nothing fails for it.
"""

import contextlib
import ctypes
import math
import os
import platform
import resource
import signal
import struct
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWNET = 0x08000000, 0x10000000, 0x40000000
CAPABILITY_VERSION = 0x20080522
NOBODY = 65534

SECCOMP_MODE_FILTER = 2
RET_KILL_PROCESS, RET_ERRNO, RET_ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
EPERM = 1
AUDIT_ARCH_X86_64 = 0xC000003E
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
NUMBER_AT, ARCHITECTURE_AT = 0, 4  # in struct seccomp_data
INSTRUCTION = struct.Struct("=HBBI")
CALLS_OF_X86_64 = (
    *(0, 1, 3, 5, 8, 19, 20, 72),  # read, write, close, fstat, lseek, readv, writev, fcntl
    *(9, 10, 11, 12, 25, 28),  # mmap, mprotect, munmap, brk, mremap, madvise
    *(13, 14, 15, 131, 219),  # rt_sigaction, rt_sigprocmask, rt_sigreturn, sigaltstack, restart_syscall
    *(35, 96, 201, 228, 230),  # nanosleep, gettimeofday, time, clock_gettime, clock_nanosleep
    *(24, 39, 79, 98, 186, 202, 318),  # sched_yield, getpid, getcwd, getrusage, gettid, futex, getrandom
    *(60, 231),  # exit, exit_group
)
"""All that a parser may ask of the kernel: memory, its one connection, the time. None names a file or a process."""


class Libc:
    """The calls that Python does not know."""

    def __init__(self) -> None:
        self._c = ctypes.CDLL(None, use_errno=True)

    def control(self, option: int, value: int) -> None:
        """Call prctl; whether it succeeds is not told."""
        self._c.prctl(option, ctypes.c_ulong(value), 0, 0, 0)

    def unshare(self, flags: int) -> bool:
        """Whether this process now has namespaces of its own."""
        return bool(self._c.unshare(flags) == 0)

    def drop_capabilities(self) -> None:
        """Give up every one."""
        self._c.capset((ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)())

    def filter(self, program: bytes) -> None:
        """From now on the kernel asks this program about each call of this process."""
        code = ctypes.create_string_buffer(program, len(program))
        pointer = struct.pack("@HP", len(program) // INSTRUCTION.size, ctypes.addressof(code))
        self._c.prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), pointer, 0, 0)


def confine(libc: Libc) -> None:
    """Give up what neither this process nor its copies need, once and for all."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir("/")
    is_apart = libc.unshare(CLONE_NEWNET | CLONE_NEWIPC)
    _become_nobody()
    if not is_apart:
        libc.unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC)
    libc.control(PR_SET_NO_NEW_PRIVS, 1)
    libc.drop_capabilities()
    libc.control(PR_SET_DUMPABLE, 0)


def die_with(parent: int, libc: Libc) -> None:
    """End when the parent does; the kernel forgets this where rights are given up, and in every copy."""
    libc.control(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def limit(*, memory: int, seconds: float) -> None:
    """Bytes of address space and seconds of the processor for this process; no file, no socket, no other process."""
    most = math.ceil(seconds) + 1
    for kind, soft, hard in (
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_CPU, most, most + 1),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_NPROC, 0, 0),
        (resource.RLIMIT_NOFILE, 0, 0),  # no file and no socket can be opened; what is open stays
    ):
        resource.setrlimit(kind, (soft, hard))


def memory_in_use() -> int:
    """Bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def filter_program() -> bytes:
    """Seccomp's program that refuses all calls but a parser's; empty for a machine whose numbers are not known here."""
    if platform.machine() != "x86_64":
        return b""
    calls = CALLS_OF_X86_64
    steps = [
        (LOAD_WORD, 0, 0, ARCHITECTURE_AT),
        (JUMP_IF_EQUAL, 1, 0, AUDIT_ARCH_X86_64),
        (RETURN, 0, 0, RET_KILL_PROCESS),
        (LOAD_WORD, 0, 0, NUMBER_AT),
        *((JUMP_IF_EQUAL, len(calls) - place, 0, number) for place, number in enumerate(calls)),
        (RETURN, 0, 0, RET_ERRNO | EPERM),
        (RETURN, 0, 0, RET_ALLOW),
    ]
    return b"".join(INSTRUCTION.pack(*step) for step in steps)


def _become_nobody() -> None:
    """Root may fork and raise limits whatever they are."""
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
