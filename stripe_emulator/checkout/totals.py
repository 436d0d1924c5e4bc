"""What a session costs in cents: its lines, less a discount, plus shipping."""

from decimal import ROUND_HALF_UP, Decimal

from stripe_emulator.state.account import Account, Json

_CENT = Decimal(1)


def settle(account: Account, session: Json) -> None:
    """Recalculate and store all amounts of *session* after a choice."""
    contents = account.tables["contents"][session["id"]]
    lines: list[Json] = contents["lines"]
    coupon: Json | None = account.tables["coupons"].get(contents.get("coupon"))
    subtotal = sum(line["amount_subtotal"] for line in lines)
    off = _taken_off(coupon, subtotal) if coupon else 0
    _spread(lines, off, subtotal)
    shipping = (session["shipping_cost"] or {"amount_total": 0})["amount_total"]
    total = subtotal - off + shipping
    session |= {"amount_subtotal": subtotal, "amount_total": total}
    session["total_details"] = {
        "amount_discount": off,
        "amount_shipping": shipping,
        "amount_tax": 0,
    }
    session["payment_status"] = "unpaid" if total else "no_payment_required"
    account.put("contents", session["id"], contents)
    account.put("sessions", session["id"], session)


def _taken_off(coupon: Json, subtotal: int) -> int:
    """The discount in cents; it applies to goods only and never exceeds their price."""
    if coupon["percent_off"] is None:
        return min(int(coupon["amount_off"]), subtotal)
    share = Decimal(subtotal) * Decimal(str(coupon["percent_off"])) / 100
    return int(share.quantize(_CENT, ROUND_HALF_UP))


def _spread(lines: list[Json], off: int, subtotal: int) -> None:
    """Give each line its part of the discount, so that the parts add up exactly."""
    reached = given = 0
    for line in lines:
        reached += line["amount_subtotal"]
        part = off * reached // subtotal - given if subtotal else 0
        given += part
        line["amount_discount"] = part
        line["amount_total"] = line["amount_subtotal"] - part
