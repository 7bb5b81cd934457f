"""`hxp notify render`: what the templates make of a notification, without sending anything."""

from __future__ import annotations

import asyncio
from typing import BinaryIO

import click

from hxp_enterprise_llm.cli.errors import EX_CONFIG, Failure
from hxp_enterprise_llm.event.notifications.templates.data import data_of
from hxp_enterprise_llm.event.notifications.templates.loading import TemplateFaults, load, unused
from hxp_enterprise_llm.event.notifications.templates.renderer import ProcessRenderer, RendererLost
from hxp_enterprise_llm.event.notifications.templates.samples import BadSample, read_sample, sample
from hxp_enterprise_llm.event.notifications.templates.sandbox import PARTS, Rendered
from hxp_enterprise_llm.telemetry.text import clean


class BadTemplates(Failure):
    """Templates that cannot be used."""

    exit_code = EX_CONFIG


@click.command()
@click.option("--template", type=click.Choice(PARTS), help="One template; without: all.")
@click.option("--event", type=click.File("rb"), help="An alert.* event, as `hxp tail --json` prints it; - for stdin.")
@click.option(
    "--directory", default="", help="Your templates (real_time_notifications.templates); without: the shipped."
)
def render(template: str | None, event: BinaryIO | None, directory: str) -> None:
    """Print what templates make of an event, or of a sample. Nothing is sent."""
    try:
        sources = load(directory)
    except TemplateFaults as error:
        raise BadTemplates(str(error)) from None
    for fault in unused(directory):
        click.echo(f"WARNING {fault}", err=True)
    try:
        notification = read_sample(event.read()) if event else sample()
    except BadSample as error:
        raise click.UsageError(f"--event {getattr(event, 'name', '-')}: {error}") from None
    parts = (template,) if template else PARTS
    try:
        rendered = asyncio.run(_render(sources, parts, data_of(notification)))
    except RendererLost as error:
        raise Failure(f"the process that renders was ended: {error}") from None
    for part in parts:
        _show(part, rendered, alone=template is not None)
    if rendered.failures:
        raise click.exceptions.Exit(1)


async def _render(sources: dict[str, str], parts: tuple[str, ...], data: dict[str, object]) -> Rendered:
    renderer = ProcessRenderer()
    try:
        return await renderer.render(sources, parts, data)
    finally:
        await renderer.stop()


def _show(part: str, rendered: Rendered, *, alone: bool) -> None:
    failure = rendered.failures.get(part)
    if failure is not None:
        where = f"{failure.template}:{failure.line}" if failure.line else failure.template
        click.echo(f"{where}: {clean(failure.message, 500)}", err=True)
        return
    if not alone:
        click.echo(f"--- {part} ---")
    for line in rendered.parts[part].splitlines():
        click.echo(clean(line, 10_000))
