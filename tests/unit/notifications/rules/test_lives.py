"""Alerts through restarts, crashes, lost writes, clocks that are set and rules that change, at any step.

The states go through the rows of a real database at every step. A model of a few lines says what must be open; what
was told must make whole episodes.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from hxp_enterprise_llm.config.rules import RuleConfig
from hxp_enterprise_llm.event.notifications.rules import rows
from hxp_enterprise_llm.event.notifications.rules.alerts import Moment
from hxp_enterprise_llm.event.notifications.rules.compiled import compile_rules
from hxp_enterprise_llm.event.notifications.rules.evaluation import Evaluator
from hxp_enterprise_llm.event.notifications.rules.snapshots import LabelledValue, Snapshot
from hxp_enterprise_llm.store.tables import metadata
from tests.unit.notifications.support import NAMES, NOW, config

HOLD, KEEP = 30, 20
MODELS = ("a", "b")


class Model:
    """What an alert must be, from the times at which its condition turned, in seconds of watching."""

    def __init__(self) -> None:
        self.true_since: float | None = None
        self.false_since: float | None = None
        self.open = False

    def see(self, holds: bool, watched: float) -> None:
        if holds:
            self.true_since = watched if self.true_since is None else self.true_since
            self.false_since = None
            self.open = self.open or watched - self.true_since >= HOLD
            return
        self.true_since = None
        self.false_since = watched if self.false_since is None else self.false_since
        self.open = self.open and watched - self.false_since < KEEP


class Lives(RuleBasedStateMachine):
    """One rule over two models, and the engine's part played by hand: evaluate, store, believe."""

    @initialize()
    def begin(self) -> None:
        self.database = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        metadata.create_all(self.database)
        self.threshold = 0.2
        self.wall, self.mono = NOW, 1000.0
        self.models = {name: Model() for name in MODELS}
        self.told: dict[str, list[str]] = defaultdict(list)
        self.values = dict.fromkeys(MODELS, 0.0)
        self.start()

    def start(self) -> None:
        """A process begins: all that it knows is in the database."""
        with self.database.begin() as connection:
            self.watched, _ = rows.load_watched(connection)
            self.alerts = {alert.fingerprint: alert for alert in rows.load_alerts(connection)}
        self.begun = self.mono
        self.compile()

    def compile(self) -> None:
        condition = f"error_rate > {self.threshold}"
        settings = RuleConfig(name="r", condition=condition, by=["model"], for_=f"{HOLD}s", keep_firing_for=f"{KEEP}s")
        self.evaluator = Evaluator(compile_rules(config(settings), NAMES))

    def now(self) -> Moment:
        return Moment(self.wall, self.watched + self.mono - self.begun)

    def evaluate(self, stored: bool = True) -> None:
        groups = [LabelledValue({"model": name}, value) for name, value in self.values.items()]
        round = self.evaluator.begin(self.alerts, Snapshot(self.wall, {}, {"error_rate": groups}), self.now())
        for _ in round.stretches():
            pass
        result = round.result()
        if not stored:
            self.evaluator.doubt()
            return
        with self.database.begin() as connection:
            rows.save_alerts(connection, result.changed, self.wall)
            rows.drop_alerts(connection, result.dropped)
            rows.save_watched(connection, self.now().mono, 0.0)
        for notification, _ in result.told:
            self.told[notification.episode].append(notification.kind)
        self.alerts = result.alerts
        self.evaluator.believe(result)
        for name, model in self.models.items():
            model.see(self.values[name] > self.threshold, self.now().mono)

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.dispose()

    @rule(seconds=st.integers(1, 25), a=st.sampled_from([0.1, 0.3]), b=st.sampled_from([0.1, 0.3]))
    def tick(self, seconds: int, a: float, b: float) -> None:
        self.pass_time(seconds)
        self.values = {"a": a, "b": b}
        self.evaluate()

    @rule(seconds=st.integers(1, 40))
    def stay(self, seconds: int) -> None:
        self.pass_time(seconds)
        self.evaluate()

    @rule(a=st.sampled_from([0.1, 0.3]))
    def lose_the_write(self, a: float) -> None:
        before = self.values
        self.values = before | {"a": a}
        self.evaluate(stored=False)
        self.values = before

    @rule(down=st.integers(0, 10**6))
    def restart(self, down: int) -> None:
        self.pass_time(down)
        self.start()

    @rule(seconds=st.integers(-(10**6), 10**6))
    def set_the_clock(self, seconds: int) -> None:
        self.wall += seconds

    @rule()
    def edit(self) -> None:
        self.threshold = 0.25 if self.threshold == 0.2 else 0.2
        self.compile()
        self.models = {name: Model() for name in MODELS}
        self.wall += 0.5  # an episode begins anew: it needs another moment
        self.evaluate()

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds

    @invariant()
    def what_is_open_is_what_must_be(self) -> None:
        if not hasattr(self, "alerts"):
            return
        found = dict.fromkeys(MODELS, False)
        for alert in self.alerts.values():
            found[alert.labels["model"]] = alert.state.open
        assert found == {name: model.open for name, model in self.models.items()}

    @invariant()
    def every_episode_is_whole(self) -> None:
        if not hasattr(self, "alerts"):
            return
        alive: dict[str, Any] = {alert.state.episode: alert for alert in self.alerts.values()}
        for episode, kinds in self.told.items():
            if episode in alive:
                assert kinds == (["pending", "firing"] if alive[episode].state.open else ["pending"])
            else:
                assert kinds in (["pending"], ["pending", "firing", "resolved"])


Lives.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestLives = Lives.TestCase
