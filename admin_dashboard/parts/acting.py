"""What the owner does: in one transaction, in their name, with a notice on the page."""

import logging
from collections.abc import Callable
from typing import TypeVar

import streamlit as st
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from admin_dashboard.login.logins import COOKIE, LOGGED_OUT, Logins
from admin_dashboard.parts.shop_data import config, shop_database
from core.errors import BusyError

T = TypeVar("T")

NOTICE = "notice"
OUT_OF_REACH = (
    "De database van de winkel is nu niet bereikbaar of te druk. Kijk straks eerst of"
    " het toch gelukt is, en probeer het dan nog eens."
)

logger = logging.getLogger(__name__)


class NotDoneError(Exception):
    """It could not be done; the message is a sentence for the owner."""


def change(work: Callable[[Session, str], T]) -> T:
    """
    Do *work*, which is given the owner's email address, in a transaction.

    Raises NotDoneError if the database cannot be reached or nobody is logged in.
    """
    try:
        logins = Logins(shop_database(), config().secret_key)
        owner = logins.owner_of(st.context.cookies.get(COOKIE, ""))
        if not owner:
            raise NotDoneError(LOGGED_OUT)
        return shop_database().write(lambda session: work(session, owner))
    except (SQLAlchemyError, BusyError) as error:
        logger.exception("the database could not be changed")
        raise NotDoneError(OUT_OF_REACH) from error
    finally:
        st.cache_data.clear()


def act(work: Callable[[Session, str], bool], done: str, refused: str) -> None:
    """Do *work* and leave a notice: what was *done*, or why it was *refused*."""
    try:
        tell(done) if change(work) else warn(refused)
    except NotDoneError as error:
        warn(str(error))


def button(
    label: str, key: str, work: Callable[[Session, str], bool], done: str, refused: str
) -> None:
    """Show a button that does *work* as act does."""
    st.button(label, key=key, on_click=act, args=(work, done, refused))


def tell(text: str) -> None:
    st.session_state[NOTICE] = (st.success, text)


def warn(text: str) -> None:
    st.session_state[NOTICE] = (st.warning, text)


def show_notice() -> None:
    """Show once the result of the last thing that the owner did."""
    if NOTICE in st.session_state:
        show, text = st.session_state.pop(NOTICE)
        show(text)
