"""
The words of the shop's letters, in the language of whoever gets them.

They are made when a letter is sent, in the background, of the rows that it is about.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from babel.numbers import format_percent
from flask import Flask, current_app
from flask_babel import force_locale, gettext
from sqlalchemy.orm import Session

from core.mail.letter import Letter, LetterWriter
from core.models.mail import (
    GONE_MAIL,
    ORDER_MAIL,
    OWED_MAIL,
    REFUND_MAIL,
    TO_DO_MAIL,
    Mail,
)
from core.models.orders import REVIEW
from core.models.refunds import Refund
from core.orders import views as order_views
from core.orders.views import OrderLineView, OrderView
from core.refunds import owed, refunds
from storefront import language
from storefront.extensions import current_shop
from storefront.letters import owner
from storefront.letters.parts import Content, Link, Place, Row


def writer(app: Flask) -> LetterWriter:
    """Return what writes the letters of *app*, in any thread and without a request."""

    def write(session: Session, mail: Mail) -> Letter | None:
        locale = mail.locale if mail.locale in language.LOCALES else "nl"
        with app.app_context(), force_locale(locale):
            content = _CONTENTS[mail.kind](session, mail)
            return _letter(content) if content else None

    return write


def _letter(content: Content) -> Letter:
    return Letter(
        content.recipients,
        content.subject,
        text=_rendered("mail/letter.txt", content),
        html=_rendered("mail/letter.html", content),
    )


def _rendered(template: str, content: Content) -> str:
    # Not render_template: what it gives to every page asks for a visitor.
    made = current_app.jinja_env.get_template(template)
    return made.render(content=content, locale=language.current())


def _order(session: Session, mail: Mail) -> Content | None:
    order = order_views.of_checkout(session, mail.checkout_id or 0)
    if order is None:
        return None
    amount = language.money(order.amount_cents, order.currency)
    thanks = gettext(
        "Thank you for your order. We have received your payment of %(amount)s.",
        amount=amount,
    )
    if not order.amount_cents:
        thanks = gettext("Thank you for your order. There was nothing to pay.")
    opening = [_greeting(order.customer_name), thanks]
    if order.status == REVIEW:
        opening.append(
            gettext(
                "Something about this payment is not as it should be. We look at it"
                " ourselves; you need do nothing."
            )
        )
    return Content(
        recipients=(mail.recipient,) if mail.recipient else (),
        subject=gettext("Your order %(number)s at Voorraad", number=order.number),
        opening=tuple(opening),
        rows=_bill(order),
        places=_places(order),
        link=Link(gettext("Look at your order"), _order_address(order.token)),
        closing=_closing(),
    )


def _bill(order: OrderView) -> tuple[Row, ...]:
    def money(cents: int) -> str:
        return language.money(cents, order.currency)

    rows = list(_goods(order.lines, order.promised_currency))
    if order.discount_cents:
        label = gettext("Discount")
        rows.append(Row(label, money(-order.discount_cents), order.promotion_code))
    if order.shipping_cents or order.shipping_option:
        label = gettext("Shipping")
        rows.append(Row(label, money(order.shipping_cents), order.shipping_option))
    if order.difference_cents:
        label = gettext("Tax") if order.is_tax_on_top else gettext("Difference")
        rows.append(Row(label, money(order.difference_cents)))
    rows.append(Row(gettext("Total"), money(order.amount_cents), is_sum=True))
    rows += [
        Row(gettext("of which %(rate)s VAT", rate=_rate(bp)), money(cents))
        for bp, cents in order.vat
    ]
    return tuple(rows)


def _goods(lines: Sequence[OrderLineView], currency: str) -> Iterator[Row]:
    for line in lines:
        yield Row(
            line.name,
            language.money(line.total_cents, currency),
            gettext(
                "%(number)s × %(price)s",  # noqa: RUF001 (times, not the letter)
                number=line.quantity,
                price=language.money(line.unit_price_cents, currency),
            ),
        )


def _rate(bp: int) -> str:
    return format_percent(Decimal(bp) / 10_000, "#,##0.##%", language.current())


def _places(order: OrderView) -> tuple[Place, ...]:
    at = order.created_at
    places = {
        gettext("Ordered on"): (f"{language.day(at)}, {language.clock(at)}",),
        gettext("Delivery address"): _address(order),
        gettext("Phone"): (order.customer_phone,),
    }
    return tuple(Place(title, lines) for title, lines in places.items() if any(lines))


def _address(order: OrderView) -> tuple[str, ...]:
    address = order.shipping_address
    if not address:
        return ()
    lines = (
        order.shipping_name,
        address.get("line1", ""),
        address.get("line2", ""),
        f"{address.get('postal_code') or ''} {address.get('city') or ''}".strip(),
        address.get("state", ""),
        language.country(address.get("country") or ""),
    )
    return tuple(line for line in lines if line)


def _order_address(token: str) -> str:
    path = current_app.url_map.bind("").build("pages.order", {"token": token})
    return current_shop().config.shop_url + path


def _refund(session: Session, mail: Mail) -> Content | None:
    """
    Tell how a refund stands: its money is on its way, or is owed.

    Both letters are made of what is so when they are sent, as one may wait for long.
    """
    refund = refunds.by_id(session, mail.refund_id or 0)
    if refund is None:
        return None
    cents = owed.cents(session, refund)
    amount = language.money(cents or refund.amount_cents, refund.currency)
    if cents:
        subject = gettext("We still owe you %(amount)s", amount=amount)
        stands = gettext(
            "Sending %(amount)s back to you did not work by itself. We look at it"
            " ourselves and get in touch with you; you need do nothing.",
            amount=amount,
        )
    else:
        subject = gettext("You get %(amount)s back from Voorraad", amount=amount)
        stands = gettext(
            "%(amount)s comes back to you the way you paid, as a rule within 5 to 10"
            " working days.",
            amount=amount,
        )
    return _about_refund(session, mail, refund, subject, stands)


def _about_refund(
    session: Session, mail: Mail, refund: Refund, subject: str, next_: str
) -> Content:
    order = order_views.of_checkout(session, refund.checkout_id)
    wanted = order_views.wanted(session, refund.checkout_id)
    return Content(
        recipients=(mail.recipient,) if mail.recipient else (),
        subject=subject,
        opening=(
            _greeting(order.customer_name if order else ""),
            _why(refund, order),
            next_,
        ),
        rows=tuple(_goods(wanted.lines, wanted.currency)),
        link=Link(gettext("Look at your order"), _order_address(order.token))
        if order
        else None,
        closing=_closing(),
    )


def _why(refund: Refund, order: OrderView | None) -> str:
    why: str
    if order is None:
        why = gettext(
            "Your payment came after the time for which your products were held for"
            " you, and somebody else had bought them. Nothing will be sent to you."
        )
    elif refund.order_id is None:
        why = gettext(
            "You paid twice for the same products. Your order %(number)s stands; the"
            " second payment was not needed.",
            number=order.number,
        )
    elif refund.amount_cents == order.amount_cents:
        why = gettext(
            "We pay back all that you paid for your order %(number)s.",
            number=order.number,
        )
    else:
        why = gettext(
            "We pay back a part of what you paid for your order %(number)s.",
            number=order.number,
        )
    return why


def _gone(session: Session, mail: Mail) -> Content:
    wanted = order_views.wanted(session, mail.checkout_id or 0)
    return Content(
        recipients=(mail.recipient,),
        subject=gettext("Your order at Voorraad cannot go ahead"),
        opening=(
            _greeting(""),
            gettext(
                "Your order came after the time for which your products were held for"
                " you, and somebody else had bought them. You have paid nothing, and"
                " nothing will be sent to you."
            ),
        ),
        rows=tuple(_goods(wanted.lines, wanted.currency)),
        closing=_closing(),
    )


def _greeting(name: str) -> str:
    return str(gettext("Hello %(name)s,", name=name) if name else gettext("Hello,"))


def _closing() -> tuple[str, ...]:
    question = gettext(
        "Do you have a question? Reply to this mail, and we will help you."
    )
    if not current_shop().config.is_demo:
        return (question,)
    return question, gettext("This is a demonstration; no real money is paid.")


_CONTENTS: Mapping[str, Callable[[Session, Mail], Content | None]] = {
    ORDER_MAIL: _order,
    REFUND_MAIL: _refund,
    OWED_MAIL: _refund,
    GONE_MAIL: _gone,
    TO_DO_MAIL: owner.to_do,
}
