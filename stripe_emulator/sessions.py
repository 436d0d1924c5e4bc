"""Checkout Sessions: made, read, changed, and ended by a call or by their time."""

from stripe_emulator import objects
from stripe_emulator.account import Account, Json
from stripe_emulator.errors import ApiError
from stripe_emulator.limits import LATEST_SECONDS, check_create, check_total
from stripe_emulator.parameters import merged_metadata


def create(account: Account, params: Json) -> Json:
    check_create(params, now=account.clock.now())
    now = account.now()
    lines = [objects.line_item(line, now=now) for line in params["line_items"]]
    check_total(sum(line["amount_total"] for line in lines))
    expires_at = params.get("expires_at", now + LATEST_SECONDS)
    session = objects.session(params, lines, now=now, expires_at=expires_at)
    session["url"] = objects.hosted_url(account.base_url, session["id"])
    data = params.get("payment_intent_data", {})
    contents = {"lines": lines, "payment_intent_data": data}
    account.put("sessions", session["id"], session)
    account.put("contents", session["id"], contents)
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
    _cancel_intent(account, session)
    account.record_event("checkout.session.expired", session, request=request)
    return session


def _cancel_intent(account: Account, session: Json) -> None:
    """What a declined payment left behind cannot be paid any more."""
    if session["payment_intent"] is None:
        return
    intent = account.get("payment_intents", session["payment_intent"])
    intent |= {"status": "canceled", "canceled_at": account.now()}
    intent["cancellation_reason"] = "expired"
    account.put("payment_intents", intent["id"], intent)


def end_due(account: Account) -> None:
    """Expire what is over; the caller holds the mutex."""
    for session in account.due_sessions():
        expire(account, session)


def line_items(account: Account, session: Json) -> list[Json]:
    lines: list[Json] = account.tables["contents"][session["id"]]["lines"]
    return lines
