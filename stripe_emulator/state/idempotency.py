"""Idempotency keys: answers, even server errors, are kept for a day and replayed."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from stripe_emulator.state.account import Account, Json
from stripe_emulator.validation.errors import ApiError

_KEEP_SECONDS = 86_400
_LONGEST = 255


@dataclass(frozen=True)
class Answer:
    """*kept*: the call had begun to act, so its answer is kept under the key."""

    status: int
    body: str
    kept: bool = True
    replayed: bool = False


class Keys:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._under_way: set[str] = set()

    def answer(self, key: str | None, asked: Json, act: Callable[[], Answer]) -> Answer:
        """
        Act once for *key*, and replay the answer from then on.

        Raises ApiError if *asked* (path and digest) differs from the first call, or
        while that call is still under way.
        """
        if key is None:
            return act()
        _check(key)
        earlier = self._claim(key, asked)
        if earlier is not None:
            return earlier
        try:
            answer = act()
            if answer.kept:
                self._keep(key, asked, answer)
        finally:
            with self._account.mutex:
                self._under_way.discard(key)
        return answer

    def _claim(self, key: str, asked: Json) -> Answer | None:
        with self._account.mutex:
            if key in self._under_way:
                raise _in_use(key)
            kept = self._account.tables["answers"].get(key)
            if kept is None or self._account.clock.now() - kept["at"] > _KEEP_SECONDS:
                self._under_way.add(key)
                return None
        _compare(key, kept["asked"], asked)
        return replace(Answer(kept["status"], kept["body"]), replayed=True)

    def _keep(self, key: str, asked: Json, answer: Answer) -> None:
        with self._account.mutex:
            row = {"asked": asked, "status": answer.status, "body": answer.body}
            row["at"] = self._account.clock.now()
            self._account.put("answers", key, row)


def _check(key: str) -> None:
    if not 0 < len(key) <= _LONGEST:
        text = f"Idempotency keys must be 1 to {_LONGEST} characters long."
        raise ApiError(text)


def _compare(key: str, before: Json, now: Json) -> None:
    if before["path"] != now["path"]:
        raise ApiError(
            "Keys for idempotent requests can only be used for the same endpoint they "
            f"were first used for ('{now['path']}' vs '{before['path']}'). Try using a "
            f"key other than '{key}' if you meant to execute a different request.",
            kind="idempotency_error",
        )
    if before["params"] != now["params"]:
        raise ApiError(
            "Keys for idempotent requests can only be used with the same parameters "
            f"they were first used with. Try using a key other than '{key}' if you "
            "meant to execute a different request.",
            kind="idempotency_error",
        )


def _in_use(key: str) -> ApiError:
    return ApiError(
        "There is currently another in-progress request using this Idempotent Key "
        "(that probably means you submitted twice, and the other request is still "
        f"going through): {key}. Please try again later.",
        status=409,
        code="idempotency_key_in_use",
    )
