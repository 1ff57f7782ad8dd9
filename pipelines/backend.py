"""A Kubeflow Pipelines server over HTTP: who asks (token, CA, proxies), what its faults mean, what is tried again.

Plain `requests` on the REST API v2beta1 rather than `kfp.Client`; docs/decisions.md says why. Faults that may pass
(no connection, cut answers, 5xx, 429) are tried again as `tofner.patience` says; whatever the server will never
take ends at once with its own words. A request that creates something without a name of its own is sent once:
`Lost` tells that it may or may not have been done, and the caller looks before it is sent again (`create_once`).

Environment:
    KF_TOKEN                      bearer token, where no token file is given
    KF_PIPELINES_SA_TOKEN_PATH    token file of a pod, else kfp's own default, if there is one
    HTTPS_PROXY, HTTP_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE   as requests reads them
    TOFNER_KUBEFLOW_PATIENCE_S    seconds that one call is tried again while faults may pass (default 300)
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from requests import exceptions as broken
from requests.auth import AuthBase

from tofner.errors import BadInput, PassingFault, Problem
from tofner.patience import Clock, number, persist

API = "/apis/v2beta1"
PATIENCE = "TOFNER_KUBEFLOW_PATIENCE_S"
PATIENCE_S = 300.0  # an API server that is moved to another node is back by then
CONNECT_S, ANSWER_S = 10.0, 60.0  # an upload or a run of a big graph takes the server seconds
SETTLE_S = 30.0  # a request whose answer was lost may still be at work for as long
PAGE = 50  # items of a list that are asked for at once
POD_TOKEN = "/var/run/secrets/kubeflow/pipelines/token"  # where kfp's ServiceAccountTokenVolumeCredentials looks
PASSING = (408, 425, 429)  # beside every 5xx
# Trying again is no use: 500 where a pipeline or version is not there, 503 where a run is too big for the server.
LASTING_WORDS = ("ResourceNotFoundError", "Invalid input error", "InvalidInputError", "larger than max")

Json = dict[str, Any]


class NotThere(BadInput):
    """HTTP 404: no such thing on the server."""


class Taken(BadInput):
    """HTTP 409: the name is taken, or the thing is in another state."""


class Lost(PassingFault):
    """The request may have been done or not: its answer was lost on the way."""


class _Bearer(AuthBase):
    """Sets the token's header anew for each request. As requests' `auth`, it also keeps ~/.netrc out."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Backend:
    """One server, `host` being the address of its UI. Paths are below /apis/v2beta1.

    Raises:
        BadInput: the address, the CA file or the patience is unusable.
    """

    def __init__(
        self,
        host: str,
        token_file: Path | None = None,
        ca_cert: Path | None = None,
        clock: Clock | None = None,
        answer_s: float = ANSWER_S,
    ) -> None:
        self.host = _address(host)
        self.clock = clock or Clock()
        self._token_file, self._answer_s = token_file, answer_s
        self._patience_s = number(PATIENCE, PATIENCE_S, 0.0)
        if ca_cert is not None and not ca_cert.is_file():
            raise BadInput(Problem("--ca-cert", f"no file {ca_cert}", "the authority's certificate in PEM form"))
        self._verify: str | bool = str(ca_cert) if ca_cert else True
        self._session = requests.Session()

    def page(self, *parts: str) -> str:
        """Address of a page of the UI: `page("runs", "details", ID)`."""
        return f"{self.host}/#/{'/'.join(parts)}"

    def get(self, path: str, **query: str | int) -> Json:
        """Raises NotThere, BadInput or PassingFault, as the next ones do."""
        return self._persist(lambda: self._once("GET", path, query))

    def post(self, path: str, body: Json | None = None) -> Json:
        """A POST that may be done twice without harm, or is refused the second time: Taken."""
        return self._persist(lambda: self._once("POST", path, {}, body))

    def delete(self, path: str) -> None:
        """Deletes; what is not there any more has been deleted."""
        try:
            self._persist(lambda: self._once("DELETE", path, {}))
        except NotThere:
            return

    def upload(self, path: str, package: bytes, **query: str) -> Json:
        """A POST of a compiled pipeline; one that has been done already is Taken."""
        files = {"uploadfile": ("pipeline.yaml", package)}  # the server goes by the suffix
        return self._persist(lambda: self._once("POST", path, query, files=files))

    def pages(self, path: str, key: str, **query: str | int) -> Iterator[Json]:
        """The items of a list, page by page; `key` is the list's name in the answer."""
        more = ""
        while True:
            answer = self.get(path, **({"page_size": PAGE} | query | ({"page_token": more} if more else {})))
            yield from answer.get(key) or []
            more = answer.get("next_page_token") or ""
            if not more:
                return

    def create_once(self, path: str, body: Json, look: Callable[[], Json | None]) -> Json:
        """Creates a thing whose name may stand twice on the server, exactly once.

        After a lost answer, `look` says whether the thing is there, until `SETTLE_S` have passed: the server may still
        be at it. Only then is the request sent again.
        """
        before = False

        def attempt() -> Json:
            nonlocal before
            if before and (found := self._settled(look)):
                return found
            try:
                return self._once("POST", path, {}, body)
            except Lost:
                before = True
                raise

        return self._persist(attempt)

    def _settled(self, look: Callable[[], Json | None]) -> Json | None:
        until = self.clock.now() + SETTLE_S
        while True:
            if found := look():
                return found
            if self.clock.now() >= until:
                return None
            self.clock.sleep(SETTLE_S / 6)

    def _persist(self, action: Callable[[], Json]) -> Json:
        def judge(error: Exception) -> Exception | None:
            return error if isinstance(error, PassingFault) else None

        return persist(action, judge, self._patience_s, PATIENCE, self.clock)

    def _once(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int],
        body: Json | None = None,
        files: Mapping[str, Any] | None = None,
    ) -> Json:
        """One request and its answer as JSON, or what its fault means. Exceptions hold neither request nor token."""
        token = self._token()
        where = f"{self.host}{API}{path}"
        try:
            answer = self._session.request(
                method,
                where,
                params=dict(query),
                json=body,
                files=files,
                auth=_Bearer(token),
                timeout=(min(CONNECT_S, self._answer_s), self._answer_s),
                verify=self._verify,
                allow_redirects=False,
            )
        except OSError as error:  # requests' own are among them; a CA bundle that is not there is none of these
            fault = _no_answer(error, where, self.host)
        else:
            said = _judge(answer, where, token)
            if isinstance(said, dict):
                return said
            fault = said
        raise fault  # outside of `except`: what requests raises holds the request, and that the token

    def _token(self) -> str:
        """The token to send, read anew for each request, since tokens that are projected into pods are replaced.

        Raises:
            BadInput: there is a token, and it cannot be one. Nothing of it is told.
        """
        pod = Path(os.environ.get("KF_PIPELINES_SA_TOKEN_PATH") or POD_TOKEN)
        if self._token_file is None and os.environ.get("KF_TOKEN"):  # CI sets a secret that is not there to nothing
            place, text = "KF_TOKEN", os.environ["KF_TOKEN"]
        elif self._token_file is not None or pod.is_file():
            place = str(self._token_file or pod)
            try:
                text = Path(place).read_text(encoding="ascii")
            except (OSError, UnicodeDecodeError) as error:
                found = error.strerror if isinstance(error, OSError) else "bytes that no token has"
                raise BadInput(Problem(place, found or "no file", "a readable token file")) from None
        else:
            return ""
        token = text.strip()
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise BadInput(Problem(place, "no token, or one with blanks", "a bearer token and nothing else"))
        return token


