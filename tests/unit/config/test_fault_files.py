"""One faulty file per fault; the text file of the same name holds exactly what the operator reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from hxp_enterprise_llm.config.faults import ConfigFaults
from hxp_enterprise_llm.config.loader import load
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig

FOLDER = Path(__file__).parent / "faults"
CONFIGS: dict[str, type[StreamingConfig] | type[ProcessingConfig]] = {
    "streaming": StreamingConfig,
    "processing": ProcessingConfig,
}
NAMES = {str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.*")}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_fault_text(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = FOLDER / f"{name}.yaml"
    monkeypatch.chdir(path.parent)
    with pytest.raises(ConfigFaults) as caught:
        load(CONFIGS[path.parent.name], Path(path.name), {})
    assert f"{caught.value}\n" == path.with_suffix(".txt").read_text()


def test_the_path_is_named_as_given() -> None:
    path = FOLDER / "streaming" / "port-as-text.yaml"
    with pytest.raises(ConfigFaults) as caught:
        load(StreamingConfig, path, {})
    assert str(caught.value) == f'{path}:3:9: service.port: expected an integer, got "91O2" (text)'
    fault = caught.value.faults[0]
    assert (fault.source, fault.line, fault.column, fault.path) == ("file", 3, 9, "service.port")
