"""Back-test of the forecast and of the anomalies on series of the Numenta Anomaly Benchmark (MIT, `nab/`).

Hourly totals, one hour ahead, after seven days of learning: the blend beside its own members, seasonal-naive and
river's Holt-Winters, which gets the best of several settings in hindsight. WAPE is the sum of all errors by the sum
of all values, MASE the mean error by that of "as yesterday at this hour". The cover is the share of hours within the
band that was said beforehand. The figures do not depend on the machine, but for the microseconds.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from hxp_enterprise_llm.config.history import AnomalyConfig
from hxp_enterprise_llm.event.processing.forecast.anomaly import Detector
from hxp_enterprise_llm.event.processing.forecast.blend import Blend
from hxp_enterprise_llm.event.processing.forecast.members import (
    DAY,
    WEEK,
    HoltWinters,
    Last,
    Profile,
    Seasonal,
    Smoothed,
)

NAB = Path(__file__).parent / "nab"
PACKAGES = Path(__file__).parents[2] / ".cache" / "bench" / "python"
RIVER = [(0.1, 0.01, 0.1), (0.3, 0.01, 0.1), (0.3, 0.01, 0.3), (0.3, 0.1, 0.6), (0.6, 0.01, 0.1), (0.8, 0.01, 0.1)]
PER_HOUR = 12
COOL_DOWN = 3 * PER_HOUR
Setting = tuple[float, int, int]
"""Threshold, least, of."""
SETTINGS: list[Setting] = [(z, *k_of_n) for z in (4.0, 6.0, 8.0, 10.0, 12.0) for k_of_n in ((1, 1), (2, 3), (3, 5))]
MEMORIES = (0.7, 0.8, 0.9, 0.95, 0.98)


class Series(NamedTuple):
    """A series: its values each five minutes, and the stretches that are labelled as anomalies."""

    name: str
    values: list[float]
    anomalies: list[range]

    @property
    def hours(self) -> list[float]:
        """Hourly totals."""
        return [sum(self.values[at : at + PER_HOUR]) for at in range(0, len(self.values), PER_HOUR)]


class Result(NamedTuple):
    """How well something forecast a series."""

    wape: float
    mase: float
    cover: float | None
    micros: float


def load(path: Path) -> Series:
    lines = path.read_text().splitlines()
    pairs = [text.split("-") for text in lines[2].split()[2:]]
    values = [float(text) for line in lines[3:] for text in line.split()]
    return Series(path.stem, values, [range(int(first), int(last) + 1) for first, last in pairs])


def backtest(values: list[float], model: Any) -> Result:
    """One hour ahead each, after a week."""
    errors, held, began = [], [], time.perf_counter()
    for hour, value in enumerate(values):
        said = model.forecast() if hour >= WEEK else None
        if said is not None:
            errors.append(abs(getattr(said, "value", said) - value))
            if (upper := getattr(said, "upper", None)) is not None:
                held.append(said.lower <= value <= upper)
        model.learn(value)
    naive = [abs(values[hour] - values[hour - DAY]) for hour in range(WEEK, len(values))]
    micros = 1e6 * (time.perf_counter() - began) / len(values)
    return Result(sum(errors) / sum(values[WEEK:]), mean(errors) / mean(naive), mean(held) if held else None, micros)


class River:
    """river's Holt-Winters with a season of a day."""

    def __init__(self, alpha: float, beta: float, gamma: float) -> None:
        self._model = importlib.import_module("river.time_series").HoltWinters(alpha, beta, gamma, seasonality=DAY)
        self._learnt = 0

    def forecast(self) -> float:
        return float(self._model.forecast(horizon=1)[0]) if self._learnt > 2 * DAY else 0.0

    def learn(self, value: float) -> None:
        self._model.learn_one(value)
        self._learnt += 1


def models() -> dict[str, Callable[[list[float]], Result]]:
    single: dict[str, Callable[[], Any]] = {
        "blend of six": Blend,
        "as last hour": Last,
        "seasonal-naive, a day": lambda: Seasonal(DAY),
        "seasonal-naive, a week": lambda: Seasonal(WEEK),
        "exponential mean": lambda: Smoothed(0.3),
        "our Holt-Winters": HoltWinters,
        "our day profile": Profile,
    }
    found = {name: lambda values, make=make: backtest(values, make()) for name, make in single.items()}
    if importlib.util.find_spec("river") is None:
        print("river is missing (scripts/bench-packages fetches it): left out", file=sys.stderr)
        return found
    return found | {"river's Holt-Winters": best_of_river}


