"""
What the pages show, read from the shop's database.

Open tabs refresh by themselves, so one answer serves all of them for two seconds. A
case, on which an owner is about to act, is always read anew.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import streamlit as st
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core.clock import utcnow
from core.config import Config
from core.database.engine import Database, connect
from core.orders import views as order_views
from core.owner import case, networks, reports
from core.owner import to_dos as entries
from core.owner.reports import Attention, Totals
from core.refunds import views as refund_views

P = ParamSpec("P")
T = TypeVar("T")

FRESH_SECONDS = 2
MOST_ANSWERS = 100
# Asking Stripe takes the sweep some seconds; only then is a hold overdue for a person.
SWEEP_TAKES = timedelta(minutes=1)

logger = logging.getLogger(__name__)


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


def _read(query: Callable[Concatenate[Session, P], T]) -> Callable[P, T]:
    """Let *query* read the shop's database."""

    @wraps(query)
    def answer(*args: P.args, **kwargs: P.kwargs) -> T:
        with shop_database().read() as session:
            return query(session, *args, **kwargs)

    return answer


def _fresh(query: Callable[Concatenate[Session, P], T]) -> Callable[P, T]:
    """Let *query* read the shop's database once for all tabs, every two seconds."""
    cached = st.cache_data(
        ttl=FRESH_SECONDS, max_entries=MOST_ANSWERS, show_spinner=False
    )
    return cached(_read(query))


@_fresh
def totals(session: Session) -> Totals:
    return reports.totals(session, utcnow() - SWEEP_TAKES)


@_fresh
def attention(session: Session) -> Attention:
    return reports.attention(session, utcnow())


@_fresh
def refused(session: Session) -> list[networks.Refused]:
    return networks.refused(session, utcnow())


held_by_network = _fresh(networks.held)
stock_levels = _fresh(reports.stock_levels)
open_reservations = _fresh(reports.open_reservations)
orders = _fresh(reports.orders)
refunds = _fresh(refund_views.refunds)
disputes = _fresh(refund_views.disputes)
to_dos = _fresh(entries.entries)
mails = _fresh(reports.mails)
numbers_of = _read(order_views.numbers_of)
case_of_order = _read(case.of_order)
case_of_checkout = _read(case.of_checkout)
