"""Fields of an answer that are expanded on demand."""

from typing import Any

from stripe_emulator.api import lists
from stripe_emulator.checkout import discounts, sessions
from stripe_emulator.state.account import Account, Json
from stripe_emulator.validation.errors import ApiError

# The table of an id, by the name of the field that holds the id.
_EXPANDABLE = {
    "payment_intent": "payment_intents",
    "latest_charge": "charges",
    "charge": "charges",
    "coupon": "coupons",
    "promotion_code": "promotion_codes",
    "shipping_rate": "shipping_rates",
}
# Fields that hold such fields but are not objects of the API themselves.
_HOLDERS = (
    "data",
    "discounts",
    "promotion",
    "shipping_cost",
    "shipping_options",
    "total_details",
)
_ON_DEMAND = ("breakdown", "line_items")


def check_expand(paths: list[str]) -> None:
    """Raise ApiError for a path that can never be expanded, before anything is done."""
    known = {*_HOLDERS, *_ON_DEMAND, *_EXPANDABLE}
    for path in paths:
        steps = path.split(".")
        if not known.issuperset(steps) or steps[-1] in _HOLDERS:
            raise _not_expandable(path)


def expanded(account: Account, answer: Json, paths: list[str]) -> Json:
    """Return a copy of *answer* with the fields in *paths* expanded."""
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
        return lists.cut(sessions.line_items(account, node), {}, url=url)
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
