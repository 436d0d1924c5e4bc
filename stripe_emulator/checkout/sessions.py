"""Checkout Sessions: created, updated, recovered and expired."""

import copy

from stripe_emulator.checkout import (
    catalogue,
    discounts,
    prices,
    session_object,
    shipping,
    totals,
)
from stripe_emulator.checkout.session_checks import (
    LATEST_SECONDS,
    check_create,
    check_total,
)
from stripe_emulator.state.account import Account, Json, new_id
from stripe_emulator.validation.checks import merged_metadata
from stripe_emulator.validation.errors import ApiError


def create(account: Account, params: Json) -> Json:
    asked, params = params, catalogue.spelled_out(account, params)
    check_create(params, now=account.clock.now())
    shipping.check_options(params.get("shipping_options", []))
    now = account.now()
    lines = [prices.line_item(line, now=now) for line in params["line_items"]]
    if asked is not params:
        catalogue.name_again(account, asked, lines)
    check_total(sum(line["amount_total"] for line in lines))
    expires_at = params.get("expires_at", now + LATEST_SECONDS)
    session = session_object.session(params, lines, now=now, expires_at=expires_at)
    session["url"] = _page_url(account, session["id"])
    data = params.get("payment_intent_data", {})
    contents = {"lines": lines, "payment_intent_data": data}
    account.put("contents", session["id"], contents)
    _attach_offer(account, session, params)
    account.put("sessions", session["id"], session)
    account.watch_end(session)
    return session


def _attach_offer(account: Account, session: Json, params: Json) -> None:
    """Add discount and shipping options; a refusal (ApiError) leaves nothing behind."""
    given, options = params.get("discounts"), params.get("shipping_options")
    if not given and not options:
        return
    try:
        discounts.attach(account, session, given or [])
        shipping.attach(account, session, options or [])
    except ApiError:
        account.drop("contents", session["id"])
        raise
    totals.settle(account, session)


def recover(account: Account, old: Json) -> Json:
    """Return a new session copied from an expired one, as its recovery link does."""
    if old["status"] != "expired":
        raise ApiError("Only an expired session can be recovered.")
    session = copy.deepcopy(old) | {
        "id": new_id("cs_test", 58),
        "collected_information": None,
        "consent": None,
        "created": account.now(),
        "customer_details": None,
        "expires_at": account.now() + LATEST_SECONDS,
        "payment_intent": None,
        "recovered_from": old["id"],
        "status": "open",
    }
    session["url"] = _page_url(account, session["id"])
    contents = copy.deepcopy(account.tables["contents"][old["id"]])
    for line in contents["lines"]:
        line["id"] = new_id("li")
    account.put("contents", session["id"], contents)
    discounts.remove(account, session)
    totals.settle(account, session)
    account.watch_end(session)
    return session


def update(account: Account, session: Json, params: Json) -> Json:
    for name in params.keys() - {"metadata", "expand"}:
        raise ApiError(f"The emulator does not change {name}.", param=name)
    if "metadata" in params:
        merged = merged_metadata(session["metadata"], params["metadata"])
        session["metadata"] = merged
    account.put("sessions", session["id"], session)
    return session


def expire(account: Account, session: Json, *, request: Json | None = None) -> Json:
    if session["status"] != "open":
        raise ApiError(
            'Only Checkout Sessions with a status in ["open"] can be expired. This '
            f"Checkout Session has a status of `{session['status']}`.",
            executed=True,
        )
    session |= {"status": "expired", "payment_status": "unpaid", "url": None}
    account.put("sessions", session["id"], session)
    cancel_intent(account, session)
    account.record_event("checkout.session.expired", session, request=request)
    return session


def cancel_intent(account: Account, session: Json) -> None:
    """Cancel the payment intent that a declined payment left behind, if any."""
    if session["payment_intent"] is None:
        return
    intent = account.get("payment_intents", session["payment_intent"])
    intent |= {"status": "canceled", "canceled_at": account.now()}
    intent["cancellation_reason"] = "expired"
    account.put("payment_intents", intent["id"], intent)


def end_due(account: Account) -> None:
    """Expire the sessions whose time is over; the caller holds the mutex."""
    for session in account.due_sessions():
        expire(account, session)


def line_items(account: Account, session: Json) -> list[Json]:
    lines: list[Json] = account.tables["contents"][session["id"]]["lines"]
    return lines


def _page_url(account: Account, session_id: str) -> str:
    return f"{account.base_url}/c/pay/{session_id}"
