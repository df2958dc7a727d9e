"""Parquet's footer as a tree that can be edited: Thrift's compact protocol, as far as Parquet uses it.

A struct is a list of fields, each a list of id, type and value; a list is its element type and its values.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Struct = list[list[Any]]

BOOLS, BYTE, INTS, DOUBLE, BINARY, LISTS, STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 12
ROW_GROUPS, KEY_VALUES, COLUMNS, METADATA, STATISTICS = 4, 5, 1, 3, 12


def edit(path: Path, change: Callable[[Struct], bytes | None]) -> None:
    """Change the footer of a Parquet file; what `change` returns is put between the columns and the footer."""
    data = path.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    footer, _ = _read(data[-8 - length : -8], 0, STRUCT)
    assert _written(STRUCT, footer) == data[-8 - length : -8]
    more = change(footer) or b""
    anew = _written(STRUCT, footer)
    path.unlink()
    path.write_bytes(data[: -8 - length] + more + anew + len(anew).to_bytes(4, "little") + b"PAR1")


def get(struct: Struct, number: int) -> Any:
    return next((value for identity, _, value in struct if identity == number), None)


def put(struct: Struct, number: int, kind: int, value: Any) -> None:
    struct[:] = sorted([one for one in struct if one[0] != number] + [[number, kind, value]])


def chunk(footer: Struct, name: str) -> Struct:
    """A column in the first row group."""
    return next(one for one in get(get(footer, ROW_GROUPS)[1][0], COLUMNS)[1] if get(get(one, METADATA), 3)[1][0] == name.encode())


def statistics(footer: Struct, name: str) -> Struct:
    return get(get(chunk(footer, name), METADATA), STATISTICS)  # type: ignore[no-any-return]


def _read(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in INTS:
        number, at = _varint(data, at)
        return (number >> 1) ^ -(number & 1), at
    if kind == BINARY:
        length, at = _varint(data, at)
        return data[at : at + length], at + length
    if kind == DOUBLE:
        return data[at : at + 8], at + 8
    if kind in LISTS:
        count, of = data[at] >> 4, data[at] & 15
        at += 1
        if count == 15:
            count, at = _varint(data, at)
        values = []
        for _ in range(count):
            value, at = _read(data, at, of)
            values.append(value)
        return (of, values), at
    if kind == STRUCT:
        return _read_struct(data, at)
    return (kind == 1, at) if kind in BOOLS else (data[at], at + 1)


def _read_struct(data: bytes, at: int) -> tuple[Struct, int]:
    fields: Struct = []
    last = 0
    while data[at]:
        step, kind = data[at] >> 4, data[at] & 15
        at += 1
        if not step:
            number, at = _varint(data, at)
            step = ((number >> 1) ^ -(number & 1)) - last
        value, at = _read(data, at, kind)
        last += step
        fields.append([last, kind, value])
    return fields, at + 1


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return number, at


def _written(kind: int, value: Any) -> bytes:
    if kind in INTS:
        return _as_varint((value << 1) ^ (value >> 63))
    if kind == BINARY:
        return _as_varint(len(value)) + bytes(value)
    if kind in LISTS:
        of, values = value
        head = bytes([len(values) << 4 | of]) if len(values) < 15 else bytes([0xF0 | of]) + _as_varint(len(values))
        return head + b"".join(_written(of, one) for one in values)
    if kind == STRUCT:
        text, last = b"", 0
        for number, of, one in value:
            said = (1 if one else 2) if of in BOOLS else of
            step = number - last
            text += (bytes([step << 4 | said]) if 0 < step < 16 else bytes([said]) + _as_varint(number << 1)) + _written(of, one)
            last = number
        return text + b"\0"
    return b"" if kind in BOOLS else bytes([value]) if kind == BYTE else bytes(value)


def _as_varint(number: int) -> bytes:
    text = bytearray()
    while number > 127:
        text.append(number & 127 | 128)
        number >>= 7
    return bytes([*text, number])
