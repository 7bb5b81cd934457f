"""What `hxp` says of its commands: each in full, each option explained, and what was meant by a misspelt one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from hxp_enterprise_llm.cli.groups import LONGEST
from hxp_enterprise_llm.cli.main import main


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command beneath a group, with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = [pytest.param(path, command, id=" ".join(path)) for path, command in commands(main)]


@pytest.mark.parametrize(("path", "command"), ALL)
def test_every_command_and_option_is_explained(path: tuple[str, ...], command: click.Command) -> None:
    assert command.help
    unexplained = [one.name for one in command.params if isinstance(one, click.Option) and not one.help]
    assert unexplained == []
    assert CliRunner().invoke(main, [*path, "--help"]).exit_code == 0


@pytest.mark.parametrize("words", [[], ["notify"], ["log"], ["config"]])
def test_lists_of_commands_are_not_cut(words: list[str]) -> None:
    assert "..." not in CliRunner().invoke(main, [*words, "--help"]).stdout.partition("Commands:")[2]


def test_the_list_of_all_commands_is_what_they_say_and_imports_none_of_them() -> None:
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "hxp_enterprise_llm.cli.main", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "hxp_enterprise_llm.cli.groups" in shown.stderr
    assert "hxp_enterprise_llm.cli.up" not in shown.stderr
    words = " ".join(shown.stdout.split())
    for path, command in commands(main):
        if len(path) == 1:
            assert f"{path[0]} {command.get_short_help_str(LONGEST)}" in words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["publsh"], "No such command 'publsh' (did you mean publish?)."),
        (["notify", "reply"], "No such command 'reply' (did you mean replay?)."),
        (["xyzzy"], "No such command 'xyzzy'."),
    ],
)
def test_a_misspelt_command(words: list[str], said: str) -> None:
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, f"Error: {said}")
