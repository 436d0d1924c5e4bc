"""A client that we did not write: Stripe's own for the command line."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from core.clock import utcnow
from core.payments.data import SessionLine, SessionRequest
from core.payments.gateway import StripeGateway
from core.payments.offer import Offer
from tests import stripe_cli
from tests.emulator import EmulatorServer
from tests.stripe_cli import StripeClient
from tests.stripe_emulator.conftest import SECRET, Shop, as_json, client_for

pytestmark = pytest.mark.slow
COMPLETED = "checkout.session.completed"


@pytest.fixture(scope="module")
def program() -> Path:
    return stripe_cli.program()


@pytest.fixture
def listener() -> Iterator[Shop]:
    listening = Shop()
    yield listening
    listening.stop()


@pytest.fixture(scope="module")
def running() -> Iterator[EmulatorServer]:
    with EmulatorServer(webhook_secret=SECRET) as server:
        yield server


@pytest.fixture
def server(running: EmulatorServer, listener: Shop) -> EmulatorServer:
    running.reset()
    running.send_webhooks(listener.url)
    return running


@pytest.fixture
def cli(program: Path, server: EmulatorServer, tmp_path: Path) -> StripeClient:
    return StripeClient(program, server.url, tmp_path)


@pytest.fixture
def gateway(server: EmulatorServer) -> StripeGateway:
    return StripeGateway("sk_test_shop", SECRET, server.url)


def page(gateway: StripeGateway, **offered):
    """A payment page for two mugs, as the shop makes it."""
    request = SessionRequest(
        checkout_id=7,
        idempotency_key="checkout-7",
        lines=(SessionLine("Mug", 1295, "eur", 2),),
        expires_at=utcnow() + timedelta(minutes=33),
        locale="nl",
        notice="",
        offer=Offer("http://127.0.0.1:9", **offered),
    )
    return gateway.create(request)


def told(listener: Shop, kind: str):
    """What the first event of this kind tells of its object."""
    return listener.wait_for(kind)[0]["data"]["object"]


def test_it_triggers_a_completed_session(cli, listener):
    ended = cli.trigger(COMPLETED)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    session = told(listener, COMPLETED)
    assert (session["payment_status"], session["amount_total"]) == ("paid", 3000)


def test_it_triggers_an_expired_session(cli, listener):
    ended = cli.trigger("checkout.session.expired")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    session = told(listener, "checkout.session.expired")
    assert (session["status"], session["payment_status"]) == ("expired", "unpaid")


def test_it_triggers_a_payment_that_comes_later(cli, listener):
    ended = cli.trigger("checkout.session.async_payment_succeeded")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    later = told(listener, "checkout.session.async_payment_succeeded")
    assert later["payment_status"] == "paid"
    first = told(listener, COMPLETED)
    assert (first["id"], first["payment_status"]) == (later["id"], "unpaid")


def test_it_triggers_a_refund(cli, listener):
    ended = cli.trigger("charge.refunded")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    charge = told(listener, "charge.refunded")
    assert (charge["amount_refunded"], charge["refunded"]) == (100, True)


def test_the_newest_version_refuses_what_the_client_sends_without_one(cli):
    version = ("--api-version", "2026-10-28.endive")

    ended = cli.trigger("charge.refunded", *version)

    assert ended.returncode != 0
    assert "unknown parameter: payment_method_types" in ended.stdout + ended.stderr


def test_it_pays_a_page_of_the_shop(cli, gateway, listener):
    session = page(gateway)

    ended = cli.pay(session.id)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    listener.wait_for(COMPLETED)
    (received,) = [pair for pair in listener.received if COMPLETED in pair[0].decode()]
    event = gateway.read_event(*received, utcnow())
    assert event.object_id == session.id
    assert gateway.retrieve(session.id).is_paid


def test_a_page_that_has_ended_takes_no_money(cli, gateway, server):
    session = page(gateway)
    gateway.expire(session.id)

    ended = cli.pay(session.id)

    assert ended.returncode != 0
    assert "no longer active" in ended.stdout + ended.stderr
    assert not gateway.retrieve(session.id).is_paid
    assert client_for(server.url).v1.payment_intents.list().data == []


def test_a_page_takes_money_once(cli, gateway, server):
    session = page(gateway)
    cli.pay(session.id)

    ended = cli.pay(session.id)

    assert ended.returncode != 0
    assert "no longer active" in ended.stdout + ended.stderr
    assert len(client_for(server.url).v1.payment_intents.list().data) == 1


def test_a_declined_card_leaves_the_page_open(cli, gateway, server):
    session = page(gateway)
    declined = "payment_method:card.token=tok_visa_chargeDeclined"

    ended = cli.pay(session.id, "--override", declined)

    assert ended.returncode != 0
    assert "card_declined" in ended.stdout + ended.stderr
    found = client_for(server.url).v1.checkout.sessions.retrieve(session.id)
    assert found.status == "open"
    assert cli.pay(session.id).returncode == 0


@pytest.mark.parametrize(
    ("iban", "end"),
    [("NL39RABO0300065264", "succeeded"), ("NL91ABNA0417164300", "failed")],
)
def test_a_delayed_method_completes_unpaid_and_then_ends(
    cli, gateway, listener, iban, end
):
    session = page(gateway, excluded_methods=())
    bank = ["--override", "payment_method:type=sepa_debit"]
    bank += ["--add", f"payment_method:sepa_debit.iban={iban}"]

    ended = cli.pay(session.id, *bank, "--remove", "payment_method:card")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert told(listener, COMPLETED)["payment_status"] == "unpaid"
    assert told(listener, f"checkout.session.async_payment_{end}")["id"] == session.id


def test_a_method_that_the_shop_excludes_is_refused(cli, gateway, server):
    session = page(gateway)
    bank = ["--override", "payment_method:type=sepa_debit"]
    bank += ["--add", "payment_method:sepa_debit.iban=NL39RABO0300065264"]

    ended = cli.pay(session.id, *bank, "--remove", "payment_method:card")

    assert ended.returncode != 0
    assert "is not offered" in ended.stdout + ended.stderr
    found = as_json(client_for(server.url).v1.checkout.sessions.retrieve(session.id))
    assert (found["status"], found["payment_intent"]) == ("open", None)
