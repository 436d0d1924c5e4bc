"""The letters to customers: their order, their refund, or that there is neither."""

from collections.abc import Iterable, Iterator

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from core.models.mail import Mail
from core.models.orders import REVIEW
from core.models.refunds import Refund
from core.orders import views as order_views
from core.orders.views import OrderView, Wanted
from core.refunds import owed, refunds
from storefront import language
from storefront.extensions import current_shop
from storefront.letters.parts import Content, Place, Row


def order(session: Session, mail: Mail) -> Content | None:
    """Confirm an order; None if there is no such order."""
    found = order_views.of_checkout(session, mail.checkout_id or 0)
    if found is None:
        return None
    thanks = _("Thank you for your order. There was nothing to pay.")
    if found.amount_cents:
        thanks = _(
            "Thank you for your order. We have received your payment of %(amount)s.",
            amount=language.money(found.amount_cents, found.currency),
        )
    told = [thanks]
    if found.status == REVIEW:
        told.append(
            _(
                "Something about this payment is not as it should be. We look at it"
                " ourselves; you need do nothing."
            )
        )
    subject = _("Your order %(number)s at Voorraad", number=found.number)
    places = tuple(_places(found))
    return _content(mail, subject, *told, rows=_bill(found), order=found, places=places)


def _content(
    mail: Mail,
    subject: str,
    *told: str,
    rows: Iterable[Row],
    order: OrderView | None = None,
    places: tuple[Place, ...] = (),
) -> Content:
    name = order.customer_name if order else ""
    closing = [_("Do you have a question? Reply to this mail, and we will help you.")]
    if current_shop().config.is_demo:
        closing.append(_("This is a demonstration; no real money is paid."))
    return Content(
        recipients=(mail.recipient,) if mail.recipient else (),
        subject=subject,
        opening=(_("Hello %(name)s,", name=name) if name else _("Hello,"), *told),
        rows=tuple(rows),
        places=places,
        order_url=_url_of(order) if order else "",
        closing=tuple(closing),
    )


def _url_of(order: OrderView) -> str:
    path = current_app.url_map.bind("").build("pages.order", {"token": order.token})
    return current_shop().config.shop_url + path


def _bill(found: OrderView) -> Iterator[Row]:
    def money(cents: int) -> str:
        return language.money(cents, found.currency)

    yield from _goods(Wanted(found.lines, found.promised_currency))
    if found.discount_cents:
        yield Row(_("Discount"), money(-found.discount_cents), found.promotion_code)
    if found.shipping_cents or found.shipping_option:
        yield Row(_("Shipping"), money(found.shipping_cents), found.shipping_option)
    if found.difference_cents:
        label = _("Tax") if found.is_tax_on_top else _("Difference")
        yield Row(label, money(found.difference_cents))
    yield Row(_("Total"), money(found.amount_cents), is_sum=True)
    for rate, cents in found.vat:
        label = _("of which %(rate)s VAT", rate=language.percentage(rate))
        yield Row(label, money(cents))


def _goods(wanted: Wanted) -> Iterator[Row]:
    for line in wanted.lines:
        price = language.money(line.unit_price_cents, wanted.currency)
        times = _("%(number)s × %(price)s", number=line.quantity, price=price)  # noqa: RUF001 (times, not the letter)
        yield Row(line.name, language.money(line.total_cents, wanted.currency), times)


def _places(found: OrderView) -> Iterator[Place]:
    yield Place(_("Ordered on"), (language.moment(found.created_at),))
    address = found.shipping_address
    if address and (lines := language.address_lines(found.shipping_name, address)):
        yield Place(_("Delivery address"), lines)
    if found.is_vat_exempt:
        told = _("Exempt from VAT under article 25 of the Dutch VAT act (Wet OB)")
        yield Place(_("VAT"), (told,))
    if found.customer_phone:
        yield Place(_("Phone"), (found.customer_phone,))


def refund(session: Session, mail: Mail) -> Content | None:
    """
    Tell how a refund stands now: its money is on its way, or is still owed.

    The letter may have waited for long, so its kind does not decide. None if there is
    no such refund.
    """
    found = refunds.by_id(session, mail.refund_id or 0)
    if found is None:
        return None
    bought = order_views.of_checkout(session, found.checkout_id)
    subject, stands = _standing(found, owed.cents(session, found))
    rows = _goods(order_views.wanted(session, found.checkout_id))
    return _content(mail, subject, _why(found, bought), stands, rows=rows, order=bought)


def _standing(found: Refund, owed_cents: int) -> tuple[str, str]:
    amount = language.money(owed_cents or found.amount_cents, found.currency)
    if owed_cents:
        return _("We still owe you %(amount)s", amount=amount), _(
            "Sending %(amount)s back to you did not work by itself. We look at it"
            " ourselves and get in touch with you; you need do nothing.",
            amount=amount,
        )
    return _("You get %(amount)s back from Voorraad", amount=amount), _(
        "%(amount)s comes back to you the way you paid, as a rule within 5 to 10"
        " working days.",
        amount=amount,
    )


def _why(found: Refund, bought: OrderView | None) -> str:
    if bought is None:
        why = _(
            "Your payment came after the time for which your products were held for"
            " you, and somebody else had bought them. Nothing will be sent to you."
        )
    elif found.order_id is None:
        why = _(
            "You paid twice for the same products. Your order %(number)s stands; the"
            " second payment was not needed.",
            number=bought.number,
        )
    elif found.amount_cents == bought.amount_cents:
        why = _(
            "We pay back all that you paid for your order %(number)s.",
            number=bought.number,
        )
    else:
        why = _(
            "We pay back a part of what you paid for your order %(number)s.",
            number=bought.number,
        )
    return str(why)


def gone(session: Session, mail: Mail) -> Content:
    """Tell that an order without a payment came when its products were gone."""
    told = _(
        "Your order came after the time for which your products were held for you, and"
        " somebody else had bought them. You have paid nothing, and nothing will be"
        " sent to you."
    )
    rows = _goods(order_views.wanted(session, mail.checkout_id or 0))
    return _content(mail, _("Your order at Voorraad cannot go ahead"), told, rows=rows)
