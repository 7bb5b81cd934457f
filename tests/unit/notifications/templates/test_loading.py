"""Templates of an operator are read without being run, and every fault has its file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hxp_enterprise_llm.event.notifications.templates.loading import TemplateFaults, load, shipped
from hxp_enterprise_llm.event.notifications.templates.sandbox import PARTS


def test_without_a_directory_the_shipped_ones_are_used() -> None:
    assert load("") == shipped()
    assert set(shipped()) == {f"{part}.j2" for part in PARTS}


def test_the_shipped_ones_pass_their_own_check(tmp_path: Path) -> None:
    for name, source in shipped().items():
        (tmp_path / name).write_text(source)
    assert load(str(tmp_path)) == shipped()


def test_what_is_there_replaces_what_is_shipped(tmp_path: Path) -> None:
    (tmp_path / "title.j2").write_text("{% include 'mark.j2' %} {{ title }}")
    (tmp_path / "mark.j2").write_text("{% macro m(x) %}{{ x }}{% endmacro %}{{ m(priority) }}")
    (tmp_path / "notes.txt").write_text("{{")
    sources = load(str(tmp_path))
    assert sources["title.j2"].startswith("{% include")
    assert sources["text.j2"] == shipped()["text.j2"]
    assert "notes.txt" not in sources


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("one\n{{ title", ":2: unexpected end of template, expected 'end of print statement'."),
        ("{% if x %}", ":1: Unexpected end of template."),
        ("{% frobnicate %}", ":1: Encountered unknown tag 'frobnicate'."),
        ("\n\n{{ titel }}", ":3: unknown name 'titel' (did you mean title?)"),
        ("{{ title|uper }}", ":1: unknown filter 'uper' (did you mean upper?)"),
        ("{{ title|safe }}", ":1: unknown filter 'safe'"),
        ("{% if title is frob %}{% endif %}", ":1: unknown test 'frob'"),
        ("{% include 'x.j2' %}", ":1: there is no template 'x.j2'"),
        ("{% include title %}", ":1: another template must be named by a plain text"),
        ("{% autoescape false %}{{ title }}{% endautoescape %}", ":1: escaping cannot be switched"),
        ("{{ lipsum() }}", ":1: unknown name 'lipsum'"),
        (b"a\nb\xff", ":2: is not UTF-8 text"),
        ("x" * 70_000, ": cannot be read: it is larger than 64 kB"),
    ],
)
def test_a_fault_has_its_file_and_line(tmp_path: Path, source: str | bytes, fault: str) -> None:
    path = tmp_path / "text.j2"
    path.write_bytes(source.encode() if isinstance(source, str) else source)
    with pytest.raises(TemplateFaults) as caught:
        load(str(tmp_path))
    first = str(caught.value).splitlines()[0]
    assert first.startswith(f"{path}{fault}"), first


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "text.j2").write_text("{{ a }}\n{{ b }}")
    (tmp_path / "html.j2").write_text("{{")
    with pytest.raises(TemplateFaults) as caught:
        load(str(tmp_path))
    assert len(str(caught.value).splitlines()) == 3


def test_places_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(TemplateFaults, match="the templates cannot be read: No such file or directory"):
        load(str(tmp_path / "none"))
    (tmp_path / "text.j2").mkdir()
    with pytest.raises(TemplateFaults, match=r"text.j2: cannot be read: "):
        load(str(tmp_path))


def test_a_constant_that_takes_for_ever_is_not_computed(tmp_path: Path) -> None:
    (tmp_path / "text.j2").write_text("{{ 'a' * 50000000000 }}{{ 9 ** 9 ** 9 }}")
    assert "text.j2" in load(str(tmp_path))


def test_too_many_templates_are_refused(tmp_path: Path) -> None:
    for number in range(33):
        (tmp_path / f"{number}.j2").write_text("")
    with pytest.raises(TemplateFaults, match="has 33 templates, at most 32 are taken"):
        load(str(tmp_path))
