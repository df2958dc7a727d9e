"""No network: the worker moves into a network namespace with nothing but loopback, and looks whether that is so.

A user namespace first, which any user may make where the system allows it; the worker's own user and group are mapped to themselves, so
that files stay writable and private. Without one, root makes the network namespace alone. It must happen before any thread starts.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import struct
from pathlib import Path

from .errors import RefusedError

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_AF_INET, _SOCK_DGRAM = 2, 2
_SIOCSIFFLAGS = 0x8914
_UP_AND_RUNNING = 0x1 | 0x40
_INTERFACES = Path("/proc/self/net/dev")
_HEADER_LINES = 2


def isolate(mode: str) -> None:
    """Cut the process off as `mode` says (`none`, `netns`). Raises RefusedError when the system does not let it, or it did not help."""
    if mode == "none":
        return
    if mode != "netns":
        raise RefusedError("expected isolation `none` or `netns`, found another word; correct the endpoint's settings")
    library = ctypes.CDLL(None, use_errno=True)
    try:
        _leave(library)
        _raise_loopback(library)
        names = interfaces()
    except (OSError, AttributeError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not this system"
        raise RefusedError(f"isolation netns: this system makes no network namespace ({reason}); allow it or drop the demand") from None
    if names != ["lo"]:
        raise RefusedError(f"isolation netns: expected the interface lo alone, found {len(names)}; nothing was read")


def interfaces() -> list[str]:
    """The names of this process's network interfaces."""
    lines = _INTERFACES.read_text(encoding="ascii").splitlines()[_HEADER_LINES:]
    return [line.partition(":")[0].strip() for line in lines]


def _leave(library: ctypes.CDLL) -> None:
    user, group = os.getuid(), os.getgid()
    if library.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
        with contextlib.suppress(FileNotFoundError):
            Path("/proc/self/setgroups").write_text("deny", encoding="ascii")  # else no group may be mapped
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
        return
    _checked(library.unshare(_CLONE_NEWNET))


def _raise_loopback(library: ctypes.CDLL) -> None:
    """Torch's process group wants 127.0.0.1 even when it is alone."""
    handle = _checked(library.socket(_AF_INET, _SOCK_DGRAM, 0))
    try:
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _UP_AND_RUNNING))
    finally:
        os.close(handle)


def _checked(result: int) -> int:
    """The result of a C call, or its error."""
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result
