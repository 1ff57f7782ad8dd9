"""A Kubeflow Pipelines API on loopback that answers in the words of a real one.

`kfp_answers.json` holds requests and answers recorded from KFP 2.17.0 (single user), trimmed. This server keeps names
and ids, and takes every body from there. It breaks requests when told to.
"""

import copy
import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.loopback import LoopbackServer, Matches, _hang_up, _reply

ANSWERS: dict[str, Any] = json.loads(Path(__file__).with_name("kfp_answers.json").read_text(encoding="utf-8"))
PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>nginx</h1></body></html>"
LOGIN = "<html><head><title>Log in to your account</title></head><body>dex</body></html>"

Answer = tuple[int, Any]


def recorded(name: str) -> Any:
    """A recorded answer's body, to change at will."""
    return copy.deepcopy(ANSWERS[name]["response"]["body"])


def said(name: str) -> Answer:
    """A recorded answer: status and body."""
    return ANSWERS[name]["response"]["status"], recorded(name)


class KfpServer(LoopbackServer):
    """Attributes:
    bodies: (method, path without query, query, JSON body) of every request that was looked at, in order.
    runs, schedules, versions, pipelines, experiments: what has been made, by id.
    follow: answers of GET of a run, one after another; the last again and again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[tuple[str, str, dict[str, str], Any]] = []
        self.experiments: dict[str, Any] = {}
        self.pipelines: dict[str, Any] = {}
        self.versions: dict[str, Any] = {}
        self.runs: dict[str, Any] = {}
        self.schedules: dict[str, Any] = {}
        self.follow: list[Any] = []
        self.later: list[Callable[[], object]] = []  # what a slow server does after its answer was given up
        self._faults: list[tuple[str, Matches]] = []

    def break_next(self, *faults: str, matches: Matches = lambda method, path: True) -> None:
        """Spoil the next matching requests, one fault each.

        `lost` done, and the connection closed; `reset` closed before anything is done; `late` closed, and done only
        later; `cut` done, and the body ends half-way; `hang` done, and never answered; a number: a page of this status.
        """
        self._faults += [(fault, matches) for fault in faults]

    def asked(self, method: str, path: str) -> list[tuple[dict[str, str], Any]]:
        """Query and body of each request of this kind."""
        return [(query, body) for verb, place, query, body in self.bodies if (verb, place) == (method, path)]

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        parts = urlsplit(request.path)
        path = parts.path.removeprefix("/apis/v2beta1")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        kind = request.headers.get("Content-Type", "")
        given = json.loads(body) if body and "json" in kind else body
        self.bodies.append((request.command, path, query, given))

        def do() -> Answer:
            return self._answer(request.command, path, query, given)

        for i, (fault, matches) in enumerate(self._faults):
            if matches(request.command, request.path):
                del self._faults[i]
                self._break(request, fault, do)
                return
        self._send(request, *do())

    def _break(self, request: BaseHTTPRequestHandler, fault: str, do: Callable[[], Answer]) -> None:
        if fault.isdigit():
            page = LOGIN if int(fault) < 400 else PAGE
            headers = {"Content-Type": "text/html", "Location": "http://127.0.0.1:9/dex/auth?state=abc"}
            _reply(request, int(fault), headers, page.encode())
            return
        if fault == "late":
            self.later.append(do)
        elif fault != "reset":
            status, body = do()
            if fault == "cut":
                content = json.dumps(body).encode()
                headers = {"Content-Type": "application/json"}
                _reply(request, status, headers, content[: len(content) // 2], len(content))
        if fault == "hang":
            request.connection.recv(1)  # until the client has gone
        _hang_up(request)

    def _send(self, request: BaseHTTPRequestHandler, status: int, body: Any) -> None:
        _reply(request, status, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def do_later(self) -> None:
        """What `late` requests ask for is done now."""
        while self.later:
            self.later.pop(0)()

    def _answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        wanted = json.loads(query["filter"])["predicates"][0]["string_value"] if "filter" in query else ""
        kind = path.split("/")[1]
        if kind == "experiments":
            return self._experiments(method, wanted, body)
        if kind == "pipelines":
            return self._pipelines(method, path, query, wanted)
        if kind == "runs":
            return self._runs(method, path, wanted, body)
        if kind == "recurringruns":
            return self._schedules(method, path, query, wanted, body)
        return said("no-such-path")

    def _experiments(self, method: str, wanted: str, body: Any) -> Answer:
        if method == "GET":
            found = [one for one in self.experiments.values() if one["display_name"] == wanted]
            return 200, {"experiments": found, "total_size": len(found)} if found else {}
        if any(one["display_name"] == body["display_name"] for one in self.experiments.values()):
            return said("experiment-create-duplicate-name")
        made = recorded("experiment-create") | {"display_name": body["display_name"]}
        made["experiment_id"] = f"e{len(self.experiments)}"
        self.experiments[made["experiment_id"]] = made
        return 200, made

    def _pipelines(self, method: str, path: str, query: dict[str, str], wanted: str) -> Answer:
        if path.startswith("/pipelines/names/"):
            name = path.rpartition("/")[2]
            found = [one for one in self.pipelines.values() if one["name"] == name]
            return (200, found[0]) if found else said("pipeline-by-name-unknown")
        if path == "/pipelines/upload":
            if any(one["name"] == query["name"] for one in self.pipelines.values()):
                return said("pipeline-upload-duplicate-name")
            made = recorded("pipeline-upload") | {"pipeline_id": f"p{len(self.pipelines)}", "name": query["name"]}
            self.pipelines[made["pipeline_id"]] = made | {"description": query.get("description")}
            self._version(made["pipeline_id"], query["name"], query)
            return 200, made
        return self._versions(path, query, wanted)

    def _versions(self, path: str, query: dict[str, str], wanted: str) -> Answer:
        if path == "/pipelines/upload_version":
            if query["pipelineid"] not in self.pipelines:
                return said("version-upload-unknown-pipeline")
            mine = [one for one in self.versions.values() if one["pipeline_id"] == query["pipelineid"]]
            if any(one["name"] == query["name"] for one in mine):
                return said("version-upload-duplicate-name")
            return 200, self._version(query["pipelineid"], query["name"], query)
        found = [one for one in self.versions.values() if wanted in ("", one["display_name"])]
        return 200, {"pipeline_versions": found, "total_size": len(found)}

    def _version(self, pipeline: str, name: str, query: dict[str, str]) -> Any:
        made = recorded("version-upload") | {"pipeline_id": pipeline, "name": name, "display_name": name}
        made |= {"pipeline_version_id": f"v{len(self.versions)}", "description": query.get("description")}
        self.versions[made["pipeline_version_id"]] = made
        return made

    def _runs(self, method: str, path: str, wanted: str, body: Any) -> Answer:
        if method == "POST" and path == "/runs":
            if body["pipeline_version_reference"]["pipeline_version_id"] not in self.versions:
                return said("run-create-unknown-version")
            made = recorded("run-create") | body | {"run_id": f"r{len(self.runs)}"}
            self.runs[made["run_id"]] = made
            return 200, made
        if path.endswith(":terminate"):
            name = path.removeprefix("/runs/").removesuffix(":terminate")
            ended = self.runs.get(name, {}).get("state") in ("SUCCEEDED", "FAILED")
            return said("run-terminate-of-succeeded" if ended else "run-terminate")
        if path == "/runs":
            found = [one for one in self.runs.values() if one["display_name"] == wanted]
            return 200, {"runs": found, "total_size": len(found)} if found else {}
        if not self.follow:
            return said("run-get-unknown")
        return 200, self.follow.pop(0) if len(self.follow) > 1 else self.follow[0]

    def _schedules(self, method: str, path: str, query: dict[str, str], wanted: str, body: Any) -> Answer:
        name = path.removeprefix("/recurringruns").strip("/")
        if not name:
            if method == "POST":
                return self._new_schedule(body)
            found = [one for one in self.schedules.values() if one["display_name"] == wanted]
            found = [one for one in found if one["experiment_id"] == query["experiment_id"]]
            return 200, {"recurringRuns": found, "total_size": len(found)} if found else {}
        id_, _, verb = name.partition(":")
        if id_ not in self.schedules:
            return said("recurring-delete-again")
        if method == "DELETE":
            del self.schedules[id_]
            return said("recurring-delete")
        self.schedules[id_]["mode"] = {"disable": "DISABLE", "enable": "ENABLE"}[verb]
        return said(f"recurring-{verb}")

    def _new_schedule(self, body: Any) -> Answer:
        cron = body["trigger"].get("cron_schedule", {}).get("cron")
        if cron is not None and not re.fullmatch(r"\S+( \S+){4,5}", cron):
            return said("recurring-create-bad-cron")
        number = sum(1 for one in self.bodies if one[:2] == ("POST", "/recurringruns"))
        made = {"service_account": "pipeline-runner"} | recorded("recurring-create-cron") | body
        made |= {"recurring_run_id": f"s{number}", "created_at": f"2026-11-28T08:{number:02}:00Z"}
        self.schedules[made["recurring_run_id"]] = made
        return 200, made
