"""A model registry on loopback, as the client's own OpenAPI describes it (/api/model_registry/v1): names and ids."""

import json
import re
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.loopback import LoopbackServer, _reply

BASE = "/api/model_registry/v1"


class RegistryServer(LoopbackServer):
    """Attributes:
    models, versions, artifacts: what was created, in order.
    status: answer everything with it, if set.
    """

    def __init__(self) -> None:
        super().__init__()
        self.models: list[dict[str, Any]] = []
        self.versions: list[dict[str, Any]] = []
        self.artifacts: list[dict[str, Any]] = []
        self.status = 0

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        if self.status:
            self._send(request, self.status, {"code": "500", "message": "the database is down"})
            return
        parts = urlsplit(request.path)
        path, query = parts.path.removeprefix(BASE), parse_qs(parts.query)
        given = json.loads(body) if body else {}
        name = query.get("name", [""])[0]
        if (request.command, path) == ("GET", "/registered_models"):
            page = {"items": self.models, "size": len(self.models), "pageSize": 1, "nextPageToken": ""}
            self._send(request, 200, page)
        elif (request.command, path) == ("GET", "/registered_model"):
            self._find(request, self.models, name=name)
        elif (request.command, path) == ("GET", "/model_version"):
            parent = query["parentResourceId"][0]
            self._find(request, self.versions, name=name, registeredModelId=parent)
        elif (request.command, path) == ("POST", "/registered_models"):
            self._create(request, self.models, given)
        elif (request.command, path) == ("POST", "/model_versions"):
            self._create(request, self.versions, given)
        elif request.command == "POST" and (of := re.fullmatch(r"/model_versions/(\d+)/artifacts", path)):
            self._create(request, self.artifacts, {**given, "modelVersionId": of[1]})
        else:
            self._send(request, 404, {"code": "404", "message": "no such path"})

    def _find(self, request: BaseHTTPRequestHandler, among: list[dict[str, Any]], **wanted: str) -> None:
        found = [one for one in among if wanted.items() <= one.items()]
        self._send(request, 200 if found else 404, found[0] if found else {"code": "404", "message": "not found"})

    def _create(self, request: BaseHTTPRequestHandler, among: list[dict[str, Any]], given: dict[str, Any]) -> None:
        among.append({**given, "id": str(len(among) + 1)})
        self._send(request, 201, among[-1])

    def _send(self, request: BaseHTTPRequestHandler, status: int, body: Any) -> None:
        _reply(request, status, {"Content-Type": "application/json"}, json.dumps(body).encode())
