"""Somebody at the dashboard's door who speaks HTTP."""

import re
from collections.abc import Mapping

import requests
from websockets.sync.client import ClientConnection, connect

from admin_dashboard.login.logins import COOKIE


class Visitor:
    def __init__(self, address: str) -> None:
        self.address = address
        self.session = requests.Session()
        self.session.trust_env = False

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.session.get(
            self.address + path, headers=headers, allow_redirects=False, timeout=20
        )

    def post(
        self, path: str, form: Mapping[str, str], **headers: str
    ) -> requests.Response:
        return self.session.post(
            self.address + path,
            data=form,
            headers=headers,
            allow_redirects=False,
            timeout=20,
        )

    def token(self, path: str = "/login") -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get(path).text)
        assert found
        return found[1]

    def log_in(self, email: str, password: str) -> requests.Response:
        return self.post(
            "/login",
            {"csrf_token": self.token(), "email": email, "password": password},
        )

    def log_out(self) -> requests.Response:
        return self.post("/logout", {"csrf_token": self.token("/logout")})

    def websocket(self) -> ClientConnection:
        cookie = self.session.cookies.get(COOKIE, "")
        return connect(
            self.address.replace("http", "ws") + "/_stcore/stream",
            additional_headers={"Cookie": f"{COOKIE}={cookie}"},
            proxy=None,
        )
