from datetime import datetime

from core.checkout import expiry
from core.checkout.payment_page import Visitor
from core.models.checkout import EXPIRED
from core.owner import history, networks
from core.owner.networks import NetworkHold
from core.shop import Shop
from core.stock import reservations
from tests.emulator import EmulatorServer
from tests.factories import (
    add_product,
    ask,
    begin,
    levels,
    open_sessions,
    reserved,
    status_of,
)

HOARDER = "192.0.2.1"
WHO = "owner@shop.example"


def test_only_networks_with_several_holds_of_a_product_are_listed(
    shop: Shop, now: datetime
) -> None:
    mug = add_product(shop.database, stock_units=40, name="Mug")
    for _ in range(2):
        reserved(shop.database, {mug: 3}, now, network=f"{HOARDER}/32")
    reserved(shop.database, {mug: 9}, now, network="192.0.2.2/32")
    reserved(shop.database, {mug: 1}, now)
    reserved(shop.database, {mug: 1}, now)

    found = ask(shop.database, networks.held)

    assert found == [NetworkHold(f"{HOARDER}/32", mug, "Mug", 6, 40, 2)]


def test_what_is_let_go_is_closed_at_stripe_before_its_units_are_free(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=40)
    pages = [
        begin(shop, {mug: 1}, Visitor(f"bot-{number}", HOARDER, "nl"))
        for number in range(3)
    ]
    honest = begin(shop, {mug: 1}, Visitor("honest", "192.0.2.2", "nl"))
    [held] = ask(shop.database, networks.held)
    now = shop.clock()

    let_go = shop.database.write(lambda s: networks.let_go(s, held, who=WHO, now=now))

    assert let_go
    assert levels(shop.database, mug) == (40, 4)
    expiry.sweep(shop)
    assert levels(shop.database, mug) == (40, 1)
    assert open_sessions(stripe) == [honest.stripe_session_id]
    assert {status_of(shop.database, p.checkout_id) for p in pages} == {EXPIRED}
    steps = ask(shop.database, lambda s: history.steps(s, pages[0].checkout_id))
    assert [step.who for step in steps if step.what == "LET_GO"] == [WHO]


def test_a_payment_on_its_way_is_not_let_go(shop: Shop, now: datetime) -> None:
    mug = add_product(shop.database, stock_units=40)
    ids = [
        reserved(shop.database, {mug: 1}, now, network=f"{HOARDER}/32")
        for _ in range(2)
    ]
    [held] = ask(shop.database, networks.held)
    later = now.replace(year=now.year + 1)
    for each in ids:
        shop.database.write(
            lambda s, each=each: reservations.prolong(s, each, later, now=now)  # type: ignore[misc]
        )

    assert not shop.database.write(lambda s: networks.let_go(s, held, who=WHO, now=now))
