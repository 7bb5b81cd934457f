"""Flow and network out of a `platform.snapshot`; whatever does not have the expected form is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MOST_LINKS = 200


def flow(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """How reads go through the memory tiers."""
    links = list(_links(_member(snapshot, "memory").get("flow")))
    return {"kind": "flow", "nodes": [{"name": name} for name in _names(links)], "links": links}


def network(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """Who hands over to whom; `value` of a node: its open tasks."""
    links = list(_links(_member(snapshot, "collaboration").get("edges")))
    loads = dict(_loads(_member(snapshot, "agents").get("agents")))
    names = dict.fromkeys([*_names(links), *loads])
    nodes = [{"name": name, "value": loads.get(name, 0)} for name in sorted(names)]
    return {"kind": "network", "nodes": nodes, "links": links}


def _member(owner: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    member = owner.get(name)
    return member if isinstance(member, Mapping) else {}


def _links(edges: Any) -> Iterator[dict[str, Any]]:
    for edge in edges[:MOST_LINKS] if isinstance(edges, list) else []:
        if not isinstance(edge, Mapping):
            continue
        source, target, value = edge.get("from"), edge.get("to"), edge.get("count")
        if isinstance(source, str) and isinstance(target, str) and isinstance(value, int | float):
            yield {"source": source, "target": target, "value": value}


def _loads(agents: Any) -> Iterator[tuple[str, float]]:
    for agent in agents if isinstance(agents, list) else []:
        if isinstance(agent, Mapping) and isinstance(agent.get("id"), str):
            load = agent.get("current_load")
            yield agent["id"], load if isinstance(load, int | float) else 0


def _names(links: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for link in links for name in (link["source"], link["target"])))
