"""Gives up, for good, what a process that opens other people's files has no use for.

Sources: seccomp_filter.rst, no_new_privs.rst and landlock.rst in the kernel's
Documentation/userspace-api; numbers from its arch/x86/entry/syscalls/syscall_64.tbl and
include/uapi/asm-generic/unistd.h.
"""

import ctypes
import errno
import os
import platform
import resource
import signal
import socket
import struct
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

NONE = -1

# Each on x86-64 and on arm64; NONE where there is none.
SYSTEM_CALLS: dict[str, tuple[int, int]] = {
    # what is open already, and files that may be read
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "lseek": (8, 62), "close": (3, 57), "poll": (7, NONE), "ppoll": (271, 73),
    "recvfrom": (45, 207), "sendto": (44, 206), "open": (2, NONE), "openat": (257, 56),
    "stat": (4, NONE), "fstat": (5, 80),
    "lstat": (6, NONE), "newfstatat": (262, 79), "statx": (332, 291), "access": (21, NONE),
    "faccessat": (269, 48), "faccessat2": (439, 439), "readlink": (89, NONE),
    "readlinkat": (267, 78), "getcwd": (79, 17), "getdents64": (217, 61),
    "fadvise64": (221, 223),
    # memory
    "mmap": (9, 222), "munmap": (11, 215), "mremap": (25, 216), "mprotect": (10, 226),
    "pipe2": (293, 59), "madvise": (28, 233), "brk": (12, 214), "mincore": (27, 232),
    # threads, its own signals, time
    "futex": (202, 98), "set_robust_list": (273, 99), "rseq": (334, 293),
    "set_tid_address": (218, 96), "sched_yield": (24, 124), "sched_getaffinity": (204, 123),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132), "restart_syscall": (219, 128), "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "gettimeofday": (96, 169), "time": (201, NONE), "times": (100, 153), "getrandom": (318, 278),
    "getcpu": (309, 168), "membarrier": (324, 283),
    # itself
    "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178), "getuid": (102, 174),
    "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177), "getrusage": (98, 165),
    "getrlimit": (97, 163), "sysinfo": (99, 179), "uname": (63, 160), "exit": (60, 93),
    "exit_group": (231, 94),
}  # fmt: skip
# Flags of files that do more than read, and rare flags of common calls, which had rare faults.
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CLONE = (56, 220)
_CLONE3 = 435  # the same everywhere; its flags lie in memory, where no filter can look
_PRLIMIT = (302, 261)  # of any process, to look at and to set
_CLONE_THREAD = 0x00010000
_FORBIDDEN_BITS = {  # in which argument
    "open": (1, _WRITING), "openat": (2, _WRITING), "pipe2": (1, os.O_EXCL),
    "sendto": (3, socket.MSG_OOB), "recvfrom": (3, socket.MSG_OOB),
}  # fmt: skip

MOST_TASKS = 4096  # processes and threads of this user; none for root
MOST_DESCRIPTORS = 4096  # the process that forks the workers has a handful

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# linux/seccomp.h, linux/bpf_common.h
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _HAS, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _ARCH, _FIRST, _THIRD = 0, 4, 16, 32  # in struct seccomp_data

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_FILTER_MODE = 2
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITIES_3 = 0x20080522

# linux/landlock.h; the calls have the same numbers everywhere
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_NETWORK_ABI, _NETWORK_RIGHTS = 4, 3
_SCOPE_ABI, _SCOPES = 6, 3  # abstract sockets, and signals to processes outside

Filter = list[tuple[int, int, int, int]]


