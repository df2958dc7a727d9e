"""A job's ledger as it is found: whether there is one, and whether its keys are there. Reads only: what is missing is not made.

`Ledger.open` makes what it does not find, which is right for a first night and wrong for whoever only asks.
"""

from __future__ import annotations

from flows.job import Job
from sinks.errors import KeyMissingError, LedgerError
from sinks.ledger import files, signing
from sinks.ledger.keys import Keys
from sinks.ledger.seal import Seal
from sinks.ledger.segments import newest_key


def check_there(job: Job) -> None:
    """Raises LedgerError where the job has no ledger. One without an entry, of a first night that was killed, is one."""
    path = job.ledger.path
    if not files.head(path) and not (path / files.SEGMENTS).is_dir():
        raise LedgerError(f"{path}: no ledger here (no segments); name the folder that holds `segments`, or a job that has run")


def keys_at_hand(job: Job) -> Keys:
    """The keys of a ledger with entries.

    Raises KeyMissingError in the words of a night, where a night could not go on with them, and LedgerError for a damaged ledger.
    """
    ledger, folder = job.ledger.path.resolve(), job.ledger_keys
    keys, newest = Keys.open(folder, ledger_empty=False), newest_key(ledger)
    written_with = Seal.parse(files.footer(files.numbered_path(ledger / files.SEGMENTS, files.head(ledger)))).key_id
    if written_with != keys.key_id:
        raise KeyMissingError(
            f"{ledger}: written with the HMAC key {written_with}, but the key at hand is {keys.key_id}; restore the right one"
        )
    signing.ensure_key(folder, ledger_empty=False)
    if not (folder / signing.NEXT).exists():  # else a rotation was cut short, which only a writer may finish
        signing.load_for(folder, newest)
    return keys
