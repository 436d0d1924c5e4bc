"""Products and prices that a session can refer to by id."""

from decimal import Decimal

import stripe

from stripe_emulator.checkout import prices
from stripe_emulator.state.account import Account, Json, new_id
from stripe_emulator.validation.checks import (
    check_amount,
    check_currency,
    check_known,
    check_not_both,
    demand,
)
from stripe_emulator.validation.errors import ApiError
from stripe_emulator.validation.stripe_types import blank

_PRODUCT = frozenset({"active", "description", "expand", "id", "metadata", "name"})
_PRODUCT_DATA = frozenset({"active", "id", "metadata", "name"})
_PRICE_NAMES = (
    "active currency expand metadata nickname product product_data tax_behavior "
    "unit_amount unit_amount_decimal"
)
_PRICE = frozenset(_PRICE_NAMES.split())


def create_product(
    account: Account, params: Json, *, request: Json | None = None
) -> Json:
    check_known(params, _PRODUCT)
    product_id = params.get("id") or new_id("prod", 14)
    if product_id in account.tables["products"]:
        text = f"Product already exists: {product_id}"
        raise ApiError(text, code="resource_already_exists", param="id")
    product = _product(product_id, params, now=account.now())
    account.put("products", product_id, product)
    account.record_event("product.created", product, request=request)
    return product


def _product(product_id: str, params: Json, *, now: int) -> Json:
    shape = blank(stripe.Product)
    return shape | {
        "id": product_id,
        "object": "product",
        "active": params.get("active", True),
        "created": now,
        "description": params.get("description"),
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": dict(params.get("metadata") or {}),
        "name": params["name"],
        "type": "service",
        "updated": now,
    }


def create_price(
    account: Account, params: Json, *, request: Json | None = None
) -> Json:
    _check_price(params)
    product_id = _product_of(account, params, request)
    price = prices.price(params, now=account.now()) | {
        "active": params.get("active", True),
        "metadata": dict(params.get("metadata") or {}),
        "nickname": params.get("nickname"),
        "product": product_id,
    }
    account.put("prices", price["id"], price)
    account.record_event("price.created", price, request=request)
    return price


def _check_price(params: Json) -> None:
    check_known(params, _PRICE)
    check_known(params.get("product_data", {}), _PRODUCT_DATA, "product_data")
    check_currency(params["currency"], "currency")
    check_not_both(params, "product", "product_data")
    check_not_both(params, "unit_amount", "unit_amount_decimal")
    if "unit_amount_decimal" not in params:
        demand(params, "unit_amount")
    amount = params.get("unit_amount", params.get("unit_amount_decimal"))
    check_amount(amount, "unit_amount", least=0)


def _product_of(account: Account, params: Json, request: Json | None) -> str:
    if "product_data" in params:
        made = create_product(account, params["product_data"], request=request)
        return str(made["id"])
    demand(params, "product")
    return str(account.get("products", params["product"], param="product")["id"])


def spelled_out(account: Account, params: Json) -> Json:
    """Return a session's parameters with data instead of ids in the line items."""
    lines = params.get("line_items", [])
    if not any(_is_named(line) for line in lines):
        return params
    told = [
        _told(account, line, f"line_items[{index}]") if _is_named(line) else line
        for index, line in enumerate(lines)
    ]
    return {**params, "line_items": told}


def name_again(account: Account, params: Json, lines: list[Json]) -> None:
    """Put the ids from the parameters of a session back into its *lines*."""
    for wanted, line in zip(params["line_items"], lines, strict=True):
        if "price" in wanted:
            line["price"] = dict(account.get("prices", wanted["price"]))
        elif _is_named(wanted):
            line["price"]["product"] = wanted["price_data"]["product"]


def _is_named(line: Json) -> bool:
    if "price" in line:
        return True
    data = line.get("price_data", {})
    return "product" in data and "product_data" not in data


def _told(account: Account, line: Json, at: str) -> Json:
    if "price" not in line:
        data = line["price_data"]
        product = _active(account, "products", data["product"], f"{at}[price_data]")
        named = {name: data[name] for name in data if name != "product"}
        return {**line, "price_data": named | _product_data(product)}
    check_not_both(line, "price", "price_data")
    price = _active(account, "prices", line["price"], at)
    product = account.get("products", price["product"])
    amounts: Json = {"unit_amount": price["unit_amount"]}
    if price["unit_amount"] is None:
        amounts = {"unit_amount_decimal": Decimal(price["unit_amount_decimal"])}
    named = {"currency": price["currency"], **amounts, **_product_data(product)}
    rest = {name: line[name] for name in line if name != "price"}
    return {**rest, "price_data": named}


def _product_data(product: Json) -> Json:
    return {"product_data": {"name": product["name"]}}


def _active(account: Account, table: str, object_id: str, at: str) -> Json:
    noun = table.removesuffix("s")
    found = account.get(table, object_id, param=f"{at}[{noun}]")
    if not found["active"]:
        text = (
            f"The {noun} specified is inactive. This field only accepts active {table}."
        )
        raise ApiError(text, param=f"{at}[{noun}]")
    return found
