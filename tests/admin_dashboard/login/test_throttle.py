from admin_dashboard.login.throttle import LONGEST_PAUSE_SECONDS, MOST_KEYS, Throttle


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def throttled(attempts: int) -> tuple[Throttle, Seconds]:
    seconds = Seconds()
    throttle = Throttle(5, clock=seconds)
    for _ in range(attempts):
        throttle.count("owner")
    return throttle, seconds


def test_the_first_wrong_attempts_cost_no_time():
    throttle, _ = throttled(4)

    assert throttle.pause("owner") == 0


def test_each_further_attempt_costs_twice_as_much():
    pauses = [throttled(attempts)[0].pause("owner") for attempts in (5, 6, 7)]

    assert pauses == [10, 20, 40]


def test_the_pause_passes():
    throttle, seconds = throttled(5)

    seconds.now += 10

    assert throttle.pause("owner") == 0


def test_no_pause_is_longer_than_a_quarter_of_an_hour():
    throttle, _ = throttled(2000)

    assert throttle.pause("owner") == LONGEST_PAUSE_SECONDS


def test_success_is_a_new_beginning():
    throttle, _ = throttled(9)

    throttle.forget("owner")

    assert throttle.pause("owner") == 0


def test_one_owner_does_not_wait_for_the_errors_of_another():
    throttle, _ = throttled(9)

    assert throttle.pause("somebody else") == 0


def test_a_flood_of_names_does_not_fill_the_memory():
    throttle, _ = throttled(0)
    for number in range(MOST_KEYS + 10):
        throttle.count(str(number))

    assert len(throttle._wrong) == MOST_KEYS
