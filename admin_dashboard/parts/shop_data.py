"""
What the pages show, read from the shop's database.

Open tabs refresh by themselves, so an answer serves all of them for two seconds. What
an owner is about to act on is read anew.
"""

import logging
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta

import streamlit as st
from sqlalchemy.exc import SQLAlchemyError

from core.clock import utcnow
from core.config import Config
from core.database.engine import Database, connect
from core.orders import views as order_views
from core.orders.views import OrderView
from core.owner import case, reports
from core.owner.case import Case
from core.owner.reports import Attention, MailView, OpenReservation, StockLevel, Totals
from core.owner.to_dos import ToDoView, entries
from core.refunds import views as refund_views
from core.refunds.views import DisputeView, RefundView

FRESH_SECONDS = 2
MOST_ANSWERS = 100
# Asking Stripe takes the sweep some seconds; a hold is overdue for a person after this.
SWEEP_TAKES = timedelta(minutes=1)

logger = logging.getLogger(__name__)
fresh = st.cache_data(ttl=FRESH_SECONDS, max_entries=MOST_ANSWERS, show_spinner=False)


@st.cache_resource(show_spinner=False)
def config() -> Config:
    return Config.from_env(os.environ)


@st.cache_resource(show_spinner=False)
def shop_database() -> Database:
    return connect(config().database_url)


@contextmanager
def told_plainly() -> Iterator[None]:
    """Show one sentence instead of a part of the page that could not be read."""
    try:
        yield
    except SQLAlchemyError:
        logger.exception("the database could not be read")
        st.error(
            "De database van de winkel is nu niet bereikbaar. Zodra dat weer kan,"
            " staan hier de gegevens."
        )


@fresh
def totals() -> Totals:
    with shop_database().read() as session:
        return reports.totals(session, utcnow() - SWEEP_TAKES)


@fresh
def attention() -> Attention:
    with shop_database().read() as session:
        return reports.attention(session, utcnow())


@fresh
def stock_levels(text: str, limit: int) -> list[StockLevel]:
    with shop_database().read() as session:
        return reports.stock_levels(session, text=text, limit=limit)


@fresh
def open_reservations(limit: int) -> list[OpenReservation]:
    with shop_database().read() as session:
        return reports.open_reservations(session, limit=limit)


@fresh
def orders(text: str, limit: int, status: str = "") -> list[OrderView]:
    with shop_database().read() as session:
        return reports.orders(session, text=text, status=status, limit=limit)


@fresh
def refunds(limit: int) -> list[RefundView]:
    with shop_database().read() as session:
        return refund_views.refunds(session, limit=limit)


@fresh
def disputes(limit: int) -> list[DisputeView]:
    with shop_database().read() as session:
        return refund_views.disputes(session, limit=limit)


@fresh
def to_dos(limit: int, *, done: bool = False) -> list[ToDoView]:
    with shop_database().read() as session:
        return entries(session, done=done, limit=limit)


@fresh
def mails(limit: int) -> list[MailView]:
    with shop_database().read() as session:
        return reports.mails(session, limit=limit)


def numbers_of(checkout_ids: Collection[int | None]) -> dict[int | None, int]:
    """Return the numbers of the orders that these checkouts became."""
    with shop_database().read() as session:
        return order_views.numbers_of(session, checkout_ids)


def case_of_order(number: int) -> Case | None:
    with shop_database().read() as session:
        return case.of_order(session, number)


def case_of_checkout(checkout_id: int) -> Case | None:
    with shop_database().read() as session:
        return case.of_checkout(session, checkout_id)
