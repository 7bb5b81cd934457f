"""The names under which the conventions say the same thing, the newest first.

GenAI conventions up to 1.36, 1.37 to 1.41 and those of the repository of their own; OpenInference; OpenLLMetry; and
`hxp.*`, ours, for what none of them has a name for.
"""

from __future__ import annotations

INPUT = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "llm.usage.prompt_tokens",
)
OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "llm.usage.completion_tokens",
)
TOTAL = ("gen_ai.usage.total_tokens", "llm.token_count.total", "llm.usage.total_tokens")
CACHED = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
    "llm.token_count.prompt_details.cache_input",
)
CACHE_WRITE = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
)
REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
)
COST = ("llm.cost.total",)
MODEL = (
    "gen_ai.response.model",
    "llm.response.model_name",
    "gen_ai.request.model",
    "llm.model_name",
    "llm.request.model_name",
    "embedding.model_name",
    "reranker.model_name",
)
PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
PROVIDERS = {
    "vertex_ai": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "az.ai.openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "xai": "x_ai",
}
"""Values of older conventions as the newer ones write them."""
FINISH = ("gen_ai.response.finish_reasons", "llm.finish_reason")
FIRST_TOKEN_SECONDS = ("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token")
AGENT = (
    "hxp.agent",
    "crewai.agent.role",
    "gen_ai.agent.name",
    "agent.name",
    "tool.agent_role",
    "graph.node.id",
    "gen_ai.agent.id",
)
TOOL = ("hxp.tool", "gen_ai.tool.name", "tool.name", "mcp.tool.name")
TOOL_ARGUMENTS = ("gen_ai.tool.call.arguments", "input.value", "traceloop.entity.input")
WORKFLOW = ("gen_ai.workflow.name", "crewai.crew.name", "traceloop.workflow.name")
SESSION = ("session.id", "gen_ai.conversation.id", "mcp.session.id", "traceloop.association.properties.session_id")
USER = ("user.id", "enduser.id", "gen_ai.user", "traceloop.association.properties.user_id")
QUERY = ("hxp.query", "traceloop.association.properties.query")
QUESTION = ("gen_ai.retrieval.query.text", "gen_ai.memory.query.text", "db.query.text", "input.value", "query")
COLLECTION = ("gen_ai.data_source.id", "db.collection.name", "gen_ai.memory.store.id", "db.namespace")
DATABASE = ("db.system.name", "db.system")
OPERATION = ("db.operation.name", "db.operation")
ROWS = ("db.response.returned_rows", "gen_ai.memory.record.count")
HIT = ("hxp.memory.hit", "memory.hit", "cache.hit")
ERROR = ("error.type", "exception.type")

TIERS = {
    **dict.fromkeys(("redis", "valkey", "memcached"), "redis"),
    **dict.fromkeys(("postgres", "postgresql", "sqlite", "mysql", "mariadb"), "postgres"),
    **dict.fromkeys(
        ("chroma", "chromadb", "pinecone", "qdrant", "milvus", "weaviate", "lancedb", "opensearch", "elasticsearch"),
        "chroma",
    ),
}
"""Tier of memory of each store: fast, structured, by meaning."""

CONTENT = (
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
    "gen_ai.tool.call.result",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.retrieval.documents",
    "gen_ai.memory.records",
    "input.value",
    "output.value",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompts",
    "llm.choices",
    "llm.tools",
    "retrieval.documents",
    "reranker.input_documents",
    "reranker.output_documents",
    "embedding.embeddings",
    "traceloop.entity.input",
    "traceloop.entity.output",
    "crewai.crew.tasks",
    "crewai.crew.agents",
    "crewai.crew.result",
    "crewai.crew.output",
    "crewai.task.output",
    "crewai.llm.callbacks",
    "crewai.llm.available_functions",
)
"""Prompts, answers and documents: what people said is not kept, only what was counted of it. Each is a prefix."""
