"""What could be done better, each with the numbers that carry it. Where the evidence is thin there is nothing to say.

Everything is about the last 24 whole hours and the one that has begun, unless a recommendation says otherwise, and
`a day` means: at that rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from hxp_enterprise_llm.event.processing.platform import ledger
from hxp_enterprise_llm.event.processing.platform.collaboration import Collaboration
from hxp_enterprise_llm.event.processing.platform.knowledge import Knowledge, Use
from hxp_enterprise_llm.event.processing.platform.ledger import Money
from hxp_enterprise_llm.event.processing.platform.memory import Tier
from hxp_enterprise_llm.event.processing.platform.tokens import Tokens

MOST_ITEMS = 5
LEAST_SEARCHES = 50
LEAST_SHARE = 0.4
"""Of ChromaDB's reads that a handful of items must make up."""
LEAST_HANDOFFS = 20
LEAST_TOGETHER = 0.6
LEAST_REQUESTS = 50
SHORT_ANSWER = 64
"""Tokens out of a request, in the mean, that are called short."""
LEAST_REPEATS = 20
LEAST_GAP = 5


class Evidence(NamedTuple):
    """What recommendations are made of."""

    tokens: Tokens
    memory: Mapping[str, Tier]
    memory_usd: Mapping[str, float | None]
    knowledge: Knowledge
    collaboration: Collaboration
    money: Money
    now: float


def recommend(evidence: Evidence) -> list[dict[str, Any]]:
    """All that the evidence carries, in a stable order."""
    found = (_cache_items, _work_together, _expensive_for_short, _repeated_queries, _asked_gaps)
    return [each for look in found for each in look(evidence)]


def _cache_items(evidence: Evidence) -> Iterator[dict[str, Any]]:
    chroma = evidence.memory["chromadb"]
    uses = [(name, item.day(evidence.now)) for name, item in evidence.knowledge.items.named.items()]
    searched = sorted(((name, use) for name, use in uses if use.searched > 1), key=lambda e: (-e[1].searched, e[0]))
    top = searched[:MOST_ITEMS]
    reads = max(chroma.reads, sum(use.searched for _, use in uses))
    total = Use()
    for _, use in top:
        total.absorb(use)
    if total.searched < LEAST_SEARCHES or total.searched / reads < LEAST_SHARE:
        return
    # The first search of each item has to be made in any case.
    saved = 1 - len(top) / total.searched
    searching = _seconds_of(total, chroma)
    seconds = None if searching is None else saved * searching
    usd = evidence.memory_usd["chromadb"]
    money = None if usd is None or not chroma.reads else saved * usd * total.searched / chroma.reads
    names = [name for name, _ in top]
    share = total.searched / reads
    yield {
        "kind": "cache_items",
        "text": f"{len(names)} items are {_percent(share)} of ChromaDB reads: cache them in Redis"
        f"{_saves(seconds, money)}",
        "items": names,
        "share": share,
        "reads": total.searched,
        "of_reads": reads,
        "saves_seconds_per_day": seconds,
        "saves_usd_per_day": money,
    }


def _work_together(evidence: Evidence) -> Iterator[dict[str, Any]]:
    of_agent: dict[str, int] = {}
    pairs: dict[tuple[str, str], int] = {}
    for edge in evidence.collaboration.edges.named.values():
        if edge.source == edge.target:
            continue
        first, second = sorted((edge.source, edge.target))
        pairs[first, second] = pairs.get((first, second), 0) + edge.count
        for name in (first, second):
            of_agent[name] = of_agent.get(name, 0) + edge.count
    for (first, second), count in sorted(pairs.items(), key=lambda each: (-each[1], each[0])):
        # Who knows one partner alone works with that one all the time; that says nothing, but the other's share may.
        shares = {name: count / of_agent[name] for name in (first, second) if count < of_agent[name]}
        name = max(shares, key=lambda each: shares[each], default=first)
        other, share = second if name == first else first, shares.get(name, 0.0)
        if count >= LEAST_HANDOFFS and share >= LEAST_TOGETHER:
            yield {
                "kind": "work_together",
                "text": f"{name} and {other} work together in {_percent(share)} of {name}'s {of_agent[name]} hand-offs",
                "agents": [name, other],
                "share": share,
                "handoffs": count,
                "of_handoffs": of_agent[name],
                "window": "all",
            }


