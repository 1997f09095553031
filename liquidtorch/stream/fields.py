"""The text of one record becomes its fields: JSON objects, and rows of a delimited table."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from typing import Any

from .message import Rejected


class Unfinished(Rejected):
    """A quoted field that does not end on its line: the next line may belong to it."""


def from_json(raw: bytes) -> dict[str, Any]:
    """Read one JSON object.

    Raises
    ------
    Rejected
        When the text is anything else.

    Examples
    --------
    >>> from_json(b'{"x": 1.5}')
    {'x': 1.5}
    """
    text = _text(raw)
    try:
        found = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as e:
        why = f"{e.msg} at character {e.pos + 1}" if isinstance(e, json.JSONDecodeError) else "nested too deeply"
        raise Rejected(f"not JSON: {why}") from None
    except ValueError:  # a whole number of thousands of digits
        raise Rejected("not JSON that can be used: a number is too long") from None
    if not isinstance(found, dict):
        raise Rejected(f"a record must be a JSON object; got {_kind(found)}")
    return found


def _kind(value: object) -> str:
    names = {list: "an array", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def from_row(raw: bytes, header: Sequence[str], separator: str) -> dict[str, str]:
    """Read one row of a delimited table under its header.

    Raises
    ------
    Rejected
        When it cannot be read, or has more or fewer fields than the header; `Unfinished` where a quote is left open.

    Examples
    --------
    >>> from_row(b'a,"1,5"', ["id", "x"], ",")
    {'id': 'a', 'x': '1,5'}
    """
    try:
        rows = list(csv.reader([_text(raw)], delimiter=separator, strict=True))
    except csv.Error as e:
        kind = Unfinished if "unexpected end of data" in str(e) else Rejected
        raise kind(f"not a row of the table: {e}") from None
    row = rows[0] if rows else []
    if len(row) != len(header):
        fields = f"{len(row)} field{'s' * (len(row) != 1)}"
        raise Rejected(f"a row must have the {len(header)} fields of the header; got {fields}")
    return dict(zip(header, row, strict=True))


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as e:
        raise Rejected(f"not UTF-8: byte {e.start + 1} is {raw[e.start]:#04x}") from None
