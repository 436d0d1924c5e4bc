"""The pages on the way to Stripe's payment page and back."""

import logging
import re

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from core import errors
from core.checkout import events, payment_page
from core.checkout.closing import Ending
from core.models.checkout import CONFIRMED, PAYMENT_FAILED, PENDING
from core.orders import views as order_views
from core.refunds import owed, refunds
from core.stock import holds
from core.stock.reservations import sum_cart
from storefront import shown, visit
from storefront.cart_pages import cart_lines, changes_since, show_cart
from storefront.extensions import count_checkout, current_shop, db
from storefront.pages import blueprint
from storefront.problems import message_of, retry_after, status_of

logger = logging.getLogger(__name__)

SESSION_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


@blueprint.post("/checkout")
def start_checkout() -> Response | tuple[str, int] | tuple[str, int, dict[str, str]]:
    count_checkout()
    wanted, bought = visit.cart(), visit.just_bought()
    if bought is not None:
        return _show_bought(bought)
    seen = shown.lines_in(request.form)
    if changes := changes_since(seen):
        return show_cart(changes=changes), 409
    # No connection is held while Stripe is asked.
    db.session.close()
    try:
        page = payment_page.begin(
            current_shop(),
            sum_cart(list(wanted.items())),
            visitor=visit.visitor(),
            notice=visit.payment_notice,
            unless_paid=True,
            seen={product_id: line.price for product_id, line in seen.items()},
        )
    except errors.InsufficientStockError as error:
        return show_cart(error.shortages), 409
    except errors.PriceChangedError as error:
        _hold, lines = cart_lines()
        changes = list(shown.price_changes(error, seen, lines))
        return show_cart(changes=changes), 409
    except errors.ProductNotFoundError as error:
        # The cart says by itself what is not sold any more.
        return show_cart(), status_of(error)
    except errors.EarlierPaidError as error:
        return _show_bought(error.checkout_id)
    except (
        errors.CartError,
        errors.PaymentError,
        errors.TooManyHoldsError,
    ) as error:
        flash(message_of(error), "error")
        return show_cart(), status_of(error), retry_after(error)
    visit.remember_checkout(page.checkout_id)
    return redirect(page.url, 303)


def _show_bought(checkout_id: int) -> Response:
    """Show the order of a checkout that was paid; the rest stays in the cart."""
    bought = order_views.of_checkout(db.session(), checkout_id)
    if bought is None:
        flash(_("You had paid already."), "success")
        return redirect(url_for("pages.cart"), 303)
    flash(_("You had paid already: this is your order."), "success")
    return redirect(url_for("pages.order", token=bought.token), 303)


@blueprint.get("/checkout/continue")
def continue_checkout() -> Response:
    """Go back to the visitor's own payment page, if it can still be paid."""
    shop = current_shop()
    with shop.database.read() as session:
        hold = holds.open_hold(session, visit.visitor_id(), shop.clock())
    if hold is None or hold.stripe_session_id is None:
        return redirect(url_for("pages.cart"), 303)
    try:
        page = shop.gateway.retrieve(hold.stripe_session_id)
    except errors.PaymentError as error:
        flash(message_of(error), "error")
        return redirect(url_for("pages.cart"), 303)
    url = page and page.url
    own = url_for("pages.returned", session_id=hold.stripe_session_id)
    return redirect(url or own, 303)


@blueprint.get("/checkout/success")
def returned() -> str:
    """
    Show what was bought; the webhook may be late, so Stripe is asked here, too.

    It needs no cookie: the customer may pay in another browser than they shopped in.
    """
    session_id = request.args.get("session_id", "")
    checkout_id, state, order = None, "unknown", None
    try:
        if SESSION_ID.fullmatch(session_id):
            checkout_id = events.settle_returned(current_shop(), session_id)
    except errors.PaymentError as error:
        logger.warning("session %s: %s", session_id, error)
        state = "unreachable"
    if checkout_id is not None:
        state = _what_became_of(checkout_id, session_id)
        if state in ("owed", "refunded", "paid"):
            order = order_views.of_checkout(db.session(), checkout_id)
    return render_template("success.html", state=state, order=order)


def _what_became_of(checkout_id: int, session_id: str) -> str:
    session = db.session()
    ended = holds.state(session, checkout_id)
    if refund := refunds.automatic_of(session, session_id):
        return "owed" if owed.cents(session, refund) else "refunded"
    if ended.status == CONFIRMED:
        return "paid"
    if ended.status == PENDING:
        return "processing" if ended.awaits_payment else "open"
    return "declined" if ended.cause == PAYMENT_FAILED else "closed"


@blueprint.post("/checkout/cancel/<checkout_id>")
def give_up(checkout_id: str) -> Response:
    """Lead the button that gives up a hold to the page that cancels."""
    # A link would do it unasked in a browser that loads pages ahead.
    return redirect(url_for("pages.cancelled", checkout_id=checkout_id), 303)


@blueprint.get("/checkout/cancel/", defaults={"checkout_id": ""}, strict_slashes=False)
@blueprint.get("/checkout/cancel/<checkout_id>")
def cancelled(checkout_id: str) -> str:
    """Cancel the checkout of the visitor who came back from the payment page."""
    number = int(checkout_id) if re.fullmatch(r"[0-9]{1,18}", checkout_id) else 0
    ending = payment_page.cancel(current_shop(), number, visit.visitor_id())
    if ending is None:
        return render_template("cancelled.html", state="elsewhere")
    ended = holds.state(db.session(), number)
    if ended.awaits_payment:
        return render_template("success.html", state="processing", order=None)
    state = "cancelled" if ending is Ending.CLOSED else "closed"
    state = {CONFIRMED: "paid", PENDING: "kept"}.get(ended.status, state)
    return render_template(
        "cancelled.html",
        state=state,
        order=order_views.of_checkout(db.session(), number),
        expires_at=ended.expires_at,
    )
