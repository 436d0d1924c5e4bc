"""The dashboard's server: Streamlit behind the gate, and the login in front of it."""

import os
import sys
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from admin_dashboard.login.gate import Gate
from admin_dashboard.login.logins import Logins
from admin_dashboard.login.pages import LoginPages
from core.config import Config
from core.database.engine import connect
from core.errors import ConfigError

try:
    config = Config.from_env(os.environ)
except ConfigError as error:
    sys.exit(f"dashboard: {error}")

logins = Logins(connect(config.database_url), config.secret_key)
app = st.App(
    Path(__file__).with_name("main.py"),
    routes=LoginPages(logins, config.secret_key).routes(),
    middleware=[Middleware(Gate, logins=logins)],
)
