"""`hxp`: the command line of the streaming daemon."""

from __future__ import annotations

import ast
import gc
from importlib import import_module, resources
from types import ModuleType

import click

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.cli.groups import LONGEST, Group

COMMANDS = {
    "up": ("up", "up"),
    "serve": ("serve", "serve"),
    "publish": ("publish", "publish"),
    "tail": ("tail", "tail"),
    "top": ("top", "top"),
    "export": ("export", "export"),
    "notify": ("notify", "notify"),
    "rules": ("rules", "rules"),
    "dashboards": ("dashboards", "dashboards"),
    "log": ("log", "log"),
    "doctor": ("doctor", "doctor"),
    "backup": ("backup", "backup"),
    "restore": ("backup", "put_back"),
    "keys": ("keys", "keys"),
    "check-config": ("config", "check_config"),
    "config": ("config", "config"),
}
"""Command → (module in this package, name in it), in the order of the help page."""


class _Lazy(Group):
    """Imports a command when it is used: `hxp publish` has no need of the services."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command: click.Command = getattr(_imported(module), name)
        return command

    def brief(self, ctx: click.Context, name: str) -> str:
        """The first sentence of a command, as its source has it: to import them all takes over a second."""
        module, function = COMMANDS[name]
        source = resources.files(__package__).joinpath(f"{module}.py").read_text("utf-8")
        functions = (each for each in ast.parse(source).body if isinstance(each, ast.FunctionDef))
        texts = {each.name: ast.get_docstring(each) for each in functions}
        return click.Command(name, help=texts[function]).get_short_help_str(LONGEST)


def _imported(module: str) -> ModuleType:
    # An import makes a million objects that stay, and next to no garbage: to look for some takes a tenth of its time.
    gc.disable()
    try:
        return import_module(f"hxp_enterprise_llm.cli.{module}")
    finally:
        gc.freeze()
        gc.enable()


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="hxp")
def main() -> None:
    """Stream what happens on an LLM platform to the people and programs that watch it.

    `hxp up` runs everything on this machine; the other commands ask it, or look at its files. `hxp COMMAND --help`
    explains each.
    """


if __name__ == "__main__":
    main()