def best_of_river(values: list[float]) -> Result:
    results = [backtest(values, River(*setting)) for setting in RIVER]
    return min(results, key=lambda result: result.wape)


class Alarms(NamedTuple):
    """Windows that were noticed of so many, and false alarms in so many days."""

    noticed: int
    windows: int
    false: int
    days: float

    def __str__(self) -> str:
        rate = f"{self.false} false alarms ({self.false / self.days:.2f} a day)"
        return f"{self.noticed} of {self.windows} windows noticed, {rate}"


def alarms(series: Series, setting: Setting) -> Alarms:
    """What a detector says of a series; alarms within three hours are one."""
    detector, hit, false, quiet_until = Detector(*setting), set(), 0, 0
    for at, value in enumerate(series.values):
        _, change = detector.learn(value)
        if change is None or not change.started or at < quiet_until:
            continue
        quiet_until = at + COOL_DOWN
        inside = [number for number, window in enumerate(series.anomalies) if at in window]
        hit.update(inside)
        false += not inside
    return Alarms(len(hit), len(series.anomalies), false, len(series.values) / PER_HOUR / DAY)


def anomalies(every: Iterable[Series], setting: Setting) -> Alarms:
    """The same of several series."""
    return Alarms(*map(sum, zip(*(alarms(series, setting) for series in every), strict=True)))


def chosen(others: Sequence[Series]) -> Setting:
    """The setting that notices the most with at most one false alarm in three days; of several, the quietest."""

    def merit(setting: Setting) -> tuple[bool, int, int]:
        found = anomalies(others, setting)
        return 3 * found.false <= found.days, found.noticed, -found.false

    return max(SETTINGS, key=merit)


def held_out(every: Sequence[Series]) -> None:
    """Parameters chosen on all series but one, and how they do on that one, which had no say in them."""
    found = []
    print("\nheld out: parameters chosen on the two other series")
    for series in every:
        others = [other for other in every if other is not series]
        memory = min(MEMORIES, key=lambda memory: mean(backtest(each.hours, Blend(memory)).wape for each in others))
        result = backtest(series.hours, Blend(memory))
        setting = chosen(others)
        found.append(alarms(series, setting))
        cover = f"{100 * (result.cover or 0):.1f} %"
        print(f"{series.name}: weights remember {memory:g}: WAPE {result.wape:.3f}, cover {cover}", end="; ")
        print(f"z > {setting[0]:g}, {setting[1]} of {setting[2]}: {found[-1]}")
    print(f"anomalies together: {Alarms(*map(sum, zip(*found, strict=True)))}")


def main() -> None:
    sys.path.append(str(PACKAGES))
    every = [load(path) for path in sorted(NAB.glob("*_*.txt"))]
    print("one hour ahead: WAPE / MASE, cover of the 90 % band, µs an hour")
    print(f"{'':<24}" + "".join(f"{series.name:<30}" for series in every))
    for name, run in models().items():
        cells = []
        for result in (run(series.hours) for series in every):
            cover = "" if result.cover is None else f" {100 * result.cover:.1f} %"
            cells.append(f"{result.wape:.3f} / {result.mase:.3f}{cover} {result.micros:.1f} µs")
        print(f"{name:<24}" + "".join(f"{cell:<30}" for cell in cells))
    shipped = AnomalyConfig()
    print("\nanomalies on the five-minute values")
    for threshold, least, of in ((shipped.threshold, shipped.least, shipped.of), (8, 1, 1), (6, 2, 3)):
        as_shipped = ", as shipped" if (threshold, least, of) == (shipped.threshold, shipped.least, shipped.of) else ""
        print(f"z > {threshold:g}, {least} of {of}{as_shipped}: {anomalies(every, (threshold, least, of))}")
    held_out(every)


if __name__ == "__main__":
    main()