def _expensive_for_short(evidence: Evidence) -> Iterator[dict[str, Any]]:
    today = int(evidence.now) // 86400
    rows = {name: account.between(today - 1, today) for name, account in evidence.tokens.models.named.items()}
    # A correction can be of a day whose requests are not: what remains then is no price.
    priced = {
        name: (row[ledger.REQUEST_COST] / tokens, row)
        for name, row in rows.items()
        if (tokens := row[ledger.INPUT] + row[ledger.OUTPUT]) > 0
        and row[ledger.REQUESTS] > 0
        and row[ledger.REQUEST_COST] > 0
        and not row[ledger.UNPRICED]
    }
    if len(priced) < 2:
        return
    cheapest, (low, _) = min(priced.items(), key=lambda each: (each[1][0], each[0]))
    for name, (high, row) in sorted(priced.items(), key=lambda each: (-each[1][0], each[0])):
        requests = row[ledger.REQUESTS]
        length = row[ledger.OUTPUT] / requests
        if high >= 3 * low and requests >= LEAST_REQUESTS and length <= SHORT_ANSWER:
            saves = row[ledger.REQUEST_COST] * (1 - low / high) / 1e9
            yield {
                "kind": "cheaper_model",
                "text": f"{name} gives answers of {length:.0f} tokens in the mean and costs {high / low:.1f} times"
                f" {cheapest} a token: try {cheapest} for them; saves up to ${saves:.2f} since yesterday",
                "model": name,
                "cheaper": cheapest,
                "requests": requests,
                "mean_output_tokens": length,
                "price_ratio": high / low,
                "saves_usd": saves,
                "window": "today and yesterday",
            }


def _repeated_queries(evidence: Evidence) -> Iterator[dict[str, Any]]:
    today = int(evidence.now) // 86400
    money = evidence.money
    found = []
    for name, account in evidence.tokens.queries.named.items():
        row = account.between(today - 1, today)
        if row[ledger.REQUESTS] >= LEAST_REPEATS:
            found.append((row[ledger.REQUESTS], name, row))
    for count, name, row in sorted(found, key=lambda each: (-each[0], each[1]))[:MOST_ITEMS]:
        cost = money.nano(row) / 1e9
        saves = None if money.usd(row) is None else cost * (1 - 1 / count)
        yield {
            "kind": "repeated_query",
            "text": f"{_short(name)} was put {count} times since yesterday: compute its embedding and answer once;"
            f" saves {ledger.tokens(row) * (count - 1) // count} tokens{_and_usd(saves)}",
            "query": name,
            "requests": count,
            "tokens": ledger.tokens(row),
            "saves_usd": saves,
            "window": "today and yesterday",
        }


def _asked_gaps(evidence: Evidence) -> Iterator[dict[str, Any]]:
    gaps = [(name, gap) for name, gap in evidence.knowledge.gaps.ranked() if gap.count >= LEAST_GAP]
    for name, gap in gaps[:MOST_ITEMS]:
        share = gap.count / evidence.knowledge.misses
        yield {
            "kind": "knowledge_gap",
            "text": f"{_short(name)} was asked {gap.count} times without an answer"
            f" ({_percent(share)} of all misses): add it to the knowledge base",
            "query": name,
            "count": gap.count,
            "share": share,
            "agents": sorted(gap.agents),
            "window": "all",
        }


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _and_usd(usd: float | None) -> str:
    return "" if usd is None else f" and ${usd:.2f}"


def _seconds_of(use: Use, chroma: Tier) -> float | None:
    """What these searches took; where they do not say, at the mean of all reads of the tier; None if nobody says."""
    if use.searched_us:
        return use.searched_us / 1e6
    timed = chroma.latency.count
    return use.searched * chroma.latency_us / timed / 1e6 if timed else None


def _saves(seconds: float | None, usd: float | None) -> str:
    """What is known of it, as the end of a sentence."""
    known = [*([] if seconds is None else [f"{seconds:.1f} s"]), *([] if usd is None else [f"${usd:.2f}"])]
    return f"; saves {' and '.join(known)} a day" if known else ""


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")
