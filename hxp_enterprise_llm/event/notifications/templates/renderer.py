"""Renders notifications in a bounded child process; what fails is told in plain words instead."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

import msgspec
import structlog
from prometheus_client import Counter

from hxp_enterprise_llm.event.notifications.channels.words import Worded, headline, plain_text
from hxp_enterprise_llm.event.notifications.model import Notification
from hxp_enterprise_llm.event.notifications.templates.data import data_of
from hxp_enterprise_llm.event.notifications.templates.sandbox import Failure, Rendered, Sandbox
from hxp_enterprise_llm.runtime.clock import Clock

log = structlog.get_logger("notifications")

WALL_SECONDS = 5.0
REST_SECONDS = 60.0
"""For which a set of templates is left alone that has cost the process its life: everybody else would wait for it."""
_MOST_ANSWER_BYTES = 2 * 1024 * 1024
_START_SECONDS = 10.0
_RESTS = Failure("", 0, "the templates took too much before and are left alone for a minute")


class RendererLost(Exception):
    """The process was ended. `reason` says by what."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class Renderer(Protocol):
    """Renders parts of a notification."""

    async def render(self, sources: Mapping[str, str], parts: tuple[str, ...], data: Mapping[str, Any]) -> Rendered:
        """Raises RendererLost."""
        ...

    async def stop(self) -> None:
        """Let go of what it holds. Idempotent."""
        ...


class InlineRenderer:
    """Without a process, for where there can be none: the simulator. Not for templates that nobody has read."""

    async def render(self, sources: Mapping[str, str], parts: tuple[str, ...], data: Mapping[str, Any]) -> Rendered:
        return Sandbox(sources).render(parts, data)

    async def stop(self) -> None:
        return


class ProcessRenderer:
    """One child, started when it is first needed and again when it was lost."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._sources: Mapping[str, str] | None = None

    async def render(self, sources: Mapping[str, str], parts: tuple[str, ...], data: Mapping[str, Any]) -> Rendered:
        """Raises RendererLost when the child was ended, by a limit or by time."""
        async with self._turn:
            process = await self._ready(sources)
            try:
                async with asyncio.timeout(WALL_SECONDS):
                    answer = await _ask(process, {"parts": parts, "data": data})
                return _rendered(msgspec.json.decode(answer))
            except TimeoutError:
                reason = f"the templates take longer than {WALL_SECONDS:g} s"
            except (asyncio.IncompleteReadError, ConnectionError, ValueError):
                reason = "the templates take too much time or memory"
            except asyncio.CancelledError:
                # Whoever asked has gone in the middle: what comes back would be taken for another's answer.
                await self._end()
                raise
            await self._end()
            raise RendererLost(reason)

    async def _ready(self, sources: Mapping[str, str]) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None and self._sources is sources:
            return self._process
        await self._end()
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-m",
                "hxp_enterprise_llm.event.notifications.templates.child",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={"LANG": "C.UTF-8"},
                cwd=os.sep,
                start_new_session=True,
                limit=_MOST_ANSWER_BYTES,
            )
            self._sources = sources
            # The first answer takes as long as a start, which is no fault of the templates.
            async with asyncio.timeout(_START_SECONDS):
                await _say(self._process, {"templates": dict(sources)})
                await _ask(self._process, {"parts": [], "data": {"alerts": [], "truncated": 0}})
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            await self._end()
            raise RendererLost(f"the renderer does not start: {type(error).__name__}") from error
        except asyncio.CancelledError:
            await self._end()
            raise
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def stop(self) -> None:
        """End the child."""
        async with self._turn:
            await self._end()


async def _say(process: asyncio.subprocess.Process, message: Mapping[str, Any]) -> None:
    assert process.stdin is not None
    content = msgspec.json.encode(message)
    process.stdin.write(len(content).to_bytes(4, "big") + content)
    await process.stdin.drain()


async def _ask(process: asyncio.subprocess.Process, message: Mapping[str, Any]) -> bytes:
    assert process.stdout is not None
    await _say(process, message)
    size = int.from_bytes(await process.stdout.readexactly(4), "big")
    if size > _MOST_ANSWER_BYTES:
        raise ValueError(size)
    return await process.stdout.readexactly(size)


def _rendered(answer: dict[str, Any]) -> Rendered:
    failures = {part: Failure(*found) for part, found in answer["failures"].items()}
    return Rendered(answer["parts"], failures)


class TemplateWording:
    """Words by templates; where one fails, plain words with a note. Never fails itself."""

    def __init__(self, renderer: Renderer, sources: Mapping[str, str], *, clock: Clock, failures: Counter) -> None:
        """`failures` is counted by `template`."""
        self._renderer, self._sources, self._clock, self._failures = renderer, sources, clock, failures
        self._rests_until = float("-inf")

    async def __call__(self, notification: Notification, parts: tuple[str, ...]) -> Worded:
        if self._clock.monotonic() < self._rests_until:
            return self._plain(notification, _RESTS)
        try:
            rendered = await self._renderer.render(self._sources, parts, data_of(notification))
        except RendererLost as lost:
            self._rests_until = self._clock.monotonic() + REST_SECONDS
            return self._plain(notification, Failure("", 0, lost.reason))
        except asyncio.CancelledError:
            # It took longer than the attempt may: the next one must not try the same again.
            self._rests_until = self._clock.monotonic() + REST_SECONDS
            raise
        if rendered.failures:
            return self._plain(notification, next(iter(rendered.failures.values())))
        return Worded(**{part: rendered.parts.get(part, "") for part in ("title", "text", "html", "slack")})

    def _plain(self, notification: Notification, failure: Failure) -> Worded:
        self._failures.labels(failure.template.removesuffix(".j2") or "all").inc()
        where = f" {failure.template}:{failure.line}" if failure.line else f" {failure.template}".rstrip()
        log.error("template.failed", template=failure.template, line=failure.line, reason=failure.message)
        note = f"Plain text, because the template{where} failed: {failure.message}"
        return Worded(headline(notification), f"{plain_text(notification)}\n{note}\n", note=note)
