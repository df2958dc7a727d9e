"""Where secrets come from: the environment, a file with checked permissions, a Prefect block. Registry and job only name the place.

- `NAME`: an environment variable. `file:/PATH`: a file that nobody else can read or replace. `prefect:BLOCK`: a Secret block.
- What is read is never part of a message, a log, a repr or the cause of an error (invariant 5): errors name the place alone.
- Nothing is cached: a key that was rotated is the new one at the next night.

Not called `secrets.py`: with this folder on the path, as Prefect puts it, that would be found in the place of the standard library's.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from flows.errors import JobError

FILE, PREFECT = "file:", "prefect:"
MOST_BYTES = 16 * 1024


def secret_of(place: str, *, who: str, job_file: Path) -> str:
    """The secret that lies at `place`. who: needs it, for the message. Raises JobError that says what to do, and never what was found."""
    try:
        if place.startswith(FILE):
            return _from_file(Path(place.removeprefix(FILE)))
        if place.startswith(PREFECT):
            return _from_prefect(place.removeprefix(PREFECT))
        return _from_environment(place)
    except _UnusableError as error:
        raise JobError(f"{job_file}: {who} needs its key {error}") from None


class _UnusableError(Exception):
    """A place that gives no secret. Its text ends the sentence "… needs its key"."""


def _from_environment(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise _UnusableError(f"in the environment variable {name}; it is not set")
    return value


def _from_file(path: Path) -> str:
    where = f"in the file {path}"
    try:
        real = path.resolve(strict=True)
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise _UnusableError(f"{where}, which is no file")
            if found.st_mode & 0o077 or found.st_uid not in {0, os.geteuid()}:
                raise _UnusableError(f"{where}, which others can read or change; make it yours and run `chmod 600` on it")
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise _UnusableError(f"{where}, which cannot be read ({error.strerror})") from None
    except RuntimeError:  # a link that leads to itself, before Python 3.13
        raise _UnusableError(f"{where}, which is a link that leads nowhere") from None
    for folder in dict.fromkeys((path.parent.absolute(), *real.parents)):
        _check_folder(folder, where, direct=folder in {path.parent.absolute(), real.parent})
    return _one_line(content, where)


def _check_folder(folder: Path, where: str, *, direct: bool) -> None:
    """Where others can write, they can put another file, or a link, in its place; a sticky folder further up only lets them add."""
    mode = folder.stat().st_mode
    if mode & stat.S_IWOTH and (direct or not mode & stat.S_ISVTX):
        raise _UnusableError(f"{where}, and everybody can write in {folder}; move it to a folder of your own")


def _from_prefect(block: str) -> str:
    import flows.prefect_settings  # noqa: F401, PLC0415 - before Prefect reads its environment

    where = f"in the Prefect Secret block {block}"
    try:
        from prefect.blocks.system import Secret  # noqa: PLC0415 - seconds of imports, for those who use it

        value = Secret.load(block).get()  # type: ignore[union-attr]  # a coroutine only within a running event loop, where no flow of ours is
    except Exception as error:  # noqa: BLE001 - Prefect's errors are many, and some quote what was stored
        raise _UnusableError(f"{where}, which cannot be loaded ({type(error).__name__}); create it, and check PREFECT_API_URL") from None
    if not isinstance(value, str):
        raise _UnusableError(f"{where}, which holds something else than a text")
    return _one_line(value.encode(errors="replace"), where)


def _one_line(content: bytes, where: str) -> str:
    """One line of visible ASCII: anything else would break a header, or be none of a key."""
    value = content.removesuffix(b"\n").removesuffix(b"\r")
    if not value or len(value) > MOST_BYTES or not all(0x21 <= byte <= 0x7E for byte in value):  # noqa: PLR2004 - "!" to "~"
        raise _UnusableError(f"{where}, which does not hold one line of visible characters")
    return value.decode("ascii")