def equals(key: str, value: str) -> str:
    """A filter of the list requests: one field that has one value."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": key, "string_value": value}]})


def segment(text: str) -> str:
    """A name as one segment of a path."""
    return quote(text, safe="")


def _address(host: str) -> str:
    """The host without what a copied page address has behind it.

    Raises:
        BadInput: it is no http or https address, or has credentials in it.
    """
    bare = host.partition("#")[0].rstrip("/")
    try:
        parts = urlsplit(bare)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not parts.query
    except ValueError:  # a port that is no number
        parts, good = None, False
    if parts is not None and "@" in parts.netloc:
        fix = "leave the part before @ out, and give a token"
        raise BadInput(Problem("--host", "an address with credentials", "http(s)://HOST[:PORT][/PATH]", fix))
    if not good:
        fix = "give the address of the Kubeflow Pipelines UI, as in the browser"
        raise BadInput(Problem("--host", repr(host), "http(s)://HOST[:PORT][/PATH]", fix))
    return bare


def _no_answer(error: Exception, where: str, host: str) -> Exception:
    """What it means that no whole answer came."""
    cause = _innermost(error)
    if not isinstance(error, broken.RequestException):
        return BadInput(Problem(host, str(error), "a usable CA bundle", "look at --ca-cert and REQUESTS_CA_BUNDLE"))
    if isinstance(error, broken.SSLError) and "EOF" not in str(error):
        verified = "CERTIFICATE_VERIFY_FAILED" in str(error)
        found = "an unknown certificate" if verified else f"no usable TLS ({cause})"
        fix = "give the authority's certificate with --ca-cert, or correct --host"
        return BadInput(Problem(host, found, "a certificate that can be verified", fix))
    if isinstance(error, broken.InvalidProxyURL | broken.InvalidSchema | broken.InvalidURL | broken.MissingSchema):
        return BadInput(Problem(host, cause, "usable addresses of server and proxy", "look at HTTPS_PROXY, NO_PROXY"))
    unsent = isinstance(error, broken.ConnectTimeout | broken.ProxyError) or cause in (
        "ConnectionRefusedError", "gaierror", "NewConnectionError", "NameResolutionError",
    )  # fmt: skip
    kind = PassingFault if unsent else Lost
    return kind(f"{where}: no whole answer ({cause})")


def _innermost(error: BaseException) -> str:
    """Class name of the first cause: texts of exceptions may hold addresses of proxies with their passwords."""
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        inner = [error.__cause__, getattr(error, "reason", None), *error.args, error.__context__]
        error = next((one for one in inner if isinstance(one, BaseException) and id(one) not in seen), error)
    return type(error).__name__


def _judge(answer: requests.Response, where: str, token: str) -> Json | Exception:
    """The JSON of a good answer, else what the answer means for the user."""
    status = answer.status_code
    try:
        body = json.loads(answer.content)
    except ValueError:
        body = None
    said = _said(answer, body, token)
    good = 200 <= status < 300
    if good and isinstance(body, dict):
        return body
    if good and "html" not in answer.headers.get("Content-Type", ""):
        return Lost(f"{where}: an answer that is cut or none of Kubeflow's ({said})")
    if status in PASSING or (status >= 500 and status != 501 and not any(word in said for word in LASTING_WORDS)):
        return Lost(f"{where}: HTTP {status}: {said}")
    fix = "--host is the UI's address; a page where one logs in needs a token (--token-file or KF_TOKEN)"
    kind: type[BadInput] = BadInput
    what: str | Problem = f"{where}: HTTP {status}: {said}"
    if status in (401, 403):
        found = f"{'this token' if token else 'a request without token'} refused (HTTP {status}: {said})"
        fix = "give a token that may use this namespace: --token-file, KF_TOKEN, or a service account's in a pod"
        what = Problem(where, found, "access", fix)
    elif status < 400 or (status == 404 and not isinstance(body, dict)):
        what = Problem(where, f"a web page or redirect (HTTP {status}: {said})", "an answer of Kubeflow Pipelines", fix)
    else:
        kind = {404: NotThere, 409: Taken}.get(status, BadInput)
    return kind(what)


def _said(answer: requests.Response, body: Any, token: str) -> str:
    """The words of an answer, on one line: the server's own message, or the title or beginning of a page.

    Some proxies show the request in their error pages: the token is taken out.
    """
    if isinstance(body, dict):
        text = body.get("message") or body.get("error_message") or body.get("error") or ""
    else:
        page = answer.content[:20_000].decode("utf-8", "replace")
        title = re.search(r"(?is)<title[^>]*>(.*?)</title>", page)
        text = title[1] if title else re.sub(r"(?s)<[^>]*>", " ", page)
    line = " ".join((str(text).replace(token, "(token)") if token else str(text)).split())
    return f"{line[:500]} …" if len(line) > 500 else line or "no text"
