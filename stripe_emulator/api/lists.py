"""Pages of a list, newest first, and fields that are expanded on demand."""

from collections.abc import Callable, Iterable
from typing import Any

from stripe_emulator.checkout import discounts, objects, sessions
from stripe_emulator.state.account import Account, Json
from stripe_emulator.validation.errors import ApiError

_MOST = 100
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "gt": lambda created, limit: created > limit,
    "gte": lambda created, limit: created >= limit,
    "lt": lambda created, limit: created < limit,
    "lte": lambda created, limit: created <= limit,
}
# Which table an id belongs to, by the name of the field that holds it.
_EXPANDABLE = {
    "payment_intent": "payment_intents",
    "latest_charge": "charges",
    "charge": "charges",
    "coupon": "coupons",
    "promotion_code": "promotion_codes",
    "shipping_rate": "shipping_rates",
}
# What holds such a field, but is itself no object of the API.
_HOLDERS = (
    "data",
    "discounts",
    "promotion",
    "shipping_cost",
    "shipping_options",
    "total_details",
)
_ON_DEMAND = ("breakdown", "line_items")


def page(rows: Iterable[Json], params: Json, *, url: str) -> Json:
    """*rows* are oldest first, as they were made."""
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
        return objects.page(rows[-limit:], url=url, has_more=len(rows) > limit)
    if after is not None:
        rows = rows[_place(rows, after, "starting_after") + 1 :]
    return objects.page(rows[:limit], url=url, has_more=len(rows) > limit)


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


def check_expand(paths: list[str]) -> None:
    """Refuse what can never be expanded before anything is done."""
    known = {*_HOLDERS, *_ON_DEMAND, *_EXPANDABLE}
    for path in paths:
        steps = path.split(".")
        if not known.issuperset(steps) or steps[-1] in _HOLDERS:
            raise _not_expandable(path)


def expanded(account: Account, answer: Json, paths: list[str]) -> Json:
    """A copy of *answer* with the fields of *paths* expanded; the stored one stays."""
    for path in paths:
        answer = _expand(account, answer, path.split("."), path)
    return answer


def _expand(account: Account, node: Any, steps: list[str], path: str) -> Any:
    if not steps or node is None:
        return node
    if isinstance(node, list):
        return [_expand(account, each, steps, path) for each in node]
    name, *rest = steps
    value = _opened(account, node, name, path)
    return {**node, name: _expand(account, value, rest, path)}


def _opened(account: Account, node: Any, name: str, path: str) -> Any:
    if name == "line_items" and node.get("object") == "checkout.session":
        url = f"/v1/checkout/sessions/{node['id']}/line_items"
        return cut(sessions.line_items(account, node), {}, url=url)
    if name not in node:
        raise _not_expandable(path)
    value = node[name]
    if name == "total_details":
        session = account.get("sessions", node["id"])
        return {**value, "breakdown": discounts.breakdown(account, session)}
    if name in _EXPANDABLE and isinstance(value, str):
        return account.tables[_EXPANDABLE[name]].get(value, value)  # it may be deleted
    return value


def _not_expandable(path: str) -> ApiError:
    return ApiError(f"This property cannot be expanded ({path}).", param="expand")
