"""`hxp publish`: put events into the log from a shell."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import aiohttp
import click
import msgspec

from hxp_enterprise_llm.cli.addresses import processing_url
from hxp_enterprise_llm.cli.credentials import credentials, key_file
from hxp_enterprise_llm.cli.errors import Failure, failures
from hxp_enterprise_llm.client import Accepted, ClientError, Publisher, Refused
from hxp_enterprise_llm.telemetry.text import clean

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None}
_BATCH_EVENTS, _BATCH_BYTES = 1000, 4 * 1024 * 1024

Lines = list[tuple[int, bytes]]


@click.command()
@click.argument("type", required=False)
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--source", help="What the event is about comes from here; the service fills in your address.")
@click.option("--subject", help="What the event is about.")
@click.option("--data", help="The data as JSON; KEY=VALUE pairs are put over it.")
@click.option("--file", type=click.File("rb"), help="Publish a file of events, one JSON object a line; - for stdin.")
@processing_url()
@key_file
def publish(
    type: str | None,
    pairs: tuple[str, ...],
    source: str | None,
    subject: str | None,
    data: str | None,
    file: BinaryIO | None,
    url: str,
    key_file: str,
) -> None:
    """Publish an event of TYPE with the data KEY=VALUE, and print its offset.

    Numbers, true, false and null are typed, all else is text:

        hxp publish llm.request.completed model=mixtral-8x7b latency_ms=840
    """
    with failures("hxp up"):
        if file is not None:
            if type is not None:
                raise click.UsageError("--file brings its own types and data: leave TYPE and KEY=VALUE out.")
            asyncio.run(_publish_file(url, file, credentials(key_file)))
        elif type is None:
            raise click.UsageError("Name the TYPE of the event, such as llm.request.completed, or use --file.")
        else:
            attributes = {"source": source, "subject": subject}
            event = {"type": type} | {key: value for key, value in attributes.items() if value is not None}
            asyncio.run(_publish_one(url, event | _body(pairs, data), credentials(key_file)))


def _body(pairs: Iterable[str], data: str | None) -> dict[str, Any]:
    """The `data` member of an event, or nothing."""
    base: Any = None
    if data is not None:
        try:
            base = msgspec.json.decode(data)
        except msgspec.DecodeError as error:
            raise click.UsageError(f"--data is no JSON: {error}") from None
    values = dict(map(typed_pair, pairs))
    if not values:
        return {} if data is None else {"data": base}
    if base is not None and not isinstance(base, dict):
        raise click.UsageError("KEY=VALUE can be put over an object only, and --data is none.")
    return {"data": (base or {}) | values}


def typed_pair(text: str) -> tuple[str, Any]:
    """`key=value` with the value as number, bool or null when it reads as one in JSON, else as text.

    A number that 64 bits do not hold stays text, digit by digit.
    """
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise click.UsageError(f"{text!r} is no KEY=VALUE.")
    if value in _WORDS:
        return key, _WORDS[value]
    if not _NUMBER.fullmatch(value):
        return key, value
    try:
        number = msgspec.json.decode(value)
    except msgspec.ValidationError:
        return key, value
    fits = isinstance(number, float) or -(2**63) <= number < 2**63
    return key, number if fits else value


async def _publish_one(url: str, event: dict[str, Any], headers: dict[str, str]) -> None:
    async with aiohttp.ClientSession(headers=headers) as session:
        receipt = await Publisher(url, session).publish([event])
    (accepted,) = receipt.events
    repeat = " (stored before)" if accepted.duplicate else ""
    click.echo(f"{accepted.offset}{repeat}")


async def _publish_file(url: str, file: BinaryIO, headers: dict[str, str]) -> None:
    """Publish in batches; a refused one says which lines it had, and what was stored before it."""
    stored: list[Accepted] = []
    name = str(getattr(file, "name", "<stdin>"))
    async with aiohttp.ClientSession(headers=headers) as session:
        publisher = Publisher(url, session)
        try:
            for batch in batches(file, name, lambda: str(publisher.with_id({})["id"])):
                try:
                    stored += (await publisher.publish_lines([line for _, line in batch])).events
                except ClientError as error:
                    _place(error, batch)
                    click.echo(clean(f"{name}: {_not_stored(batch)}; {_before(len(stored))}"), err=True)
                    raise
        except Failure as broken:
            raise Failure(f"{broken.message}; {_before(len(stored))}") from None
    click.echo(_summary(stored))


def _not_stored(batch: Lines) -> str:
    (first, _), (last, _) = batch[0], batch[-1]
    return f"line {first} was not stored" if first == last else f"lines {first} to {last} were not stored"


def _before(stored: int) -> str:
    if not stored:
        return "nothing was stored"
    return f"{stored} {'event' if stored == 1 else 'events'} before it {'was' if stored == 1 else 'were'} stored"


def _place(error: ClientError, batch: Lines) -> None:
    """Let the faults of a refused batch name the lines of the file in place of indices."""
    items = error.details.get("items") if isinstance(error, Refused) else None
    for item in items if isinstance(items, list) else []:
        index = item.get("index") if isinstance(item, dict) else None
        if isinstance(index, int) and 0 <= index < len(batch):
            item["index"] = f"line {batch[index][0]}"


def _summary(stored: list[Accepted]) -> str:
    if not stored:
        return "no events"
    repeats = sum(accepted.duplicate for accepted in stored)
    offsets = [accepted.offset for accepted in stored]
    if len(stored) == 1:
        return f"1 event, offset {offsets[0]}{', stored before' if repeats else ''}"
    text = f"{len(stored)} events, offsets {min(offsets)} to {max(offsets)}"
    return f"{text}, {repeats} of them stored before" if repeats else text


def batches(file: Iterable[bytes], name: str, new_id: Callable[[], str]) -> Iterator[Lines]:
    """Lines of a file in batches of at most 1,000 events and 4 MiB, each with the number of its line."""
    batch: Lines = []
    size = 0
    for number, text in enumerate(file, 1):
        if not text.strip():
            continue
        line = _with_id(text.strip(), f"{name}:{number}", new_id)
        if batch and (len(batch) == _BATCH_EVENTS or size + len(line) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((number, line))
        size += len(line)
    if batch:
        yield batch


def _with_id(line: bytes, where: str, new_id: Callable[[], str]) -> bytes:
    """The line as it is, but for an id in front when it has none: so a repeat after a lost answer is harmless."""
    try:
        event = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Failure(clean(f"{where}: no JSON object: {error}")) from None
    if "id" in event or not event:
        return line
    return b'{"id":%b,%b' % (msgspec.json.encode(new_id()), line[1:])
