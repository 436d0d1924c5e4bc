"""Faults on request: errors and silence, before or after the effect."""

import threading
from dataclasses import asdict, dataclass, field
from typing import Literal, get_args

from stripe_emulator.faults.barriers import LONGEST_WAIT_SECONDS
from stripe_emulator.state.account import Json
from stripe_emulator.validation.errors import ApiError, server_error

Kind = Literal[
    "error_before",  # 500, nothing done; kept under the idempotency key
    "error_after",  # 500, but it was done; kept under the key
    "timeout_after",  # done, then no answer for `seconds`, then the connection drops
    "drop_after",  # done, then the connection drops
    "slow",  # a right answer, `seconds` late
    "reset_before",  # nothing done, the connection is reset
    "reset_after",  # done, then the connection is reset
    "hang",  # nothing done, no answer for `seconds`, then the connection drops
    "status",  # nothing done, the `status` is answered (502 to 504 with HTML)
]
KINDS = get_args(Kind)
_HTML = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


class DroppedError(Exception):
    """The connection ends without an answer."""


class ResetError(Exception):
    """The connection is reset, as when a machine crashes."""


class HtmlError(Exception):
    """An HTML page, as a proxy in front of the API answers it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status
        self.body = _HTML.format(f"{status} Bad Gateway")


@dataclass
class Fault:
    """*route* "*" means any, *id* picks one object, *times* 0 means until a reset."""

    route: str
    kind: Kind
    id: str | None = None
    seconds: float = 2.0
    status: int = 500
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)

    def fits(self, route: str, object_id: str | None) -> bool:
        is_here = self.route in (route, "*")
        return is_here and self.id in (None, object_id)


class Faults:
    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._mutex = threading.Lock()
        self._reset = threading.Event()

    def add(self, fault: Fault) -> None:
        with self._mutex:
            self._faults.append(fault)

    def listed(self) -> list[Json]:
        with self._mutex:
            return [asdict(fault) for fault in self._faults]

    def clear(self) -> None:
        """Remove all faults and release the calls that wait in one."""
        with self._mutex:
            self._faults.clear()
            self._reset.set()
            self._reset = threading.Event()

    def on_arrival(self, route: str, object_id: str | None) -> None:
        if fault := self._take(route, object_id, "hang"):
            self._pause(fault.seconds)
            raise DroppedError
        if fault := self._take(route, object_id, "slow"):
            self._pause(fault.seconds)
        if fault := self._take(route, object_id, "status"):
            raise _refusal(fault)

        if self._take(route, object_id, "reset_before"):
            raise ResetError

    def before_effect(self, route: str, object_id: str | None) -> None:
        if self._take(route, object_id, "error_before"):
            raise server_error()

    def after_effect(self, route: str, object_id: str | None) -> None:
        if self._take(route, object_id, "error_after"):
            raise server_error()

    def on_answer(self, route: str, object_id: str | None) -> None:
        if fault := self._take(route, object_id, "timeout_after"):
            self._pause(fault.seconds)
            raise DroppedError
        if self._take(route, object_id, "drop_after"):
            raise DroppedError
        if self._take(route, object_id, "reset_after"):
            raise ResetError

    def _take(self, route: str, object_id: str | None, kind: Kind) -> Fault | None:
        with self._mutex:
            for fault in self._faults:
                if fault.kind == kind and fault.fits(route, object_id):
                    if fault.times == 1:
                        self._faults.remove(fault)
                    fault.times -= fault.times > 0
                    return fault
        return None

    def _pause(self, seconds: float) -> None:
        self._reset.wait(min(seconds, LONGEST_WAIT_SECONDS))


def _refusal(fault: Fault) -> Exception:
    if fault.status in (502, 503, 504):
        return HtmlError(fault.status)
    text, code = _REFUSALS.get(fault.status, ("The emulator was told to refuse.", None))
    kind = "api_error" if fault.status >= 500 else "invalid_request_error"
    refusal = ApiError(text, status=fault.status, kind=kind, code=code)
    refusal.headers = fault.headers
    return refusal


_REFUSALS: dict[int, tuple[str, str | None]] = {
    409: ("Another request for this object is under way. Please try again.", None),
    429: ("Request rate limit exceeded.", "rate_limit"),
}
