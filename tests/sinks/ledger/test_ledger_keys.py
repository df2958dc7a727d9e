from __future__ import annotations

import hmac
import multiprocessing
import stat
from pathlib import Path

import pytest

from sinks.errors import KeyMissingError, LedgerUnavailableError
from sinks.ledger.keys import KEY_FILE, Keys, default_path

PARTS = {"text": "Invented letter.", "metadata.subject": "Hello"}


def test_created_on_first_use_for_the_owner_alone(tmp_path: Path) -> None:
    Keys.open(tmp_path / "k", ledger_empty=True)
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "k" / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "k").iterdir()] == [KEY_FILE]


def test_opened_again_gives_the_same_digests(tmp_path: Path) -> None:
    first, second = (Keys.open(tmp_path, ledger_empty=empty) for empty in (True, False))
    assert first.key_id == second.key_id
    assert first.hmac("part", b"x") == second.hmac("part", b"x")


def test_another_key_gives_other_digests(tmp_path: Path) -> None:
    first, second = Keys.open(tmp_path / "a", ledger_empty=True), Keys.open(tmp_path / "b", ledger_empty=True)
    assert first.hmac("part", b"x") != second.hmac("part", b"x")
    assert first.key_id != second.key_id


def test_absent_key_of_a_filled_ledger_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(KeyMissingError, match="restore it from your backup"):
        Keys.open(tmp_path / "k", ledger_empty=False)
    assert not (tmp_path / "k").exists()


@pytest.mark.parametrize("content", ["", "zz", "00" * 31], ids=["empty", "not hex", "short"])
def test_damaged_key_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / KEY_FILE).write_text(content)
    (tmp_path / KEY_FILE).chmod(0o600)
    with pytest.raises(KeyMissingError, match="expected 32 bytes"):
        Keys.open(tmp_path, ledger_empty=True)


def test_key_open_to_everyone_is_refused(tmp_path: Path) -> None:
    Keys.open(tmp_path, ledger_empty=True)
    (tmp_path / KEY_FILE).chmod(0o644)
    with pytest.raises(KeyMissingError, match="chmod 600"):
        Keys.open(tmp_path, ledger_empty=False)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerUnavailableError, match="cannot be read or created"):
        Keys.open(tmp_path / "file" / "k", ledger_empty=True)


def _open(path: Path, start: object, results: object) -> None:
    start.wait()  # type: ignore[attr-defined]
    results.put(Keys.open(path, ledger_empty=True).key_id)  # type: ignore[attr-defined]


def test_racing_processes_end_with_one_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(3), context.Queue()
    processes = [context.Process(target=_open, args=(tmp_path / "k", start, results)) for _ in range(3)]
    for process in processes:
        process.start()
    found = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join(60)
    assert found == {Keys.open(tmp_path / "k", ledger_empty=False).key_id}


def test_repr_shows_no_key(tmp_path: Path) -> None:
    keys = Keys.open(tmp_path, ledger_empty=True)
    assert (tmp_path / KEY_FILE).read_text().strip() not in repr(keys) + str(keys)
    assert keys.key_id in repr(keys)


def test_purposes_are_separate(tmp_path: Path) -> None:
    keys = Keys.open(tmp_path, ledger_empty=True)
    assert len({keys.hmac(purpose, b"x") for purpose in ("part", "document", "payload", "shard")}) == 4
    assert len(keys.hmac("part", b"x")) == 32


def test_document_digest_is_made_of_its_part_digests(tmp_path: Path) -> None:
    keys = Keys.open(tmp_path, ledger_empty=True)
    parts = keys.part_hmacs(PARTS)
    assert keys.document_hmac(parts) == keys.document_hmac(dict(reversed(parts.items())))
    assert parts["text"] == keys.part_hmacs({"text": PARTS["text"]})["text"]


@pytest.mark.parametrize(
    "other",
    [
        {"text": "Invented letter", "metadata.subject": "Hello"},
        {"text": "Invented letter."},
        {"text": "Hello", "metadata.subject": "Invented letter."},
        {"text": "Invented letter.", "metadata.from": "Hello"},
    ],
    ids=["edited", "part dropped", "parts swapped", "slot renamed"],
)
def test_any_change_of_a_part_changes_the_document(tmp_path: Path, other: dict[str, str]) -> None:
    keys = Keys.open(tmp_path, ledger_empty=True)
    assert keys.document_hmac(keys.part_hmacs(other)) != keys.document_hmac(keys.part_hmacs(PARTS))


def test_text_that_is_no_text_is_hashed_all_the_same(tmp_path: Path) -> None:
    keys = Keys.open(tmp_path, ledger_empty=True)
    assert len(keys.part_hmacs({"text": "half a pair \ud83d"})["text"]) == 32


def test_record_ids_are_opaque_and_tell_members_apart(tmp_path: Path) -> None:
    keys = Keys.open(tmp_path, ledger_empty=True)
    ids = [
        keys.record_id("inbox/a.eml", None),
        keys.record_id("inbox/a.eml", None, "attachment 1"),
        keys.record_id("inbox/a.eml", ""),
        keys.record_id("inbox/a.emla", None, "ttachment 1"),
    ]
    assert len(set(ids)) == 4
    assert all(len(one) == 25 and one.startswith("r") for one in ids)
    assert keys.record_id("inbox/a.eml", None) == ids[0]


def test_default_path_is_outside_the_ledger(tmp_path: Path) -> None:
    path = default_path(tmp_path / "ledger")
    assert path == tmp_path / "ledger.keys"


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 1000], ids=lambda size: f"{size} bytes")
def test_a_digest_is_hmac_sha_256_under_the_purpose_s_own_key(size: int) -> None:
    data = bytes(range(256)) * 4
    subkey = hmac.digest(b"s" * 32, b"waybill part", "sha256")
    keys = Keys(b"s" * 32)
    assert [keys.hmac("part", data[:size]) for _ in range(2)] == [hmac.digest(subkey, data[:size], "sha256")[:16].hex()] * 2
