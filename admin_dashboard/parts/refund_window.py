"""
The window in which the owner refunds money, takes goods back, or both.

The owner fills it in and then confirms. Each window has a token that works once.
"""

import secrets
from dataclasses import dataclass, field, replace

import streamlit as st
from sqlalchemy.orm import Session

from admin_dashboard.parts import acting, shop_data
from admin_dashboard.words.figures import TIMES, cents_of, money, plain, typed_amount
from admin_dashboard.words.history import failure_of
from core.clock import utcnow
from core.errors import InvalidQuantityError, NotFoundError, RefundRefusedError
from core.orders.views import OrderLineView, OrderView
from core.refunds import returns
from core.refunds.returns import ChangedMeanwhileError, RefundAndReturn
from core.refunds.views import RefundView

OPEN = "refund_window"
UNCLEAR = (
    "Schrijf het bedrag als 12,50 of 12.50, met hoogstens twee cijfers achter de komma."
)
CHANGED = (
    "De bestelling is intussen veranderd, misschien door een tweede klik of in een"
    " ander venster. Er is nu niets gedaan; kijk hieronder wat er al gebeurd is."
)


@dataclass(frozen=True)
class Window:
    """What is open on the owner's screen, and what is filled in so far."""

    checkout_id: int
    number: int | None
    with_money: bool = True
    customer: str = ""
    asked: RefundAndReturn | None = None
    is_filled_in: bool = False
    token: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def is_again(self) -> bool:
        """Tell whether a failed refund is to be tried once more."""
        return self.asked is not None and self.asked.again is not None


def open_for(order: OrderView, with_money: bool) -> None:
    customer = order.customer_name or order.customer_email
    window = Window(order.checkout_id, order.number, with_money, customer)
    st.session_state[OPEN] = window


def show_failed(failed: RefundView, number: int | None) -> None:
    """Say that a refund has failed, with a button to try it once more."""
    amount = money(failed.amount_cents, failed.currency)
    owed = money(failed.owed_cents, failed.currency)
    of_order = f" van bestelling {number}" if number is not None else ""
    st.error(
        f"De terugbetaling van {amount}{of_order} is mislukt:"
        f" {plain(failure_of(failed.failure))}. De klant heeft nog"
        f" {owed} tegoed."
    )
    # The page shows the window: a callback would rerun only a fragment of it.
    if st.button(f"Opnieuw proberen: {owed}", key=f"again-{failed.id}"):
        _open_again(failed)
        st.rerun()


def _open_again(failed: RefundView) -> None:
    found = shop_data.case_of_checkout(failed.checkout_id)
    order = found.order if found else None
    st.session_state[OPEN] = Window(
        failed.checkout_id,
        failed.order_id,
        customer=found.customer if found and order else failed.customer_email,
        asked=RefundAndReturn(
            number=failed.order_id,
            cents=failed.owed_cents,
            currency=failed.currency,
            seen_refunded_cents=order.refunded_cents if order else 0,
            again=failed.id,
        ),
        is_filled_in=True,
    )


def close() -> None:
    st.session_state.pop(OPEN, None)


def is_open_for(checkout_id: int) -> bool:
    window: Window | None = st.session_state.get(OPEN)
    return window is not None and window.checkout_id == checkout_id


def show(order: OrderView | None, *, of_checkout: int | None = None) -> None:
    """Show the window open for *order* or for another try, if it is *of_checkout*."""
    window: Window | None = st.session_state.get(OPEN)
    if window is None or of_checkout not in (None, window.checkout_id):
        return
    if window.is_again or (order is not None and window.number == order.number):
        _window(window, order)


@st.dialog("Terug naar de klant, terug in de voorraad", on_dismiss=close)
def _window(window: Window, order: OrderView | None) -> None:
    if st.session_state.get(OPEN) != window:
        # It was used, so the page below has changed, too.
        st.rerun()
    if window.is_filled_in and window.asked is not None:
        _ask_whether_sure(window, window.asked, order)
    elif order is not None:
        _ask_what(window, order)


