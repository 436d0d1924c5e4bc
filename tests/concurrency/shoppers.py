"""Shoppers who come one after the other for minutes, and leave, cancel or pay."""

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

import requests

from tests.concurrency.rush import ANSWER_SECONDS, Answer, check_out
from tests.emulator import EmulatorServer

# Of ten who have reserved, so many go away, cancel and pay.
ENDINGS = ("left",) * 6 + ("cancelled",) * 2 + ("paid",) * 2
MOST_LINES = 3
MOST_UNITS = 2


@dataclass(frozen=True)
class Visit:
    """A cart, what the shop said to it, and what the shopper did then."""

    cart: dict[int, int]
    answer: Answer
    ending: str

    @property
    def checkout_id(self) -> int:
        return int(self.answer.body["checkout_id"])

    @property
    def session_id(self) -> str:
        return str(self.answer.body["stripe_session_id"])


class Street:
    """
    Shoppers before two storefronts: each comes to one, and comes back to the other.

    *statuses* are all that the storefronts have said, *visits* those who got a page,
    *errors* what should never be, a broken connection for example.
    """

    def __init__(
        self, urls: Sequence[str], stripe: EmulatorServer, products: Sequence[int]
    ) -> None:
        self.urls, self.stripe, self.products = urls, stripe, products
        self.statuses: Counter[int] = Counter()
        self.visits: list[Visit] = []
        self.errors: list[Exception] = []
        self.longest_wait = 0.0
        self._mutex = threading.Lock()

    def send(self, count: int, *, at_once: int, seconds: float) -> None:
        """Let *count* shoppers come, *at_once* at a time; nobody after *seconds*."""
        until = time.monotonic() + seconds
        numbers = iter(range(count))

        def come() -> None:
            while time.monotonic() < until:
                with self._mutex:
                    number = next(numbers, None)
                if number is None:
                    return
                self._come(number, random.Random(number))  # noqa: S311 (no secret)

        with ThreadPoolExecutor(at_once) as threads:
            for each in [threads.submit(come) for _ in range(at_once)]:
                each.result()

    def check_out(self, url: str, cart: dict[int, int]) -> Answer:
        """Check out as somebody new."""
        return self._ask(url, lambda connection: check_out(connection, cart))

    def visit(self, here: str, cart: dict[int, int], *, ending: str) -> None:
        """Check out as somebody new, then do as *ending* says, at the other place."""
        answer = self.check_out(here, cart)
        if answer.status != HTTPStatus.CREATED:
            return
        visit = Visit(cart, answer, ending)
        (elsewhere,) = {*self.urls} - {here}
        if not self._end(visit, elsewhere):
            visit = Visit(cart, answer, f"not {ending}")
        with self._mutex:
            self.visits.append(visit)

    def _come(self, number: int, chance: random.Random) -> None:
        lines = chance.sample(self.products, chance.randint(1, MOST_LINES))
        cart = {product: chance.randint(1, MOST_UNITS) for product in lines}
        try:
            self.visit(self.urls[number % 2], cart, ending=chance.choice(ENDINGS))
        except Exception as error:
            with self._mutex:
                self.errors.append(error)

    def _end(self, visit: Visit, elsewhere: str) -> bool:
        """Do as the shopper wants; False if his page was closed before he could pay."""
        if visit.ending == "cancelled":
            self._ask(elsewhere, lambda connection: _cancel(connection, visit))
        elif visit.ending == "paid":
            try:
                self.stripe.pay(visit.session_id, wait=False)
            except requests.HTTPError as error:
                if error.response.status_code != HTTPStatus.CONFLICT:
                    raise
                return False
        return True

    def _ask(
        self, url: str, ask: Callable[[http.client.HTTPConnection], Answer]
    ) -> Answer:
        place = urlsplit(url).netloc
        began = time.monotonic()
        with closing(
            http.client.HTTPConnection(place, timeout=ANSWER_SECONDS)
        ) as connection:
            answer = ask(connection)
        with self._mutex:
            self.statuses[answer.status] += 1
            self.longest_wait = max(self.longest_wait, time.monotonic() - began)
        return answer


def _cancel(connection: http.client.HTTPConnection, visit: Visit) -> Answer:
    """Come back from the payment page by its address for those who do not pay."""
    address = f"/checkout/cancel/{visit.checkout_id}"
    connection.request("GET", address, headers={"Cookie": visit.answer.cookie})
    response = connection.getresponse()
    response.read()
    return Answer(response.status, {})
