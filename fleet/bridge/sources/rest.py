"""An HTTP interface that answers JSON, asked again and again: what is behind a cursor of its
items, or page by page with a token of its own.
"""

import json
import re
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from fleet.bridge import documents, fetch
from fleet.bridge.errors import BridgeError, SourceGone
from fleet.bridge.keys import Keys
from fleet.bridge.rows import Bad, Batch, Row, text_of
from fleet.bridge.sources import cursor_values

MOST_PAGES = 10_000  # of one round
_NOTHING, _NUMBER, _TEXT = range(3)


class _Place(NamedTuple):
    """`newest`: the greatest cursor of all items; `since`: that of the last answer of a round
    under way; `token`: of the next page of it.
    """

    since: str = ""
    newest: str = ""
    token: str = ""


class RestSource:
    """One answer at a time."""

    def __init__(self, table: Keys) -> None:
        self._url = table.text("url", most=2000)
        if fetch.check(self._url) is None:
            raise table.fault("url", "https://HOST/PATH, or http://, without user and fragment")
        self._items = table.text("items", "")
        self._field = table.text("cursor", "")
        self._parameter = table.text("cursor_parameter", "since")
        self._first = table.text("first", "")
        self._overlap = table.whole("overlap", 0, 10**9) if "overlap" in table else None
        self._token = table.text("next", "")
        self._token_parameter = table.text("next_parameter", "page")
        self._ca = table.file("ca_file") if "ca_file" in table else None
        self._headers = {}
        secret = table.secret("authorization")
        if secret:
            self._headers["Authorization"] = secret
        table.end()
        self._pages = 0  # answers of the round under way, 0 at its beginning
        self._seen = ""  # the greatest cursor of its pages
        self._is_unsettled = False

    def read(self, cursor: str) -> Batch:
        """The next answer's items."""
        at = _place(cursor)
        if self._is_unsettled or not self._pages:
            self._pages = 0
            at = _Place(_behind(at.newest, self._overlap) or self._first, at.newest)
        self._is_unsettled = True
        document = fetch.document(self._asked(at), self._headers, self._ca)
        items = documents.at(document, self._items)
        if not isinstance(items, list):
            raise BridgeError(f"no list of items at {self._items or 'the top'!r} of the answer")
        rows, bad = [], []
        for number, item in enumerate(items):
            cells = documents.cells(item)
            row = Row(f"item {number}", cells)
            if not self._field:
                rows.append(row)
            elif cells.get(self._field):
                rows.append(row._replace(place=f"{self._field} {cells[self._field][:40]}"))
            else:
                bad.append(Bad(row, f"no {self._field} in the item"))
        token = text_of(documents.at(document, self._token)) if self._token else ""
        return self._batch(at, rows, bad, token)

    def settled(self, batch: Batch) -> None:
        """Go on behind it. Nothing is to be forgotten: the items are theirs."""
        self._is_unsettled = False
        if batch.is_last:
            self._pages = 0

    def close(self) -> None:
        """Nothing stays open."""

    def _batch(self, at: _Place, rows: list[Row], bad: list[Bad], token: str) -> Batch:
        self._pages += 1
        if self._pages > MOST_PAGES:
            raise SourceGone(f"over {MOST_PAGES} answers in a row: it never ends")
        told = [row.cells[self._field] for row in rows] if self._field else []
        last = max(told, key=_order, default="")
        newest = max(last, at.newest, key=_order)
        if token and token != at.token:
            # Pages may come newest first: the cursor moves when all of them are taken in.
            place = _Place(at.since, at.newest, token)
            self._seen = max(self._seen, newest, key=_order)
            return Batch(rows, bad, _written(place), False)
        newest, self._seen = max(newest, self._seen, key=_order), ""
        # An answer without news is the end; so is any where nothing tells what is next.
        is_last = bool(self._token) or _order(last) <= _order(at.since)
        if not is_last and any(_order(one) > _order(two) for one, two in pairwise(told)):
            raise BridgeError(
                f"items come in another order than that of {self._field}: those behind one "
                "answer would be left out; ask for the right order, or give `next`"
            )
        return Batch(rows, bad, _written(_Place(last, newest)), is_last)

    def _asked(self, at: _Place) -> str:
        parts = urlsplit(self._url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        if self._field and at.since:
            query.append((self._parameter, at.since))
        if at.token:
            query.append((self._token_parameter, at.token))
        return urlunsplit(parts._replace(query=urlencode(query)))


def _behind(text: str, said: int | None) -> str:
    """A cursor so far before another: seconds of a time, counts of a number; where the mapping
    does not say, as far as of a database. Text orders without distances, so it is the same.
    """
    if not text:
        return text
    kind, value = _order(text)
    if kind == _NUMBER:
        made = value - (cursor_values.LATE_ROWS if said is None else said)
        return text_of(max(made, min(value, Decimal(0))))  # a count has nothing below 0
    overlap = cursor_values.LATE_S if said is None else said
    if not overlap:
        return text
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    made = (when - timedelta(seconds=overlap)).isoformat()
    return made.replace("+00:00", "Z") if text.endswith("Z") else made


def _order(text: str) -> tuple[int, Any]:
    """Numbers by their size, all else as text, as ISO 8601 orders itself; nothing comes first."""
    if not text:
        return (_NOTHING, 0)
    if re.fullmatch(r"-?[0-9]{1,40}(\.[0-9]{1,40})?", text):
        return (_NUMBER, Decimal(text))
    return (_TEXT, text)


def _place(cursor: str) -> _Place:
    if not cursor:
        return _Place()
    try:
        since, newest, token = json.loads(cursor)
        return _Place(str(since), str(newest), str(token))
    except (ValueError, TypeError):
        raise BridgeError(f"the cursor {cursor[:80]!r} is none of an interface") from None


def _written(at: _Place) -> str:
    return json.dumps(list(at), ensure_ascii=False)
