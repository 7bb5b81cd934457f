"""`hxp rules`: look at rules, test them on series that are made up, and rehearse them on what was recorded."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import aiohttp
import click

from hxp_enterprise_llm.cli.addresses import processing_url
from hxp_enterprise_llm.cli.credentials import credentials, key_file
from hxp_enterprise_llm.cli.errors import EX_CONFIG, Failure, Unavailable, failures
from hxp_enterprise_llm.cli.groups import Group
from hxp_enterprise_llm.client.asking import ask
from hxp_enterprise_llm.config.faults import ConfigFaults, Fault
from hxp_enterprise_llm.config.loader import Loaded, load
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.rule_files import PlacedRule, placed_rules, read_rules
from hxp_enterprise_llm.config.rule_tests import RuleTestFile
from hxp_enterprise_llm.config.rules import ENGINE_ALERT
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.log import RemoteLog
from hxp_enterprise_llm.event.log.model import LogError
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.notifications.model import Notification
from hxp_enterprise_llm.event.notifications.rules.compiled import ConditionFaults, Rule, compile_rule, text_problems
from hxp_enterprise_llm.event.notifications.rules.lint import lint as doubts
from hxp_enterprise_llm.event.notifications.rules.recorded import recorded
from hxp_enterprise_llm.event.notifications.rules.rehearsal import Rehearsal
from hxp_enterprise_llm.event.notifications.rules.series import Series, SeriesFault, read_series
from hxp_enterprise_llm.event.notifications.rules.trial import Mismatch, try_rules
from hxp_enterprise_llm.event.notifications.rules.vocabulary import Vocabulary, vocabulary
from hxp_enterprise_llm.orchestration.check import declared_metrics
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.telemetry.text import clean

_file = click.Path(path_type=Path, exists=True, dir_okay=False)
_processing = click.option(
    "--processing-config",
    type=_file,
    help="YAML of event processing, whose metrics the rules may name; else that beside FILE, else the shipped ones.",
)


@click.group(cls=Group)
def rules() -> None:
    """Look at rules, test them, and rehearse them on what was recorded."""


@rules.command()
@click.argument("files", nargs=-1, required=True, type=_file, metavar="FILE...")
@_processing
def lint(files: tuple[Path, ...], processing_config: Path | None) -> None:
    """Say all that is wrong or doubtful about the rules of FILEs, each with its place.

    A FILE has a list `rules`, or is the configuration of the gateway. Exit status 0, or 78 when one cannot be used.
    """
    faults: list[Fault] = []
    warnings: list[Fault] = []
    number, first = 0, dict[str, Fault]()
    for path in files:
        names = _names(path, processing_config)
        try:
            found = read_rules(path)
        except ConfigFaults as refused:
            faults += refused.faults
            continue
        number += len(found)
        if found and not any(placed.fault and placed.fault("name", "").line for placed in found):
            click.echo(f"{path} has no rules: the shipped ones hold, and are looked at", err=True)
        for placed in found:
            faults += _twice(placed, first)
            _look(placed, names, faults, warnings)
    for fault in faults:
        click.echo(str(fault), err=True)
    for warning in warnings:
        click.echo(f"WARNING {warning}", err=True)
    if faults:
        raise SystemExit(EX_CONFIG)
    click.echo(f"{_count(number, 'rule')}, {_count(len(warnings), 'warning')}")


def _names(path: Path | None, processing_config: Path | None) -> Vocabulary:
    try:
        if processing_config is not None:
            return vocabulary(load(ProcessingConfig, processing_config, os.environ).config.analytics)
        return vocabulary(declared_metrics(path, os.environ))
    except ConfigFaults as refused:
        raise _unusable(refused.faults) from None


def _twice(placed: PlacedRule, first: dict[str, Fault]) -> Iterator[Fault]:
    assert placed.fault is not None
    at = first.setdefault(placed.rule.name, placed.fault("name", ""))
    if at != placed.fault("name", ""):
        where = f"{at.name}:{at.line}:{at.column}"
        yield placed.fault("name", f"the rule {placed.rule.name!r} is there twice, first at {where}")


def _look(placed: PlacedRule, names: Vocabulary, faults: list[Fault], warnings: list[Fault]) -> None:
    assert placed.fault is not None
    faults += [placed.fault(key, message) for key, message in text_problems(placed.rule, names)]
    try:
        rule = compile_rule(placed.rule, names)
    except ConditionFaults as refused:
        faults += [placed.fault(key, message) for key, message in refused.problems]
        return
    warnings += [placed.fault(key, message) for key, message in doubts(rule, names)]


class Unusable(Failure):
    """A file that cannot be used."""

    exit_code = EX_CONFIG


def _unusable(faults: Sequence[object]) -> Failure:
    return Unusable("\n".join(map(str, faults)))


@rules.command()
@click.argument("files", nargs=-1, required=True, type=_file, metavar="FILE...")
def test(files: tuple[Path, ...]) -> None:
    """Run the tests of FILEs, which have the shape that `promtool test rules` reads.

    Exit status 0, 1 when other alerts fire than expected, 78 when a file cannot be used.
    """
    failed = 0
    for path in files:
        click.echo(str(path))
        try:
            loaded = load(RuleTestFile, path, {})
            found = list(_run(loaded, path))
        except ConfigFaults as refused:
            raise _unusable(refused.faults) from None
        for mismatch in found:
            click.echo(f"  FAILED: {_mismatch(mismatch)}", err=True)
        failed += len(found)
        if not found:
            click.echo(f"  SUCCESS: {_count(len(loaded.config.tests), 'test')}")
    if failed:
        raise SystemExit(1)


def _run(loaded: Loaded[RuleTestFile], path: Path) -> Iterator[Mismatch]:
    compiled = _compiled(loaded, path)
    known = {rule.name for rule in compiled} | {ENGINE_ALERT}
    faults = []
    series: list[list[Series]] = []
    for number, one in enumerate(loaded.config.tests):
        series.append([])
        for index, given in enumerate(one.input_series):
            try:
                series[-1].append(read_series(given.series, given.values))
            except SeriesFault as fault:
                faults.append(loaded.fault(f"tests[{number}].input_series[{index}].values", str(fault)))
        for index, check in enumerate(one.alert_rule_test):
            if check.alertname not in known:
                place = f"tests[{number}].alert_rule_test[{index}].alertname"
                faults.append(loaded.fault(place, f"there is no rule {check.alertname!r} in the rule_files"))
    if faults:
        raise ConfigFaults(faults)
    every = seconds(loaded.config.evaluation_interval)
    for one, of_test in zip(loaded.config.tests, series, strict=True):
        yield from try_rules(compiled, one, of_test, every)


def _compiled(loaded: Loaded[RuleTestFile], path: Path) -> list[Rule]:
    """The rules that a file of tests names; what metrics there are is up to its series."""
    compiled: list[Rule] = []
    missing = [key for key in ("rule_files", "tests") if not getattr(loaded.config, key)]
    faults = [loaded.fault(key, "is missing: a file of tests has both") for key in missing]
    for index, pattern in enumerate(loaded.config.rule_files):
        paths = sorted(path.parent.glob(pattern)) if not Path(pattern).is_absolute() else [Path(pattern)]
        if not paths:
            faults.append(loaded.fault(f"rule_files[{index}]", f"there is no file {pattern}"))
        for each in paths:
            for placed in read_rules(each):
                assert placed.fault is not None
                try:
                    compiled.append(compile_rule(placed.rule, None))
                except ConditionFaults as refused:
                    faults += [placed.fault(key, message) for key, message in refused.problems]
    if faults:
        raise ConfigFaults(faults)
    return compiled


def _mismatch(found: Mismatch) -> str:
    name = f"{found.test}: " if found.test else ""
    lines = [f"{name}{found.check.alertname} at {found.check.eval_time}"]
    for word, alerts in (("exp", found.expected), ("got", found.got)):
        lines += [f"    {word}: {clean(alert, 2000)}" for alert in alerts or ["nothing"]]
    return "\n".join(lines)


@rules.command("dry-run")
@click.option("--since", default="24h", show_default=True, help="How far to go back: 30m, 24h, 7d.")
@click.option("--config", type=_file, help="YAML of the gateway, or a file of rules; else the shipped rules.")
@_processing
@processing_url("Event processing, which has the log.")
@key_file
def dry_run(since: str, config: Path | None, processing_config: Path | None, url: str, key_file: str) -> None:
    """Print what the rules would have told, over the metrics that the log holds. Nobody is told anything.

    hxp rules dry-run --since 7d --config config/services/data-streaming-api.yaml
    """
    try:
        back = seconds(since)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None
    compiled = _chosen(config, processing_config)
    try:
        with failures("hxp up"):
            asyncio.run(_rehearse(Rehearsal(compiled), url, time.time() - back, credentials(key_file)))
    except LogError as error:
        raise Unavailable(f"{clean(str(error))}. GET {url}/health says how it is.") from None


def _chosen(config: Path | None, processing_config: Path | None) -> list[Rule]:
    names = _names(config, processing_config)
    try:
        placed = read_rules(config) if config else placed_rules(StreamingConfig().real_time_notifications)
    except ConfigFaults as refused:
        raise _unusable(refused.faults) from None
    compiled: list[Rule] = []
    faults: list[object] = []
    for each in placed:
        try:
            compiled.append(compile_rule(each.rule, names))
        except ConditionFaults as refused:
            faults += [each.fault(key, text) if each.fault else text for key, text in refused.problems]
    if faults:
        raise _unusable(faults)
    return compiled


async def _rehearse(rehearsal: Rehearsal, url: str, since: float, headers: dict[str, str]) -> None:
    fired = 0
    async with aiohttp.ClientSession(headers=headers) as session:
        # What cannot be asked at all is said as by all commands.
        await ask(session, f"{url}/events/bounds", dict)
        log = RemoteLog(url, session=session, clock=SystemClock())
        try:
            await log.open()
            async for snapshot in recorded(log, since):
                for told in rehearsal.see(snapshot):
                    fired += told.kind == "firing"
                    click.echo(_line(told))
        finally:
            await log.close(1.0)
    if not rehearsal.snapshots:
        click.echo("The log has no metrics of that time.", err=True)
        return
    span = f"{rfc3339(rehearsal.first)} to {rfc3339(rehearsal.last)}"
    open_now = sum(alert.state.open for alert in rehearsal.alerts.values())
    click.echo(f"{_count(rehearsal.snapshots, 'snapshot')}, {span}: fired {fired} times, {open_now} open at the end")


def _line(told: Notification) -> str:
    labels = " ".join(
        f"{name}={clean(value, 128)}" for name, value in told.alerts[0].labels.items() if name != "alertname"
    )
    reason = f" ({told.reason})" if told.reason else ""
    return f"{rfc3339(told.at)} {told.kind:<8} {clean(told.title)} {labels}{reason}: {clean(told.text, 500)}"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
