"""Routes for refunds and disputes."""

from flask import Blueprint

from stripe_emulator.control.bodies import one_of, only
from stripe_emulator.money import disputes, refunds
from stripe_emulator.serving.parts import Parts
from stripe_emulator.state.account import Json


def add_refunds(pages: Blueprint, parts: Parts) -> None:
    account = parts.account

    @pages.post("/refunds/next")
    def next_refunds() -> Json:
        given = only("status times")
        status = one_of(given, "status", refunds.STATUSES)
        with account.mutex:
            account.next_refunds += [status] * int(given.get("times", 1))
            return {"next": list(account.next_refunds)}

    @pages.post("/refunds/<refund_id>/succeed")
    def succeed_refund(refund_id: str) -> Json:
        with account.mutex:
            return refunds.succeed(account, refund_id)

    @pages.post("/refunds/<refund_id>/fail")
    def fail_refund(refund_id: str) -> Json:
        with account.mutex:
            return refunds.fail(account, refund_id)

    @pages.post("/charges/<charge_id>/refund")
    def refund(charge_id: str) -> Json:
        given = only("amount reason metadata")
        with account.mutex:
            named = {"charge": _charge(parts, charge_id)["id"]}
            return refunds.create(account, {**given, **named})


def add_disputes(pages: Blueprint, parts: Parts) -> None:
    account = parts.account

    @pages.post("/charges/<charge_id>/dispute")
    def dispute(charge_id: str) -> Json:
        given = only("amount reason")
        with account.mutex:
            return disputes.create(account, _charge(parts, charge_id), **given)

    @pages.post("/disputes/<dispute_id>/review")
    def review_dispute(dispute_id: str) -> Json:
        with account.mutex:
            return disputes.review(account, dispute_id)

    @pages.post("/disputes/<dispute_id>/close")
    def close_dispute(dispute_id: str) -> Json:
        outcome = one_of(only("outcome"), "outcome", ("won", "lost"))
        with account.mutex:
            return disputes.close(account, dispute_id, outcome)


def _charge(parts: Parts, object_id: str) -> Json:
    """Find a charge by its own id or by that of its payment intent or session."""
    account = parts.account
    if object_id.startswith("cs_"):
        object_id = account.get("sessions", object_id)["payment_intent"] or object_id
    if object_id.startswith("pi_"):
        object_id = account.get("payment_intents", object_id)["latest_charge"] or ""
    return account.get("charges", object_id)