def confine_files() -> bool:
    """Leave this process and its children nothing but to read what Python itself is made of.

    Whether the system can; Landlock is part of Linux since 5.13.
    """
    if sys.platform != "linux":
        return False
    abi = _call(_CREATE_RULESET, 0, 0, 1)
    if abi < 1:
        return False
    rights = _FILE_RIGHTS[max(known for known in _FILE_RIGHTS if known <= abi)]
    network = _NETWORK_RIGHTS if abi >= _NETWORK_ABI else 0
    scopes = _SCOPES if abi >= _SCOPE_ABI else 0
    handled = struct.pack("<QQQ", rights, network, scopes)  # an older kernel takes zeros at the end
    ruleset = _call(_CREATE_RULESET, handled, len(handled), 0)
    for path in _list_readable():
        _let_read(ruleset, path)
    is_done: bool = _control(_PR_SET_NO_NEW_PRIVS, 1) and _call(_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return is_done


def confine_calls() -> bool:
    """Let this process ask the system for nothing but what a computation needs; whether it can.

    No new program, process, socket, descriptor of another process, or signal to one. What is not
    allowed fails with EPERM.
    """
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _AUDIT_ARCH:
        return False
    program = b"".join(struct.pack("<HBBI", *step) for step in _make_filter(machine))
    buffer = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    return _control(_PR_SET_NO_NEW_PRIVS, 1) and _control(_PR_SET_SECCOMP, _FILTER_MODE, head)


def give_up_privileges() -> None:
    """Keep no capability, and let no other process look inside."""
    if sys.platform != "linux":
        return
    _control(_PR_SET_DUMPABLE, 0)
    if (number := _CAPSET.get(platform.machine())) is not None:
        _call(number, struct.pack("<Ii", _CAPABILITIES_3, 0), bytes(24))


def end_with_parent(parent: int) -> None:
    """Be killed as soon as the process that forked this one has ended, or end if it has."""
    if sys.platform == "linux":
        _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def go_first() -> None:
    """Linux: let this process and its children be ended before others if memory runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def measure_memory() -> int | None:
    """Bytes of address space in use; None if the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return None


def limit(memory: int | None) -> None:
    """Bytes of address space, None for any; no core dump, no file that grows, not all threads."""
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_NPROC: MOST_TASKS}
    if memory is not None:
        limits[resource.RLIMIT_AS] = memory
    for kind, most in limits.items():
        _, highest = resource.getrlimit(kind)
        least = most if highest == resource.RLIM_INFINITY else min(most, highest)
        resource.setrlimit(kind, (least, least))


def close_descriptors(kept: int) -> None:
    """All but one; the three that every program has lead where the first one does."""
    os.dup2(0, 1)
    os.dup2(0, 2)
    os.closerange(3, kept)
    os.closerange(kept + 1, MOST_DESCRIPTORS)


def _list_readable() -> Iterator[Path]:
    """The standard library, what is installed, this service's code, and shared libraries."""
    paths = sysconfig.get_paths()
    names = {paths[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    names |= {name for name in sys.path if name.endswith(("site-packages", "dist-packages"))}
    names |= {"/lib", "/lib64", "/usr/lib", "/usr/local/lib", "/usr/share/zoneinfo"}
    names |= {"/etc/ld.so.cache", "/etc/localtime", "/dev/null", "/dev/urandom"}
    yield Path(__file__).resolve().parents[1]
    yield from (path for name in sorted(names) if (path := Path(name)).exists())


def _let_read(ruleset: int, path: Path) -> None:
    rights = _READ_FILE | _READ_FOLDER if path.is_dir() else _READ_FILE
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    _call(_ADD_RULE, ruleset, 1, struct.pack("<Qi", rights, descriptor), 0)
    os.close(descriptor)


def _make_filter(machine: str) -> Filter:
    """A seccomp program; a jump is over as many steps as its third and fourth number say."""
    place = list(_AUDIT_ARCH).index(machine)
    fail, allow = (_RETURN, 0, 0, _FAIL | errno.EPERM), (_RETURN, 0, 0, _ALLOW)
    program: Filter = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, _AUDIT_ARCH[machine]),
        fail,
        (_LOAD, 0, 0, _NUMBER),
    ]

    def add(number: int, *steps: tuple[int, int, int, int]) -> None:
        """Return the verdict if this is the number of the call."""
        program.extend([(_EQUAL, 0, len(steps), number), *steps])

    # glibc takes the older call for one that does not exist.
    add(_CLONE3, (_RETURN, 0, 0, _FAIL | errno.ENOSYS))
    # A thread, and no process.
    add(_CLONE[place], (_LOAD, 0, 0, _FIRST), (_HAS, 1, 0, _CLONE_THREAD), fail, allow)
    # Limits are looked at, and not set: there is no new one, in either half of the pointer.
    halves = [(_LOAD, 0, 0, _THIRD), (_EQUAL, 1, 0, 0), fail]
    halves += [(_LOAD, 0, 0, _THIRD + 4), (_EQUAL, 1, 0, 0), fail]
    add(_PRLIMIT[place], *halves, allow)
    for name, numbers in SYSTEM_CALLS.items():
        argument, bits = _FORBIDDEN_BITS.get(name, (0, 0))
        look = [(_LOAD, 0, 0, _FIRST + 8 * argument), (_HAS, 0, 1, bits), fail] if bits else []
        if numbers[place] != NONE:
            add(numbers[place], *look, allow)
    return [*program, fail]


def _control(option: int, value: int, pointer: bytes | int = 0) -> bool:
    return bool(_libc().prctl(option, *map(_widen, (value, pointer, 0, 0))) == 0)


def _call(number: int, *arguments: int | bytes) -> int:
    return int(_libc().syscall(*map(_widen, (number, *arguments))))


def _widen(argument: int | bytes) -> ctypes.c_long | bytes:
    """As a register holds it: a plain integer would leave its upper half as it was."""
    return argument if isinstance(argument, bytes) else ctypes.c_long(argument)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
