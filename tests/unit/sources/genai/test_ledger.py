"""The token rule: every token once, in any order, in any pieces, with repeats and restarts in between."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.event.sources.genai import ledger as module
from hxp_enterprise_llm.event.sources.genai.ledger import LONGEST_HOLD
from hxp_enterprise_llm.event.sources.genai.model import Span
from hxp_enterprise_llm.event.sources.genai.reading import read_span
from tests.unit.sources.genai.spans import NOW_NS, Books, call, id_of, made, plain, run


def test_a_call_counts_as_it_arrives():
    books = Books()
    books.take([call(1, tokens=(100, 20))])
    assert books.types() == ["llm.request.completed"]
    assert books.total() == (100, 20)
    assert books.quiet() == []


def test_the_inner_of_two_instrumentations_counts():
    """Children come first: the outer span is kept as one whose tokens count elsewhere."""
    books = Books()
    books.take([call(2, 1, (100, 20)), call(1, 0, (100, 20))])
    assert books.types() == ["llm.request.completed", "otel.span"]
    assert books.total() == (100, 20)
    assert books.of("otel.span")[0]["usage"]["input_tokens"] == 100


def test_an_outer_call_that_came_first_is_taken_back():
    books = Books()
    books.take([call(1, 0, (150, 50))])
    books.take([call(3, 2, (100, 20))])
    assert books.total() == (250, 70), "how they belong together is not known yet"
    books.take([plain(2, 1)])
    assert books.total() == (100, 20)
    (correction,) = books.of("llm.usage.corrected")
    assert (correction["input_tokens"], correction["output_tokens"], correction["model"]) == (-150, -50, "m")
    assert correction["span_id"] == id_of(1).hex()


def test_a_price_that_was_stated_is_taken_back_with_the_tokens():
    outer = call(1, 0, (150, 50))
    outer.attributes["llm.cost.total"] = 0.25
    for restarted in (False, True):
        books = Books()
        books.take([outer])
        if restarted:
            books.restart()
        books.take([call(2, 1, (100, 20))])
        assert [data["cost_usd"] for data in books.of("llm.usage.corrected")] == [-0.25]


def test_what_is_told_of_tokens_later_is_of_the_time_when_they_were_spent():
    """So that the day, the price and the window that they were counted in are those that they are taken from."""
    for restarted in (False, True):
        books = Books()
        books.take([call(1, 0, (150, 50)), run(5, 0, (7, 7))])
        if restarted:
            books.restart()
        books.take([call(2, 1, (100, 20))])
        books.quiet()
        told = {entry.draft.type: entry.draft.ns for entry in books.entries}
        assert told["llm.usage.corrected"] == NOW_NS
        assert [e.draft.ns for e in books.entries if e.draft.suffix == "-usage"] == [NOW_NS]


def test_a_price_of_nothing_is_taken_back_as_well():
    """Without it the price of the table would be."""
    outer = call(1, 0, (150, 50))
    outer.attributes["llm.cost.total"] = 0.0
    books = Books()
    books.take([outer, run(3)])
    books.take([call(2, 1, (100, 20))])
    assert [data["cost_usd"] for data in books.of("llm.usage.corrected")] == [0]


def test_an_agents_tokens_count_only_when_nothing_beneath_states_any():
    books = Books()
    books.take([plain(2, 1), run(1, 0, (300, 60), agent="planner")])
    assert books.total() == (0, 0)
    assert books.ledger.held == 1
    books.now = 29
    assert books.settle() == []
    books.now = 30
    books.settle()
    assert books.total() == (300, 60)
    (counted,) = books.of("llm.request.completed")
    assert (counted["agent"], counted["aggregate"]) == ("planner", True)
    assert books.ledger.held == 0
    assert books.quiet() == []


def test_an_agents_cumulative_tokens_do_not_count_beside_its_calls():
    books = Books()
    books.take([call(3, 2, (100, 20)), call(4, 2, (110, 30)), run(2, 1, (900, 900)), run(1, 0, (900, 900))])
    books.quiet()
    assert books.total() == (210, 50)


def test_a_new_span_of_the_trace_begins_the_wait_anew_but_not_for_ever():
    books = Books()
    books.take([run(1, 0, (300, 60))])
    for number in range(2, 2 + int(LONGEST_HOLD) // 20 + 1):
        books.now += 20
        books.take([plain(number, 99)])
        books.settle()
        assert bool(books.total()[0]) == (books.now >= LONGEST_HOLD)
    assert books.total() == (300, 60)


def test_a_call_that_comes_after_the_decision_corrects_it():
    books = Books()
    books.take([run(1, 0, (300, 60))])
    books.quiet()
    books.take([call(2, 1, (300, 60))])
    assert books.total() == (300, 60)
    assert len(books.of("llm.usage.corrected")) == 1


def test_of_nested_agents_without_calls_the_outermost_counts():
    books = Books()
    books.take([run(3, 2, (100, 10)), run(2, 1, (180, 20)), run(1, 0, (200, 30))])
    books.quiet()
    assert books.total() == (200, 30)


def test_an_outer_agent_that_is_taken_back_lets_the_inner_one_count():
    books = Books()
    books.take([run(2, 1, (80, 8)), run(1, 0, (200, 30))])
    books.quiet()
    books.take([call(3, 1, (120, 22))])
    books.quiet()
    assert books.total() == (200, 30)
    assert books.total() == (80 + 120, 8 + 22)


def test_a_failed_call_states_no_tokens():
    books = Books()
    failed = made(
        {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 50, "error.type": "timeout"}, failed=True
    )
    books.take([failed])
    assert books.types() == ["llm.request.failed"]
    assert books.total() == (0, 0)


def test_two_spans_of_one_tool_call_are_one_call():
    for first, second in (((2, 1), (1, 0)), ((1, 0), (2, 1))):
        books = Books()
        for number, parent in (first, second):
            name = {"mcp.method.name": "tools/call"} if number == 2 else {"gen_ai.operation.name": "execute_tool"}
            books.take([made({**name, "gen_ai.tool.name": "search"}, number=number, parent=parent)])
        assert books.types() == ["tool.call.completed", "otel.span"]


def test_an_edge_is_drawn_once_the_way_up_is_known():
    books = Books()
    books.take([run(3, 2, agent="writer")])
    books.take([run(1, agent="lead")])
    assert books.of("agent.handoff") == []
    books.take([plain(2, 1)])
    (edge,) = books.of("agent.handoff")
    assert (edge["from"], edge["to"], edge["kind"]) == ("lead", "writer", "invoke")


def test_a_tool_that_hands_over_says_so_itself():
    books = Books()
    tool = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "Delegate work to coworker",
        "gen_ai.tool.call.arguments": '{"coworker": "writer", "task": "write"}',
    }
    books.take([run(3, 2, agent="writer"), made(tool, number=2, parent=1), run(1, agent="lead")])
    (edge,) = books.of("agent.handoff")
    assert (edge["from"], edge["to"], edge["kind"], edge["task"]) == ("lead", "writer", "delegate", "write")


def test_calls_are_those_of_the_agent_above():
    books = Books()
    books.take([call(3, 2, (1, 1)), plain(2, 1), run(1, agent="lead")])
    assert books.of("llm.request.completed")[0]["agent"] == "lead"
    books.take([call(4, 9, (1, 1))])
    assert books.of("llm.request.completed")[1]["agent"] == "shop", "the service, when nothing else is known"


def test_spans_that_go_round_in_a_circle_end():
    books = Books()
    books.take([call(1, 3, (5, 5)), run(2, 1, (6, 6)), run(3, 2, (7, 7))])
    books.quiet()
    books.restart()
    assert len(books.of("llm.usage.corrected")) == 1, "the call is beneath itself"


def test_a_flood_of_traces_is_bounded_and_decided_on():
    books = Books(max_spans=100)
    for number in range(1, 500):
        each = run(number, tokens=(10, 1))
        each.trace = number.to_bytes(16, "big")
        books.take([each])
        assert books.ledger.spans <= 20, "each trace counts as four spans beside its own"
    assert books.ledger.forgotten == books.ledger.cut_short == 479
    books.quiet()
    assert books.total() == (499 * 10, 499), "what was forgotten was decided on before"


def test_a_trace_that_is_quiet_is_forgotten_but_not_cut_short():
    books = Books(max_spans=5)
    books.take([call(1, tokens=(10, 1))])
    books.quiet()
    other = call(1, tokens=(10, 1))
    other.trace = bytes(15) + b"\1"
    books.take([other])
    assert (books.ledger.forgotten, books.ledger.cut_short) == (1, 0)


def test_what_was_forgotten_is_not_counted_again():
    """Of a forgotten trace is remembered whether calls stated tokens: its agent, which comes last, does not count."""
    books = Books(max_spans=50)
    books.take([call(2, 1, (100, 20))])
    for number in range(10):
        other = plain(7)
        other.trace = (1000 + number).to_bytes(16, "big")
        books.take([other])
    assert books.ledger.forgotten == 1
    books.take([run(1, 0, (100, 20))])
    books.quiet()
    assert books.total() == (100, 20)


def test_a_trace_beyond_its_bound_is_counted_as_it_comes(monkeypatch):
    monkeypatch.setattr(module, "SPANS_A_TRACE", 5)
    books = Books()
    books.take([run(1, 0, (50, 5)), *(plain(number, 1) for number in range(2, 6))])
    books.take([call(6, 1, (50, 5)), run(7, 0, (9, 9))])
    books.quiet()
    assert books.ledger.spans == 5
    assert books.total() == (50, 5)


def test_what_could_not_be_stored_is_forgotten():
    books = Books()
    books.take([plain(2, 1)])
    before = books.ledger.spans
    books.ledger.take([read_span(each) for each in (call(3, 2, (10, 1)), run(1, 0, (10, 1)))], 0.0)
    books.ledger.rollback()
    assert books.ledger.spans == before
    assert books.ledger.held == 0
    books.take([call(3, 2, (10, 1)), run(1, 0, (10, 1))])
    books.quiet()
    assert books.total() == (10, 1)


def test_the_oldest_held_trace_says_where_to_read_on():
    books = Books()
    books.take([plain(5)])
    assert books.ledger.oldest_held is None
    other = run(1, 0, (1, 1))
    other.trace = bytes(15) + b"\1"
    books.take([plain(1)])
    books.take([other])
    assert books.ledger.oldest_held == 3
    books.quiet()
    assert books.ledger.oldest_held is None


# Any order, any pieces, repeats, restarts

KINDS = st.sampled_from(["call", "agent", "plain"])
TOKENS = st.none() | st.tuples(st.integers(1, 1000), st.integers(0, 1000))


@st.composite
def trees(draw) -> list[Span]:
    """A trace: each span beneath an earlier one, or a root."""
    made = []
    for number in range(1, draw(st.integers(1, 12)) + 1):
        parent = draw(st.integers(0, number - 1))
        kind, tokens = draw(KINDS), draw(TOKENS)
        made.append(
            plain(number, parent) if kind == "plain" else (call if kind == "call" else run)(number, parent, tokens)
        )
    return made


def expected(spans: list[Span]) -> tuple[int, int]:
    """The rule read from the whole tree."""
    parents = {each.span: each.parent for each in spans}

    def above(span: bytes) -> list[bytes]:
        found = []
        while span := parents.get(span, b""):
            found.append(span)
        return found

    def tokens(each: Span) -> tuple[int, int] | None:
        value = each.attributes.get("gen_ai.usage.input_tokens")
        return None if value is None else (value, each.attributes["gen_ai.usage.output_tokens"])

    stating = [each for each in spans if tokens(each)]
    calls = [each for each in stating if each.attributes["gen_ai.operation.name"] == "chat"]
    covered = {span for each in calls for span in above(each.span)}
    free = {each.span for each in stating if each not in calls and each.span not in covered}
    counted = [each for each in calls if each.span not in covered]
    counted += [each for each in stating if each.span in free and not free & set(above(each.span))]
    return tuple(sum(tokens(each)[at] for each in counted) for at in (0, 1))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_order_comes_to_the_same_total(data):
    spans = data.draw(trees())
    sent = data.draw(st.permutations(spans))
    sent = [*sent, *data.draw(st.lists(st.sampled_from(spans), max_size=4))]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=4)))
    books = Books()
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        books.take(sent[start:end])
        if data.draw(st.booleans()):
            books.restart()
        if data.draw(st.booleans()):
            books.quiet()
    books.quiet()
    assert books.total() == expected(spans)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_ledger_read_from_the_log_goes_on_like_the_one_that_wrote_it(data):
    spans = data.draw(st.permutations(data.draw(trees())))
    cut = data.draw(st.integers(0, len(spans)))
    kept, restarted = Books(), Books()
    for books in (kept, restarted):
        books.take(spans[:cut])
    restarted.restart()
    for books in (kept, restarted):
        books.take(spans[cut:])
        books.quiet()
    assert sorted(kept.types()) == sorted(restarted.types())
    assert kept.total() == restarted.total()
    assert kept.ledger.spans == restarted.ledger.spans


def test_in_a_deep_chain_only_the_innermost_call_counts():
    books = Books()
    books.take([call(number, number + 1, (1, 0)) for number in range(1, 2000)])
    assert books.total() == (1, 0)
