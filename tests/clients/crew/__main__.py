"""`python -m tests.clients.crew URL SCENARIO`: a crew at work, reported to URL; prints what the model has counted."""

from __future__ import annotations

import json
import os
import sys
import tempfile

# Before CrewAI is loaded: it tells nobody of us, and writes where nothing is.
HOME = tempfile.mkdtemp()
os.environ.update(
    CREWAI_DISABLE_TELEMETRY="true",
    CREWAI_TRACING_ENABLED="false",
    CREWAI_STORAGE_DIR=HOME,
    OTEL_SDK_DISABLED="true",
    OPENAI_API_KEY="none",
    HOME=HOME,
)

from chromadb.api.types import EmbeddingFunction  # noqa: E402
from crewai import LLM, Agent, Crew, Task  # noqa: E402
from crewai.agent.planning_config import PlanningConfig  # noqa: E402
from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource  # noqa: E402
from crewai.memory.unified_memory import Memory  # noqa: E402
from crewai.rag.embeddings.providers.custom.embedding_callable import CustomEmbeddingFunction  # noqa: E402
from crewai.tools import tool  # noqa: E402

from hxp_enterprise_llm.client import Emitter  # noqa: E402
from hxp_enterprise_llm.client.crewai.listener import CrewListener  # noqa: E402
from tests.clients.crew.model import Model  # noqa: E402


@tool("web_search")
def web_search(query: str) -> str:
    """Search the web."""
    return f"found {query}"


@tool("broken_tool")
def broken_tool(query: str) -> str:
    """Break."""
    raise ValueError(f"no {query}")


FACT = "The lamp of the northern lighthouse is lit at nine."


class Letters(CustomEmbeddingFunction, EmbeddingFunction):
    """An embedding without a model: how often each letter occurs, so that texts are near their like."""

    def __init__(self) -> None:
        """Nothing to set up."""

    @staticmethod
    def name() -> str:
        return "letters"

    def __call__(self, input: list[str]) -> list[list[float]]:
        return [[text.lower().count(chr(97 + n)) + 0.01 for n in range(26)] for text in input]


EMBEDDER = {"provider": "custom", "config": {"embedding_callable": Letters}}


def librarian(llm: LLM) -> Crew:
    """One agent that plans, looks up what it knows and what it remembers, and remembers what it has done."""
    reader = Agent(
        role="Librarian",
        goal="to know",
        backstory="none",
        llm=llm,
        planning_config=PlanningConfig(llm=llm, max_attempts=1),
        knowledge_sources=[StringKnowledgeSource(content=FACT)],
        embedder=EMBEDDER,
    )
    memory = Memory(llm=llm, embedder=Letters(), storage=HOME + "/memory")
    memory.remember("Ships wait for the lamp.", scope="/", categories=["sea"], importance=0.9)
    task = Task(description="When is the lamp lit?", expected_output="a time", agent=reader)
    return Crew(agents=[reader], tasks=[task], memory=memory, embedder=EMBEDDER)


def agent(role: str, llm: LLM, *, tools: tuple[object, ...] = (), delegates: bool = False) -> Agent:
    return Agent(role=role, goal="to be done", backstory="none", llm=llm, tools=list(tools), allow_delegation=delegates)


def crew(scenario: str, llm: LLM) -> Crew:
    """A crew for a scenario: an editor who delegates to a researcher, or one agent alone."""
    if scenario.startswith("librarian"):
        return librarian(llm)
    if scenario == "delegation":
        agents = [agent("Editor", llm, delegates=True), agent("Researcher", llm, tools=(web_search,))]
    else:
        agents = [agent("Loner", llm, tools=(broken_tool,) if scenario == "broken" else ())]
    return Crew(agents=agents, tasks=[Task(description="write", expected_output="text", agent=agents[0])])


def main(url: str, scenario: str) -> None:
    model = Model()
    model.fail, model.exact = scenario == "failing", not scenario.endswith("inexact")
    llm = LLM(model="openai/fake-model", base_url=model.url, api_key="none", stream=scenario == "streaming")
    with Emitter(url, source="/crews/test") as emitter, CrewListener(emitter) as listener:
        try:
            crew(scenario, llm).kickoff()
        except Exception:
            if scenario != "failing":
                raise
        assert listener.flush(20)
        said = {"calls": model.calls, "input": model.input, "output": model.output, **emitter.stats._asdict()}
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
