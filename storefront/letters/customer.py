"""The letters to customers: their order, their refund, or that there is neither."""

from collections.abc import Iterator

from flask import current_app
from flask_babel import gettext
from sqlalchemy.orm import Session

from core.models.mail import Mail
from core.models.orders import REVIEW
from core.models.refunds import Refund
from core.orders import views as order_views
from core.orders.views import OrderView, Wanted
from core.refunds import owed, refunds
from storefront import language
from storefront.extensions import current_shop
from storefront.letters.parts import Content, Link, Place, Row


def order(session: Session, mail: Mail) -> Content | None:
    """Confirm an order; None if there is no such order."""
    found = order_views.of_checkout(session, mail.checkout_id or 0)
    if found is None:
        return None
    opening = [_greeting(found.customer_name), _thanks(found)]
    if found.status == REVIEW:
        opening.append(
            gettext(
                "Something about this payment is not as it should be. We look at it"
                " ourselves; you need do nothing."
            )
        )
    return Content(
        recipients=_recipients(mail),
        subject=gettext("Your order %(number)s at Voorraad", number=found.number),
        opening=tuple(opening),
        rows=tuple(_bill(found)),
        places=tuple(_places(found)),
        link=_link(found),
        closing=_closing(),
    )


def _thanks(found: OrderView) -> str:
    if not found.amount_cents:
        return str(gettext("Thank you for your order. There was nothing to pay."))
    return str(
        gettext(
            "Thank you for your order. We have received your payment of %(amount)s.",
            amount=language.money(found.amount_cents, found.currency),
        )
    )


def _bill(found: OrderView) -> Iterator[Row]:
    def money(cents: int) -> str:
        return language.money(cents, found.currency)

    yield from _goods(Wanted(found.lines, found.promised_currency))
    if found.discount_cents:
        discount = money(-found.discount_cents)
        yield Row(gettext("Discount"), discount, found.promotion_code)
    if found.shipping_cents or found.shipping_option:
        shipping = money(found.shipping_cents)
        yield Row(gettext("Shipping"), shipping, found.shipping_option)
    if found.difference_cents:
        label = gettext("Tax") if found.is_tax_on_top else gettext("Difference")
        yield Row(label, money(found.difference_cents))
    yield Row(gettext("Total"), money(found.amount_cents), is_sum=True)
    for rate, cents in found.vat:
        label = gettext("of which %(rate)s VAT", rate=language.percentage(rate))
        yield Row(label, money(cents))


def _goods(wanted: Wanted) -> Iterator[Row]:
    for line in wanted.lines:
        price = language.money(line.unit_price_cents, wanted.currency)
        times = gettext(
            "%(number)s × %(price)s",  # noqa: RUF001 (times, not the letter)
            number=line.quantity,
            price=price,
        )
        yield Row(line.name, language.money(line.total_cents, wanted.currency), times)


def _places(found: OrderView) -> Iterator[Place]:
    yield Place(gettext("Ordered on"), (language.moment(found.created_at),))
    address = found.shipping_address
    if address and (lines := language.address_lines(found.shipping_name, address)):
        yield Place(gettext("Delivery address"), lines)
    if found.customer_phone:
        yield Place(gettext("Phone"), (found.customer_phone,))


def _link(found: OrderView) -> Link:
    path = current_app.url_map.bind("").build("pages.order", {"token": found.token})
    return Link(gettext("Look at your order"), current_shop().config.shop_url + path)


def refund(session: Session, mail: Mail) -> Content | None:
    """
    Tell how a refund stands now: its money is on its way, or is still owed.

    The letter may have waited for long, so its kind does not decide. None if there is
    no such refund.
    """
    found = refunds.by_id(session, mail.refund_id or 0)
    if found is None:
        return None
    subject, stands = _standing(found, owed.cents(session, found))
    bought = order_views.of_checkout(session, found.checkout_id)
    return Content(
        recipients=_recipients(mail),
        subject=subject,
        opening=(
            _greeting(bought.customer_name if bought else ""),
            _why(found, bought),
            stands,
        ),
        rows=tuple(_goods(order_views.wanted(session, found.checkout_id))),
        link=_link(bought) if bought else None,
        closing=_closing(),
    )


def _standing(found: Refund, owed_cents: int) -> tuple[str, str]:
    amount = language.money(owed_cents or found.amount_cents, found.currency)
    if owed_cents:
        return gettext("We still owe you %(amount)s", amount=amount), gettext(
            "Sending %(amount)s back to you did not work by itself. We look at it"
            " ourselves and get in touch with you; you need do nothing.",
            amount=amount,
        )
    return gettext("You get %(amount)s back from Voorraad", amount=amount), gettext(
        "%(amount)s comes back to you the way you paid, as a rule within 5 to 10"
        " working days.",
        amount=amount,
    )


def _why(found: Refund, bought: OrderView | None) -> str:
    why: str
    if bought is None:
        why = gettext(
            "Your payment came after the time for which your products were held for"
            " you, and somebody else had bought them. Nothing will be sent to you."
        )
    elif found.order_id is None:
        why = gettext(
            "You paid twice for the same products. Your order %(number)s stands; the"
            " second payment was not needed.",
            number=bought.number,
        )
    elif found.amount_cents == bought.amount_cents:
        why = gettext(
            "We pay back all that you paid for your order %(number)s.",
            number=bought.number,
        )
    else:
        why = gettext(
            "We pay back a part of what you paid for your order %(number)s.",
            number=bought.number,
        )
    return why


def gone(session: Session, mail: Mail) -> Content:
    """Tell that an order without a payment came when its products were gone."""
    wanted = order_views.wanted(session, mail.checkout_id or 0)
    return Content(
        recipients=_recipients(mail),
        subject=gettext("Your order at Voorraad cannot go ahead"),
        opening=(
            _greeting(""),
            gettext(
                "Your order came after the time for which your products were held for"
                " you, and somebody else had bought them. You have paid nothing, and"
                " nothing will be sent to you."
            ),
        ),
        rows=tuple(_goods(wanted)),
        closing=_closing(),
    )


def _recipients(mail: Mail) -> tuple[str, ...]:
    return (mail.recipient,) if mail.recipient else ()


def _greeting(name: str) -> str:
    return str(gettext("Hello %(name)s,", name=name) if name else gettext("Hello,"))


def _closing() -> tuple[str, ...]:
    question = gettext(
        "Do you have a question? Reply to this mail, and we will help you."
    )
    if not current_shop().config.is_demo:
        return (question,)
    return question, gettext("This is a demonstration; no real money is paid.")
