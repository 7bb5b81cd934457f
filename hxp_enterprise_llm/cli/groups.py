"""Groups of commands that say in full what each does, and what was meant by a name that there is not."""

from __future__ import annotations

import click

from hxp_enterprise_llm.config.paths import suggestion

_LONGEST = 200


class Group(click.Group):
    """Click's own cuts what a command does at the edge of the line, in the middle of a sentence."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands, each with its first sentence."""
        known = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, command.get_short_help_str(_LONGEST)) for name, command in known if command is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names. Raises click.UsageError."""
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"No such command {name!r}{suggestion(name, known)}.", ctx)
        return super().resolve_command(ctx, args)
