"""Pages of a list, newest first."""

from collections.abc import Callable, Iterable
from typing import Any

from stripe_emulator.state.account import Json
from stripe_emulator.validation.errors import ApiError

_MOST = 100
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "gt": lambda created, limit: created > limit,
    "gte": lambda created, limit: created >= limit,
    "lt": lambda created, limit: created < limit,
    "lte": lambda created, limit: created <= limit,
}


def page(rows: Iterable[Json], params: Json, *, url: str) -> Json:
    """Filter *rows* (oldest first) by *params* and return one page, newest first."""
    newest = [row for row in rows if _fits(row, params)][::-1]
    return cut(newest, params, url=url)


def cut(rows: list[Json], params: Json, *, url: str) -> Json:
    limit = params.get("limit", 10)
    _check_limit(limit)
    after, before = params.get("starting_after"), params.get("ending_before")
    if after is not None and before is not None:
        text = "You can only use one of `starting_after` and `ending_before`."
        raise ApiError(text, param="starting_after")
    if before is not None:
        rows = rows[: _place(rows, before, "ending_before")]
        return _page(rows[-limit:], url=url, has_more=len(rows) > limit)
    if after is not None:
        rows = rows[_place(rows, after, "starting_after") + 1 :]
    return _page(rows[:limit], url=url, has_more=len(rows) > limit)


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= _MOST:
        bound = f"less than or equal to {_MOST}" if limit > 1 else "at least 1"
        text = f"This value must be {bound}."
        raise ApiError(text, code="parameter_invalid_integer", param="limit")


def _place(rows: list[Json], object_id: str, param: str) -> int:
    for place, row in enumerate(rows):
        if row["id"] == object_id:
            return place
    raise ApiError(
        f"No such object: '{object_id}'", code="resource_missing", param=param
    )


def _fits(row: Json, params: Json) -> bool:
    return all(
        test(row, params[name]) for name, test in _FILTERS.items() if name in params
    )


def _is_created(row: Json, wanted: int | dict[str, int]) -> bool:
    if isinstance(wanted, int):
        return bool(row["created"] == wanted)
    return all(_COMPARE[name](row["created"], n) for name, n in wanted.items())


def _has_email(row: Json, wanted: Json) -> bool:
    details = row["customer_details"] or {}
    return bool(details.get("email", row["customer_email"]) == wanted["email"])


_FILTERS: dict[str, Callable[[Json, Any], bool]] = {
    "created": _is_created,
    "customer_details": _has_email,
    "status": lambda row, wanted: bool(row["status"] == wanted),
    "payment_intent": lambda row, wanted: bool(row["payment_intent"] == wanted),
    "charge": lambda row, wanted: bool(row["charge"] == wanted),
    "customer": lambda row, wanted: bool(row["customer"] == wanted),
    "payment_link": lambda row, wanted: False,
    "subscription": lambda row, wanted: False,
    "active": lambda row, wanted: bool(row["active"] == wanted),
    "code": lambda row, wanted: bool(row["code"].lower() == wanted.lower()),
    "coupon": lambda row, wanted: bool(row["promotion"]["coupon"] == wanted),
    "currency": lambda row, wanted: row["fixed_amount"]["currency"] == wanted.lower(),
    "type": lambda row, wanted: _is_type(row["type"], wanted),
    "types": lambda row, wanted: any(_is_type(row["type"], name) for name in wanted),
}


def _is_type(name: str, wanted: str) -> bool:
    return name == wanted or (wanted.endswith(".*") and name.startswith(wanted[:-1]))


def _page(rows: list[Json], *, url: str, has_more: bool = False) -> Json:
    return {"object": "list", "data": rows, "has_more": has_more, "url": url}
