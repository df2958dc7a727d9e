"""Whether a ledger is what was signed: `waybill audit verify`. The checks are those of `docs/ledger-format.md`.

Fast: footers, signatures, numbering and the digests of all files; the newest segment and every hand-over of the key are recomputed from
their rows. Deep: every row. `docs/verify_ledger.py` checks the same and shares no code with this.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sinks.errors import LedgerError, LedgerUnavailableError
from sinks.ledger import files
from sinks.ledger.chain import Chain, follow
from sinks.ledger.note import VerifierKey
from sinks.ledger.recompute import Fault, FaultError, first_fault
from sinks.ledger.seal import SealError, origin, unverified
from sinks.ledger.segments import CHECKPOINT

_KNOWN = {files.SEGMENTS: re.compile(r"(?!0{8})[0-9]{8}\.parquet|[1-9][0-9]{8,}\.parquet"), files.ARCHIVE: files.ARCHIVED_NAME}
_TEMPORARY = ".tmp-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What verification found. `fault`: the first thing that is wrong, in the order of the log; None when the ledger is intact.

    entries, segments: as far as the log could be followed. keys: those in force, in order. temporaries: unfinished commits, ignored.
    compared: how many checkpoints from outside the log was compared with; those of one folder, or of a job's anchors. covered: the last
    entry that the newest of them speaks of: what came after it could be gone.
    """

    fault: Fault | None
    entries: int
    segments: int
    archives: int
    temporaries: int
    keys: tuple[VerifierKey, ...]
    pinned: bool
    deep: bool
    compared: int = 0
    covered: int = 0


def verify(
    path: Path,
    *,
    deep: bool = False,
    pinned: Sequence[VerifierKey] = (),
    anchors: Sequence[Path] = (),
    copies: Sequence[tuple[str, str]] = (),
) -> Verdict:
    """Check the ledger in the folder `path`. `pinned`: keys of which those under the ledger's name must have signed it.

    `anchors`: folders with copies of checkpoints. `copies`: more of them, read before this is called, each with a name. Raises LedgerError
    when there is nothing to check, or when files go while it is read.
    """
    ledger = path.resolve()
    chain = Chain()
    try:
        # Before the files are listed: a note that is published meanwhile would speak of more than was listed.
        published, anchored = _published(ledger), [copy for anchor in anchors for copy in _anchored(anchor)]
        archives: list[files.Archived] = []
        faults = []
        try:
            _check_kinds(ledger)
            segments, archives = files.numbered(ledger / files.SEGMENTS), files.archived(ledger)
            if not segments and not archives:
                raise LedgerError(f"{ledger}: no ledger here (no segments); name the folder that holds `segments`")
            follow(chain, segments, archives)
            _check_pins(chain, pinned)
            _check_folders(chain, ledger)
            _check_copies(chain, published)
            _check_copies(chain, [*anchored, *copies])
        except FaultError as error:
            faults.append(error.fault)
        if deep and (found := first_fault(chain.stretches)) is not None:
            faults.append(found)
    except FileNotFoundError as error:
        raise LedgerUnavailableError(f"{error.filename}: gone while the ledger was verified; run it again") from error
    except OSError as error:
        raise LedgerUnavailableError(f"{error.filename or ledger}: cannot be read ({error.strerror}); check the permissions") from error
    return Verdict(
        fault=min(faults, key=lambda fault: fault.seq, default=None),
        entries=chain.size,
        segments=chain.segment,
        archives=len(archives),
        temporaries=sum(map(_is_temporary, _names(ledger / files.SEGMENTS))),
        keys=tuple(chain.used),
        pinned=bool(pinned),
        deep=deep,
        compared=len(anchored) + len(copies),
        covered=0 if faults else max((int(note.split("\n")[1]) for _, note in [*anchored, *copies]), default=0),
    )


