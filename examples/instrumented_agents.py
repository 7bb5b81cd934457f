"""Agents at work, as the live views want to see them: `python examples/instrumented_agents.py [URL] [ROUNDS]`.

URL is that of event processing; without it $HXP_PROCESSING_URL, else http://127.0.0.1:9100.

Everything but the reporting is made up: the "model" and the "tiers" are functions that answer at once. Replace them by
your own and keep the `with` lines.
"""

from __future__ import annotations

import os
import random
import sys

from hxp_enterprise_llm.client import Emitter, Instrument

SHIPPED = "http://127.0.0.1:9100"
MODEL = "gpt-4o-mini"
REDIS = {"resting heart rate": "52 bpm"}
POSTGRES = {"sleep last night": "6 h 40 min"}
DOCUMENTS = [("kb-recovery", 0.82), ("kb-caffeine", 0.74)]


def ask_model(watch: Instrument, prompt: str, tool: str = "") -> str:
    """One call of a model, with the tokens that it took."""
    with watch.llm(MODEL, provider="openai", tool=tool) as call:
        answer = f"about {prompt}"
        call.first_token()
        call.usage({"prompt_tokens": 40 + len(prompt), "completion_tokens": len(answer), "total_tokens": 0})
        call.finished("stop")
    return answer


def remember(watch: Instrument, query: str) -> str | None:
    """The tiers of memory in turn: Redis, PostgreSQL, Chroma."""
    found: str | None = watch.look_up(
        query,
        {"redis": lambda: REDIS.get(query), "postgres": lambda: POSTGRES.get(query), "chroma": lambda: None},
    )
    return found


def search(watch: Instrument, query: str) -> int:
    """A search in knowledge; what is not there becomes a gap that somebody can fill."""
    with watch.knowledge(query, collection="physiology") as knowledge:
        found = DOCUMENTS if "recovery" in query else []
        for item, score in found:
            knowledge.found(item, score)
    return len(found)


def coach(watch: Instrument, user: str) -> None:
    """One conversation: a coach, who asks a neuroscientist."""
    with watch.agent("coach", task="plan the day", user=user, session=f"s-{user}", query="what should I train today?"):
        remember(watch, random.choice(["resting heart rate", "sleep last night", "shoe size"]))
        with watch.tool("calendar"):
            ask_model(watch, "the calendar", tool="calendar")
        with watch.agent("neuroscientist", task="judge recovery"):
            hypothesis = watch.hypothesis("late caffeine costs deep sleep", domain="sleep", confidence=0.6)
            search(watch, random.choice(["recovery after intervals", "training at altitude"]))
            ask_model(watch, "recovery")
            random.choice([hypothesis.validated, hypothesis.refuted])()


def main(url: str = "", rounds: str = "10") -> int:
    url = url or os.environ.get("HXP_PROCESSING_URL", SHIPPED)
    if not url.startswith("http") or not rounds.isdecimal():
        print(__doc__)
        return 2
    with Emitter(url, source="/examples/agents") as emitter:
        watch = Instrument(emitter)
        watch.register("coach", ["planning"], framework="example")
        watch.register("neuroscientist", ["hypothesis_formation", "biometric_analysis"], framework="example")
        for number in range(int(rounds)):
            coach(watch, f"u-{number % 3}")
        emitter.flush()
        print(emitter.stats)
        return 0 if emitter.stats.stored == emitter.stats.emitted else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
