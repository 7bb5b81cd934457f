"""HTTP routes to read and to save definitions. What cannot be used is refused with every fault."""

from __future__ import annotations

from hashlib import sha256

from aiohttp import web

from hxp_enterprise_llm.event.dashboards import described
from hxp_enterprise_llm.event.dashboards.definitions import load_text
from hxp_enterprise_llm.event.dashboards.service import Dashboards
from hxp_enterprise_llm.security.body import BodyBudget, read_body
from hxp_enterprise_llm.security.model import JSON_BODY, Route
from hxp_enterprise_llm.security.problems import Problem, json_response

MOST_DEFINITION_BYTES = 256 * 1024


def routes(dashboards: Dashboards, budget: BodyBudget) -> list[Route]:
    """The routes over the dashboards that are served."""
    view = _Editing(dashboards, budget)
    path = "/dashboards/{name}/definition"
    return [
        Route("GET", path, view.read, "read", "A dashboard's definition", described=described.DEFINITION),
        Route(
            "PUT",
            path,
            view.save,
            "dashboards:write",
            "Save a dashboard's definition",
            body=JSON_BODY,
            described=described.SAVE,
        ),
    ]


class _Editing:
    def __init__(self, dashboards: Dashboards, budget: BodyBudget) -> None:
        self._dashboards, self._budget = dashboards, budget

    async def read(self, request: web.Request) -> web.StreamResponse:
        """The file as it stands, the shipped one where the operator has none."""
        name = self._known(request)
        try:
            text = await self._dashboards.definition(name)
        except OSError as error:
            hint = "see live_dashboard.directory"
            raise Problem(404, "no_definition", f"{name} has no definition: {error.strerror}", hint) from None
        headers = {"Content-Disposition": f'attachment; filename="{name}.json"', "X-Content-Type-Options": "nosniff"}
        response = web.Response(text=text, content_type="application/json", headers=headers)
        response.etag = _tag(text)
        return response

    async def save(self, request: web.Request) -> web.StreamResponse:
        """Check it as a file is checked, write it, take it into use.

        With `If-Match`: only over what the sender has read.
        """
        name = self._known(request)
        body = await read_body(request, limit=MOST_DEFINITION_BYTES, budget=self._budget)
        text = _decoded(body)
        faults = load_text(name, f"{name}.json", text).faults
        if faults:
            first = str(faults[0])
            hint = "nothing was saved; each fault has its line and column"
            raise Problem(400, "bad_definition", first, hint, faults=[str(fault) for fault in faults])
        await self._require_unchanged(request, name)
        try:
            await self._dashboards.save(name, text)
        except OSError as error:
            hint = "the directory must be writable for the service: live_dashboard.directory"
            raise Problem(409, "not_saved", f"{name}.json cannot be written: {error.strerror}", hint) from None
        return json_response({"dashboard": name, "panels": len(self._dashboards.boards[name].panel_ids())})

    async def _require_unchanged(self, request: web.Request, name: str) -> None:
        if request.if_match is None:
            return
        current = _tag(await self._dashboards.definition(name))
        if current not in [tag.value for tag in request.if_match]:
            text, hint = f"{name}.json was changed by somebody else meanwhile", "nothing was saved; read it again"
            raise Problem(412, "changed_meanwhile", text, hint)

    def _known(self, request: web.Request) -> str:
        name = request.match_info["name"]
        known = list(self._dashboards.boards)
        if not self._dashboards.enabled or name not in known:
            hint = f"there are {', '.join(known)}; new names go into live_dashboard.dashboards"
            raise Problem(404, "unknown_dashboard", f"no dashboard is named {name[:80]!r}", hint, dashboards=known)
        return name


def _tag(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:20]


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        text = f"the body is not UTF-8 text (byte {error.start + 1})"
        raise Problem(400, "bad_body", text, "send the definition as JSON") from None