def _check_pins(chain: Chain, pinned: Sequence[VerifierKey]) -> None:
    """A pinned key vouches for all that came before what it signed, and for the keys that it handed over to."""
    name = origin(chain.ledger_id)
    wanted = [key for key in pinned if key.name == name]
    if pinned and not wanted:
        raise FaultError(1, f"the ledger is {name}, but the pinned key is of {', '.join(sorted({key.name for key in pinned}))}")
    for key in wanted:
        if key not in chain.used:
            raise FaultError(1, f"signed by the key {chain.used[0].hash.hex()}, never by the pinned key {key.hash.hex()}")


def _check_kinds(ledger: Path) -> None:
    """Files of the log are plain files. Looked at first: a link leads to what may change, and whoever opens a pipe waits for ever."""
    for folder, known in _KNOWN.items():
        if not os.path.lexists(ledger / folder):
            continue
        if not stat.S_ISDIR((ledger / folder).lstat().st_mode):
            raise FaultError(1, f"{folder}: a link, or no folder")
        with os.scandir(ledger / folder) as entries:
            strange = sorted(entry.name for entry in entries if known.fullmatch(entry.name) and not entry.is_file(follow_symlinks=False))
        if strange:
            raise FaultError(1, f"{folder}/{strange[0]}: a link, or no plain file")


def _check_folders(chain: Chain, ledger: Path) -> None:
    for folder, known in _KNOWN.items():
        names = [name for name in _names(ledger / folder) if not _is_temporary(name)]
        strange = {name for name in names if not known.fullmatch(name)}
        if folder == files.ARCHIVE:  # a number with a zero too many: readers do not list it
            strange |= {name for name in names if not files.Archived.parse(ledger / folder / name)}
        if strange:
            what = "a file that is" if len(strange) == 1 else f"{len(strange)} files that are"
            raise FaultError(chain.size + 1, f"{folder}: {what} no part of the log, {min(strange)!r} first")


def _is_temporary(name: str) -> bool:
    """An unfinished commit, which no reader looks at: a glob in DuckDB matches hidden names too, but only those of Parquet files."""
    return name.startswith(_TEMPORARY) and not name.endswith(".parquet")


def _check_copies(chain: Chain, copies: Sequence[tuple[Path | str, str]]) -> None:
    """Copies of checkpoints, in the ledger folder and from anchors, must be of this log."""
    agreed = 0
    for file, text in sorted(copies, key=lambda copy: _size(copy[1])):
        try:
            checkpoint = unverified(text)
        except SealError as error:
            raise FaultError(agreed + 1, f"{file}: {error}") from None
        if checkpoint.origin != origin(chain.ledger_id):
            raise FaultError(1, f"{file}: a checkpoint of {checkpoint.origin}, but the ledger is {origin(chain.ledger_id)}")
        if checkpoint.size > chain.size:
            raise FaultError(
                chain.size + 1, f"{file}: a checkpoint of {checkpoint.size} entries, but the log ends at {chain.size}: its tail is gone"
            )
        if chain.notes.get(checkpoint.size) != text:  # every line and the signature, not the root alone
            raise FaultError(agreed + 1, f"{file}: a checkpoint of {checkpoint.size} entries that is not one of this log")
        agreed = checkpoint.size


def _size(note: str) -> int:
    try:
        return unverified(note).size
    except SealError:
        return 0


def _published(ledger: Path) -> list[tuple[Path, str]]:
    """The copy in the ledger folder. It is not synced to disk, so that a power cut may leave none, or an empty one."""
    try:
        text = _text(ledger / CHECKPOINT)
    except FileNotFoundError:
        return []
    return [(ledger / CHECKPOINT, text)] if text else []


def _anchored(anchor: Path) -> list[tuple[Path, str]]:
    found = [(file, _text(file)) for file in sorted(anchor.glob("*.note"))]
    if not found:
        raise LedgerError(f"{anchor}: no checkpoints here (no .note files); name the folder that the ledger is anchored in")
    return found


def _text(file: Path) -> str:
    if not stat.S_ISREG(file.stat().st_mode):
        return "no file"  # and so no checkpoint: whoever opens a pipe waits for ever
    return file.read_bytes().decode("utf-8", "replace")


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are all that is asked for
    except (FileNotFoundError, NotADirectoryError):
        return []