def _ask_what(window: Window, order: OrderView) -> None:
    before, left = window.asked, order.left_cents
    typed, reason = "0", ""
    with st.form("refund", border=False):
        if window.with_money:
            typed = st.text_input(
                f"Bedrag (hoogstens {money(left, order.currency)})",
                typed_amount(before.cents if before else left),
            )
            reason = st.text_input(
                "Reden (alleen voor uzelf)", before.reason if before else ""
            )
        st.markdown("**Hoeveel komt er terug in de voorraad?**")
        units = {
            line.product_id: _units_of(line, before)
            for line in order.lines
            if line.returned < line.quantity
        }
        is_next = st.form_submit_button("Verder", type="primary")
    if not is_next:
        return
    cents = cents_of(typed)
    if cents is None:
        st.error(UNCLEAR)
    elif cents > left:
        st.error(_too_much(left, order.currency))
    elif not cents and not any(units.values()):
        st.error("Vul in wat er terug moet.")
    else:
        asked = RefundAndReturn(
            number=order.number,
            cents=cents,
            currency=order.currency,
            seen_refunded_cents=order.refunded_cents,
            reason=reason.strip(),
            units={each: count for each, count in units.items() if count},
            seen_returned={line.product_id: line.returned for line in order.lines},
        )
        st.session_state[OPEN] = replace(window, asked=asked, is_filled_in=True)
        st.rerun()


def _units_of(line: OrderLineView, before: RefundAndReturn | None) -> int:
    most = line.quantity - line.returned
    count = st.number_input(
        f"{plain(line.name)} (hoogstens {most})",
        min_value=0,
        max_value=most,
        value=min(before.units.get(line.product_id, 0), most) if before else 0,
        step=1,
        key=f"units-{line.product_id}",
    )
    return int(count)


def _too_much(left: int, currency: str) -> str:
    return f"Er kan niet meer terug dan wat er nog over is: {money(left, currency)}."


def _ask_whether_sure(
    window: Window, asked: RefundAndReturn, order: OrderView | None
) -> None:
    amount = money(asked.cents, asked.currency)
    if asked.cents:
        customer = plain(window.customer or "de klant")
        of_order = f", van bestelling {window.number}" if window.number else ""
        st.markdown(f"**{amount}** gaat terug naar {customer}{of_order}.")
    names = {line.product_id: line.name for line in order.lines} if order else {}
    for each, count in asked.units.items():
        what = f"{count} {TIMES} {plain(names[each])}"
        st.markdown(f"**{what}** komt terug in de voorraad.")
    if not asked.units:
        st.markdown("Er komt niets terug in de voorraad.")
    st.caption("Dit is niet terug te draaien.")
    yes = f"Ja, betaal {amount} terug" if asked.cents else "Ja, terug in de voorraad"
    with st.container(horizontal=True):
        # The second click of a double click lands on the button that does nothing.
        st.button("Nee", key=f"no-{window.token}", on_click=_go_back, args=(window,))
        # The next click can interrupt the script, but not a callback.
        st.button(
            yes,
            type="primary",
            key=f"yes-{window.token}",
            on_click=_carry_out,
            args=(window, asked),
        )


def _go_back(window: Window) -> None:
    if _take_token(window) and not window.is_again:
        st.session_state[OPEN] = replace(window, is_filled_in=False)


def _carry_out(window: Window, asked: RefundAndReturn) -> None:
    if not _take_token(window):
        return

    def work(session: Session, owner: str) -> bool:
        return returns.carry_out(session, asked, who=owner, now=utcnow())

    try:
        acting.change(work)
        acting.tell(_done(asked))
    except RefundRefusedError as error:
        acting.warn(_too_much(error.left_cents, asked.currency))
    except InvalidQuantityError:
        acting.warn(
            "Er kan niet meer terugkomen dan er verkocht is; er is niets gedaan."
        )
    except NotFoundError:
        acting.warn("Deze terugbetaling is niet (meer) mogelijk; er is niets gedaan.")
    except ChangedMeanwhileError:
        acting.warn(CHANGED)
    except acting.NotDoneError as error:
        acting.warn(str(error))


def _take_token(window: Window) -> bool:
    """Close the window; tell whether it was this one that was open, true only once."""
    opened: Window | None = st.session_state.pop(OPEN, None)
    return opened is not None and opened.token == window.token


def _done(asked: RefundAndReturn) -> str:
    parts = []
    if asked.cents:
        amount = money(asked.cents, asked.currency)
        parts.append(
            f"{amount} gaat terug: de winkel vraagt het binnen een paar seconden aan"
            " bij Stripe."
        )
    if asked.units:
        parts.append(f"Terug in de voorraad: {sum(asked.units.values())}.")
    return " ".join(parts)
