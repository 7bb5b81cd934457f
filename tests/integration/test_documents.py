"""/openapi.json and /asyncapi.json of the running program: valid, whole, and what the program does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import aiohttp
import jsonschema
import msgspec
import pytest
from openapi_spec_validator import validate

from tests.clients.javascript import installed
from tests.fuzz.endpoints import all_endpoints
from tests.integration.daemon import embedded_settings, running, url

SAMPLES = {"name": "operational_overview", "file": "page.js"}
"""Values of parameters in paths."""
QUERIES = {"/analytics/range": "?metric=throughput", "/api/v2/export/analytics": "?format=json"}
"""Of routes that need one."""


async def fetch(session: aiohttp.ClientSession, address: str) -> Any:
    async with session.get(address) as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        return await answer.json()


async def test_the_openapi_documents_are_valid_and_name_every_route(program, session):
    """By the official validator; not one route more or less than the service has."""
    for name, server in program.servers.items():
        document = await fetch(session, url(program, name) + "/openapi.json")
        validate(document)
        told = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
        assert told == {(route.method, route.path) for route in server.routes()}
        assert document["info"]["title"] == server.name


async def test_the_asyncapi_documents_are_valid_and_name_every_channel(program, session):
    """By the official JSON Schema; every channel by both transports, with the types that its pattern chooses."""
    specs = await asyncio.to_thread(installed)
    schema = msgspec.json.decode(
        (specs / "node_modules/@asyncapi/specs/schemas/3.0.0.json").read_bytes(), type=dict[str, Any]
    )
    for name in program.servers:
        document = await fetch(session, url(program, name) + "/asyncapi.json")
        assert [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(document)] == []
    streams = await fetch(session, url(program, "streaming") + "/streams")
    for channel in streams["channels"]:
        assert document["channels"][f"{channel}.websocket"]["address"] == f"/ws/{channel}"
        assert document["channels"][f"{channel}.sse"]["address"] == f"/sse/{channel}"
    assert {"bench.tick", "other", "control"} <= document["channels"]["events.sse"]["messages"].keys()


async def test_an_event_is_as_the_document_says(program, session):
    """What a client of a channel gets, checked with the schema of its message."""
    document = await fetch(session, url(program, "streaming") + "/asyncapi.json")
    payload = document["components"]["messages"]["bench.tick"]["payload"]["schema"]
    async with session.ws_connect(url(program, "streaming") + "/ws/events?type=bench.tick") as socket:
        async with session.post(
            url(program, "processing") + "/events", json={"type": "bench.tick", "data": {"seq": 7}}
        ) as answer:
            assert answer.status == 202
        event = await socket.receive_json(timeout=30)
    jsonschema.Draft202012Validator(payload).validate(event)
    assert event.keys() <= payload["properties"].keys()
    with pytest.raises(jsonschema.ValidationError, match="'7' is not of type 'integer'"):
        jsonschema.Draft202012Validator(payload).validate(event | {"data": {"seq": "7"}})


async def test_schemas_of_the_operator_are_in_the_document(tmp_path):
    """The catalogue in force, also for the gateway of the same process."""
    own = tmp_path / "schemas"
    own.mkdir()
    (own / "shop.sold.json").write_text('{"type": "object", "title": "Something was sold"}', encoding="utf-8")
    settings = embedded_settings(tmp_path)
    ingest = msgspec.structs.replace(settings.processing.ingest, schemas_directory=str(own))
    settings = type(settings)(msgspec.structs.replace(settings.processing, ingest=ingest), settings.streaming)
    async with running(settings) as program, aiohttp.ClientSession() as session:
        for name in program.servers:
            document = await fetch(session, url(program, name) + "/asyncapi.json")
            assert document["components"]["messages"]["shop.sold"]["title"] == "Something was sold"


async def something_silenced(session: aiohttp.ClientSession, gateway: str) -> str:
    """An alert from outside, and a silence over it; answers the id of the silence."""
    alert = {"labels": {"alertname": "Disk", "node": "n1"}, "annotations": {"summary": "full"}}
    async with session.post(gateway + "/api/v2/alerts", json=[alert]) as answer:
        assert answer.status == 200
    silence = {
        "matchers": [{"name": "alertname", "value": "Disk", "isRegex": False}],
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2032-01-01T00:00:00Z",
        "createdBy": "alice",
        "comment": "known",
    }
    async with session.post(gateway + "/api/v2/silences", json=silence) as answer:
        assert answer.status == 200
        made: str = (await answer.json())["silenceID"]
        return made


async def test_answers_have_what_the_document_says_and_nothing_else(program, session):
    """Every answer as JSON of every route that is read: valid, and without a member that is not written down."""
    checked = 0
    (fast, *_) = program.settings.streaming.high_frequency_streams.streams
    async with session.post(url(program, "processing") + "/events", json={"type": "a.b", "data": 1}) as answer:
        assert answer.status == 202
    silence = await something_silenced(session, url(program, "streaming"))
    for name in program.servers:
        document = await fetch(session, url(program, name) + "/openapi.json")
        for path, methods in document["paths"].items():
            content = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
            if "application/json" not in content:
                continue
            samples = {"name": fast} if path.startswith("/streams/") else SAMPLES | {"id": silence}
            address = re.sub(r"\{(\w+)\}", lambda match, samples=samples: samples[match[1]], path)
            value = await fetch(session, url(program, name) + address + QUERIES.get(path, ""))
            assert "schema" in content["application/json"], path
            schema = content["application/json"]["schema"]
            whole = {"components": document["components"]} | schema
            assert [error.message for error in jsonschema.Draft202012Validator(whole).iter_errors(value)] == [], path
            assert list(unwritten(value, schema, document)) == [], path
            checked += 1
    assert checked > 15


async def test_refusals_of_streams_are_in_the_document(program, session):
    """What schemathesis leaves out, because it does not end: a request that is refused gets an answer that is named."""
    statuses = set()
    for name in program.servers:
        document = await fetch(session, url(program, name) + "/openapi.json")
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if not operation.get("x-endless"):
                    continue
                address = url(program, name) + re.sub(r"\{\w+\}", "nowhere", path)
                async with session.request(method, address, params={"after": "nonsense"}, data=b"x") as answer:
                    assert str(answer.status) in operation["responses"], (method, path, answer.status)
                    assert "code" in (await answer.json())["error"]
                    statuses.add(answer.status)
    assert {400, 404, 415} <= statuses


def unwritten(value: Any, schema: dict[str, Any], document: dict[str, Any], path: str = "") -> Iterator[str]:
    """Members that the schema does not name."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for option in schema.get("anyOf", ()):
        if jsonschema.Draft202012Validator({"components": document["components"]} | option).is_valid(value):
            yield from unwritten(value, option, document, path)
            return
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            yield from unwritten(item, schema["items"], document, f"{path}[{number}]")
    if isinstance(value, dict) and "properties" in schema:
        for key, member in value.items():
            if key not in schema["properties"]:
                yield f"{path}.{key}"
            else:
                yield from unwritten(member, schema["properties"][key], document, f"{path}.{key}")
    elif isinstance(value, dict) and isinstance(schema.get("additionalProperties"), dict):
        for key, member in value.items():
            yield from unwritten(member, schema["additionalProperties"], document, f"{path}.{key}")


def test_a_member_that_is_not_written_down_is_found():
    document = {"components": {"schemas": {"A": {"properties": {"x": {"items": {"properties": {}}}}}}}}
    assert list(unwritten({"x": [{}, {"y": 1}], "z": 2}, {"$ref": "#/components/schemas/A"}, document)) == [
        ".x[1].y",
        ".z",
    ]


async def test_every_endpoint_withstands_what_its_document_allows_and_forbids():
    """schemathesis over the real daemon: no 5xx, no answer that the document does not name."""
    said: list[str] = []
    failed = await all_endpoints(10, 1, said.append)
    assert failed == 0, "\n".join(said)
    for report in said:
        assert re.search(r"[1-9][0-9]* generated, [1-9][0-9]* passed", report), report
