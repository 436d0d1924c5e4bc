"""
Rounds in turn, medians, and ratios within one run.

A figure by itself says more about the machine and its mood than about the shop. So the
contenders alternate (A B C A B C …), and what counts is the ratio of their medians.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Samples:
    """What the rounds of one contender gave."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def spread(self) -> float:
        """How far the rounds lie apart, as a part of their median."""
        return (max(self.values) - min(self.values)) / self.median if self.median else 0


def exactly(value: float) -> Samples:
    """Return a floor that is known without measuring."""
    return Samples((value,))


@dataclass(frozen=True)
class Target:
    """What a ratio has to be."""

    value: float
    is_most: bool = False

    def is_met_by(self, ratio: float) -> bool:
        return ratio <= self.value if self.is_most else ratio >= self.value

    def __str__(self) -> str:
        return f"{'≤' if self.is_most else '≥'} {self.value:g}"


def at_least(value: float) -> Target:
    return Target(value)


def at_most(value: float) -> Target:
    return Target(value, is_most=True)


@dataclass(frozen=True)
class Finding:
    """One line of the table: what was measured, beside the floor of the same run."""

    what: str
    engine: str
    clients: str
    unit: str
    measured: Samples
    floor: str
    floor_samples: Samples
    target: Target | None = None

    @property
    def ratio(self) -> float:
        return self.measured.median / self.floor_samples.median

    @property
    def is_short(self) -> bool:
        return self.target is not None and not self.target.is_met_by(self.ratio)


Measure = Callable[[], float]


def in_turn(
    contenders: Mapping[str, Measure],
    *,
    rounds: int,
    say: Callable[[str], None],
) -> dict[str, Samples]:
    """Measure each contender once a round, one after the other."""
    values: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(1, rounds + 1):
        for name, measure in contenders.items():
            say(f"{name} (round {number} of {rounds})")
            values[name].append(measure())
    return {name: Samples(tuple(taken)) for name, taken in values.items()}


def percentile(durations: Sequence[float], part: float) -> float:
    """Return the duration that *part* of them do not exceed."""
    ordered = sorted(durations)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]
