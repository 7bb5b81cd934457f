"""Trace files: what is read from them, and what is said of a file that is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from hxp_enterprise_llm.event.sources.traces import AZURE_HEADER, TraceFault, TraceRequest, load_trace, read_trace

SAMPLE = Path(__file__).parents[3] / "examples" / "azure-llm-trace-sample.csv"

AZURE = f"""{AZURE_HEADER}
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109

2023-11-16 18:15:50.9951690,0,0
"""
MOONCAKE = """{"timestamp": 3000, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1]}
{"timestamp": 3125.5, "input_length": 7322, "output_length": 490, "hash_ids": []}
"""


def written(directory: Path, content: str | bytes) -> Path:
    path = directory / "trace"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("form", ["{}", "\ufeff{}", "\n{}"])
def test_azure(tmp_path: Path, form: str) -> None:
    shift = form.count("\n")
    requests = list(read_trace(written(tmp_path, form.format(AZURE))))
    assert [request.line for request in requests] == [2 + shift, 3 + shift, 5 + shift]
    assert [request.at_s for request in requests] == pytest.approx([0, 4.314579, 4.314579])
    assert [(request.input_tokens, request.output_tokens) for request in requests] == [(374, 44), (396, 109), (0, 0)]


def test_azure_with_windows_line_ends(tmp_path: Path) -> None:
    assert len(list(read_trace(written(tmp_path, AZURE.replace("\n", "\r\n"))))) == 3


def test_mooncake(tmp_path: Path) -> None:
    first, second = read_trace(written(tmp_path, MOONCAKE))
    assert first == TraceRequest(1, 0.0, 6758, 500)
    assert second == TraceRequest(2, second.at_s, 7322, 490)
    assert second.at_s == pytest.approx(0.1255)


def test_the_shipped_sample_has_its_known_sums() -> None:
    trace = load_trace(SAMPLE)
    assert trace.name == "azure-llm-trace-sample.csv"
    assert len(trace.requests) == 2000
    assert sum(request.input_tokens for request in trace.requests) == 2_209_565
    assert sum(request.output_tokens for request in trace.requests) == 529_807
    assert trace.requests[-1].at_s == pytest.approx(424.259457)


NOT_A_TRACE = (
    "is no trace: it must begin with 'TIMESTAMP,ContextTokens,GeneratedTokens' (Azure LLM inference trace)"
    " or be JSON lines with timestamp, input_length and output_length (Mooncake)"
)
FAULTS = [
    (b"", 1, NOT_A_TRACE),
    (b"\n\ntime,tokens\n", 3, NOT_A_TRACE),
    (f"{AZURE_HEADER}\n", 1, "has no requests"),
    (f"{AZURE_HEADER}\n2023-11-16 18:15:46,1\n", 2, f"has 2 fields, 3 are expected: {AZURE_HEADER}"),
    (
        f"{AZURE_HEADER}\n2023-11-16 18:15:46,1,1\nyesterday,1,1\n",
        3,
        "TIMESTAMP: 'yesterday' is no time such as '2023-11-16 18:15:46.6805900'",
    ),
    (f"{AZURE_HEADER}\n2023-11-16 18:15:46,-1,1\n", 2, "ContextTokens: '-1' is no number of tokens"),
    (f"{AZURE_HEADER}\n2023-11-16 18:15:46,1,1.5\n", 2, "GeneratedTokens: '1.5' is no number of tokens"),
    (f"{AZURE_HEADER}\n2023-11-16 18:15:46,1,{'9' * 16}\n", 2, f"GeneratedTokens: '{'9' * 16}' is no number of tokens"),
    (
        f"{AZURE_HEADER}\n2023-11-16 18:15:46,1,1\n2023-11-16 18:15:45.5,1,1\n",
        3,
        "lies 0.500 s before the line above; sort it by time",
    ),
    (f"{AZURE_HEADER}\n".encode() + b"\xff,1,1\n", 2, "is not UTF-8 at byte 1 of the line"),
    ('{"timestamp": 1, "input_length": 2}', 1, "Object missing required field `output_length`"),
    (
        MOONCAKE + '{"timestamp": 4000, "input_length": -2, "output_length": 1}',
        3,
        "Expected `int` >= 0 - at `$.input_length`",
    ),
    ('{"timestamp": 1, "input_le', 1, "Input data was truncated"),
    (b"x" * (1024 * 1024 + 1), 1, "has a line of 1,048,576 bytes or more; that is no trace"),
]


@pytest.mark.parametrize(("content", "line", "problem"), FAULTS)
def test_a_fault_names_its_line(tmp_path: Path, content: str | bytes, line: int, problem: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(TraceFault) as fault:
        load_trace(path)
    assert str(fault.value) == f"{path}:{line}: {problem}"


def test_a_file_that_is_not_there_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_trace(tmp_path / "nowhere.csv")
