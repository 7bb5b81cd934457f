"""Groups of commands that say in full what each does, and what was meant by a name that there is not."""

from __future__ import annotations

import click

from hxp_enterprise_llm.config.paths import suggestion

LONGEST = 200
"""Characters of a sentence that says what a command does."""


class Group(click.Group):
    """Click's own cuts what a command does at the edge of the line, in the middle of a sentence."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands, each with its first sentence."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.brief(ctx, name)) for name in self.list_commands(ctx)])

    def brief(self, ctx: click.Context, name: str) -> str:
        """The first sentence of what a command says of itself."""
        command = self.get_command(ctx, name)
        return "" if command is None else command.get_short_help_str(LONGEST)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names. Raises click.UsageError."""
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"No such command {name!r}{suggestion(name, known)}.", ctx)
        return super().resolve_command(ctx, args)
