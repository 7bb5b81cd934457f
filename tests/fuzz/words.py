"""What well-formed input looks like: the seeds of the corpora, and words to put in."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

ROOT = Path(__file__).parents[2]

EVENT = b'{"specversion":"1.0","id":"1","source":"/s","type":"llm.request.completed","time":"2026-11-20T17:34:31Z",'
EVENTS = (
    b'{"type":"a.b","data":{"x":1}}',
    EVENT + b'"subject":"u","datacontenttype":"application/json","data":{"model":"m","input_tokens":3}}',
    EVENT + b'"data_base64":"AAECAw==","ext":"x","offset":1,"data":null}',
    b'{"type":"t","time":"2026-11-20T17:34:31.123456+01:00","data":[1,2.5,-3e-7,true,null,"\\u00e9\\ud83d\\ude00"]}',
    b'{"type":"t","type":"u","data":{"a\\u003ab":{"a":{"a":{}}},"n":9223372036854775807}}',
)
BATCHES = (
    b"[" + b",".join(EVENTS) + b"]",
    b"[" + EVENT + b'"data":{}},' + EVENT + b'"data":{}}]',
    b"\n".join(EVENTS),
    b"\r\n\r\n " + EVENTS[0] + b"\r\n",
)
JSON_WORDS = (
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b'"',
        b"null",
        b"true",
        b'{"a":',
        b"[[",
        b'"type":"x",',
        b'"data":',
        b'"id":1,',
    ),
    *(
        b'"\\u0000"',
        b"\\ud800",
        b"\\udc00",
        b"\\u003a",
        b"NaN",
        b"1e999",
        b"-",
        b"0.",
        b"\xff",
        b'"time":"0001-01-01T00:00:00+23:59",',
    ),
    *(b'"time":"9999-12-31T23:59:59-23:59",', b'"specversion":"1.0",', b'"offset":1,', b'"data_base64":"*",'),
)
HEADERS = (
    b"ce-specversion: 1.0\nce-id: 1\nce-source: /s\nce-type: a.b\nContent-Type: application/json\n\n{}",
    b"ce-specversion: 1.0\nce-id: %C3%A9\nce-source: /s\nce-type: a.b\nce-time: 2026-11-20T17:34:31Z\nContent-Type: "
    b"text/plain; charset=latin-1\n\n\xe9",
    b"ce-specversion: 1.0\nce-type: t\nce-data: x\nce-type: u\nContent-Type: image/png\n\n\x89PNG",
)
HEADER_WORDS = (
    b"ce-",
    b"ce-data: ",
    b"ce-datacontenttype: ",
    b"%ff",
    b"%",
    b"%E2%82%AC",
    b"Content-Type: ",
    b"+json",
    b"ce-x: y\n",
)

FILTERS = (
    b'data.latency_ms > 2000 && type == "llm.request.completed"',
    b'type.startsWith("llm.") || !(subject in ["a", "b"])',
    b"data.a.b.c != null && (data.x <= -1.5e3 || data.ok)",
    b"!!!!(true)",
)
FILTER_WORDS = (
    b"(",
    b")",
    b"!",
    b"&&",
    b"||",
    b"==",
    b"!=",
    b"<=",
    b" in ",
    b"[",
    b"]",
    b".startsWith(",
    b'"\\n"',
    b"data.",
    b"null",
    b"'",
)
TAGS = (
    b'{"op":"and","nodes":[{"key":"type","cmp":"eq","val":"a"},{"op":"not","nodes":[{"key":"n","cmp":"gt","val":"1.5"}]}]}',
    b'{"key":"x","cmp":"in","vals":["a","b"]}',
    b'{"key":"n","cmp":"lte","val":"1E+999999999"}',
)
TAG_WORDS = (b'{"op":"or","nodes":[', b'"cmp":"sw"', b'"val":"sNaN"', b'"val":"-Infinity"', b'"nodes":[]', *JSON_WORDS)
CONDITIONS = (
    b"error_rate > 0.2 && (latency * 2.0 >= 1e3 || !(throughput == 0))",
    b"latency > 1 ? 2 : 3",
    b"a.b in [1]",
)

QUERIES = (
    b"after=12&limit=3&type=llm.*,bench.tick&epoch=abc&partial=true&wait=0",
    b"after=e1.17&last=3&filter=data.x%20%3E%201&type=a&type=b",
    b"after=earliest&lastEventId=e.9&page=x&window=1m",
)
WISHES = (
    b"after=e1.17&filter=data.x%20%3E%201&type=a,c.*&type=b",
    b"last=3&type=llm.*&page=overview",
    b"after=earliest",
    b"lastEventId=e.9&header=e1.3",
)
QUERY_WORDS = (
    b"&",
    b"=",
    b"after=",
    b"-1",
    b"earliest",
    b"%",
    b"%ff",
    b"limit=",
    b"type=*",
    b",",
    b".*",
    b"+",
    b";",
    b"9007199254740992",
)

COMMANDS = (
    b'{"id":1,"connect":{"name":"js","version":"1"}}',
    b'{"id":2,"subscribe":{"channel":"a","recover":true,"offset":5,"epoch":"e","delta":"fossil","flag":1}}\n{}',
    b'{"id":3,"subscribe":{"channel":"b","tf":{"key":"type","cmp":"eq","val":"a"}}}',
    b'{"id":4,"publish":{"channel":"a","data":{"x":1}}}\n{"id":5,"history":{"channel":"a","limit":3,"since":{"offset":1}}}',
    b'{"id":6,"presence":{"channel":"a"}}\n{"id":7,"presence_stats":{"channel":"a"}}\n{"id":8,"unsubscribe":{"channel":"a"}}',
    b'{"id":9,"rpc":{}}\n{"send":{}}\n{"id":10,"refresh":{"token":"x"}}\n{"id":11,"sub_refresh":{"channel":"a","token":"y"}}',
)
COMMAND_WORDS = (
    b'"tf":{"key":"\xff"}',
    b'"data":\xff',
    b'"offset":-1',
    b'"id":4294967296',
    b"\n{}\n",
    b'"subs":{"a":{}}',
    *JSON_WORDS,
)
API = (
    b'{"commands":[{"publish":{"channel":"events","data":{}}},{"info":{}}],"parallel":true}',
    b'{"publish":{"channel":"a","data":1,"tags":{"a":"b"},"idempotency_key":"k","b64data":"","version":0}}',
    b'{"history":{"channel":"a","limit":-1,"since":{"offset":1,"epoch":"e"},"reverse":true}}',
)

LINES = (
    b'# ep 1 3 0\n1 {"type":"a","data":1}\n2 {"type":"b"}\n3 {"type":"a"}\n# ep 1 3 3\n',
    b'# ep 1 3 3\n! gone {"epoch":"ep","first":4,"head":9}\n',
    b'# ep 1 3 3\n! epoch_changed {"error":{"epoch":"e2","first":1,"head":1}}\n',
    b"# other 1 3 3\n",
)
LINE_WORDS = (
    b"# ",
    b"! ",
    b"\n",
    b" ",
    b"# ep 1 9 9\n",
    b"! gone ",
    b"! ahead {}\n",
    b"9007199254740991 {",
    b"\xc2\xb2",
)
BLOCKS = (
    b'# ep 1 9 0\n= {"first":1,"count":2,"size":3,"types":["a"]}\na\nb\n# ep 1 9 2\n',
    b'# ep 1 9 3\n4 {"type":"a"}\n= {"first":5,"count":2,"size":3,"types":["a","b"],"of":[0,1]}\na\nb\n',
    b'# ep 1 9 0\n= {"first":1,"count":1,"size":1,"types":["a"]}\na\n7 {"type":"b"}\n',
    *LINES,
)
BLOCK_WORDS = (b"= ", b"= {", b'"size":', b'"of":[', b"4611686018427387904", *LINE_WORDS)

HEADS = (
    b"GET /ws/events?type=llm.* HTTP/1.1\r\nHost: 127.0.0.1:1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n",
    b"GET /sse/events HTTP/1.1\r\nHost: [::1]:9102\r\nAccept: text/event-stream\r\nX-API-Key: hxk_a_b\r\n\r\n",
)
HEAD_WORDS = (
    b"\r\n",
    b": ",
    b" ",
    b"\t",
    b"HTTP/1.1",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: x\r\n",
    b"%2e",
    b"//",
    b"#",
    b"Connection: close\r\n",
)
REQUESTS = (
    b"GET /events\nHost: localhost\nOrigin: http://localhost\nAuthorization: Bearer hxk_ci_abc",
    b"POST http://a/events\nHost: [fe80::1%25eth0]:80\nContent-Type: application/json; charset=x\nContent-Length: 3\n"
    b"X-API-Key: \xff\nContent-Encoding: gzip\nX-Forwarded-For: 1.2.3.4",
    b"GET /\nHost: localhost\nAuthorization: apikey x\nAccept-Encoding: gzip;q=0, deflate\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; server_max_window_bits=10",
)
REQUEST_WORDS = (
    b"\nHost: ",
    b"\nOrigin: null",
    b"\nOrigin: https://\xc3\xa9:99999",
    b"[::ffff:1.2.3.4]",
    b";q=0.000",
    b"Bearer ",
    b"hxk_ci_",
    b'="x"',
    b", ",
)

KEYS = (
    b'- {"id": "ci", "sha256": "' + b"ab" * 32 + b'", "scopes": ["publish"], "expires": "2027-01-01T00:00:00Z"}\n',
    b"- id: a\n  sha256: " + b"0" * 64 + b"\n  scopes: [read, metrics]\n",
)
YAML_WORDS = (
    *(
        b"&a",
        b"*a",
        b"<<: *a",
        b"!!python/object:os.system",
        b"---\n",
        b"...\n",
        b"? ",
        b"- ",
        b": ",
        b"|\n",
        b"[",
        b"{",
        b"}",
        b"\t",
        b"%YAML 1.1\n",
    ),
    *(
        b"0x1f",
        b"1_000",
        b"1:30",
        b".inf",
        b"~",
        b"2026-11-20",
        b"!!binary x",
        b"'",
        b'"',
        b"#",
        b"port: 70000",
        b"timeout: -1",
    ),
)
SCHEMA = (b'{"$id":"t","type":"object","properties":{"a":{"type":"integer","minimum":0}},"required":["a"]}',)


def configurations(name: str) -> tuple[bytes, ...]:
    """The shipped file, whole and cut to its sections."""
    text = (ROOT / "config" / "services" / name).read_bytes()
    sections = [b"\n".join(part) for part in _sections(text)]
    return (text, *sections)


def _sections(text: bytes) -> list[list[bytes]]:
    found: list[list[bytes]] = []
    for line in text.splitlines():
        if line[:1].isalpha() or not found:
            found.append([])
        found[-1].append(line)
    return found


def dashboards() -> tuple[bytes, ...]:
    """The shipped definitions."""
    place = ROOT / "hxp_enterprise_llm" / "event" / "dashboards" / "shipped"
    return tuple(path.read_bytes() for path in sorted(place.glob("*.json")))


def compressed() -> tuple[bytes, ...]:
    """gzip, zlib, bare deflate, several members, a bomb."""
    bare = zlib.compressobj(wbits=-15)
    text = EVENTS[1] * 20
    return (
        gzip.compress(text, mtime=0),
        zlib.compress(text),
        bare.compress(text) + bare.flush(),
        gzip.compress(b"a", mtime=0) * 3,
        gzip.compress(bytes(4 << 20), mtime=0),
        b"",
    )
