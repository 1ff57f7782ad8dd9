"""What a server's faults mean, what is tried again, and that no token gets out. No test waits."""

import logging
import ssl
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.fake_clock import FakeClock
from tests.kfp_server import KfpServer, recorded, said
from tofner.errors import BadInput, PassingFault, TofnerError
from tofner_kubeflow.pipelines.backend import Backend, Lost, NotThere, Taken

Client = Callable[..., Backend]
SECRET = "planted.Token-1234567890"


@pytest.mark.parametrize("fault", ["reset", "lost", "cut", "500", "502", "503", "504", "429"])
def test_passing_faults_are_tried_again(kfp: KfpServer, client: Client, time: FakeClock, fault: str) -> None:
    kfp.break_next(fault, fault)
    assert client().get("/experiments") == {}
    assert len(kfp.seen) == 3
    assert time.slept == pytest.approx([0.1, 0.2])


def test_an_answer_that_does_not_come_is_given_up_and_asked_for_again(
    kfp: KfpServer, client: Client, time: FakeClock
) -> None:
    kfp.break_next("hang")
    assert client(answer_s=0.2).get("/experiments") == {}
    assert len(kfp.seen) == 2


def test_patience_ends_with_a_passing_fault_that_names_its_variable(
    kfp: KfpServer, client: Client, time: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOFNER_KUBEFLOW_PATIENCE_S", "1")
    kfp.break_next(*["502"] * 99)
    with pytest.raises(PassingFault, match=r"HTTP 502: 502 Bad Gateway.*4 tries.*TOFNER_KUBEFLOW_PATIENCE_S=1"):
        client().get("/experiments")


def test_no_server_is_a_passing_fault(client: Client, time: FakeClock) -> None:
    nobody = Backend("http://127.0.0.1:9", clock=time.clock)
    with pytest.raises(PassingFault, match=r"no whole answer \(ConnectionRefusedError\)") as caught:
        nobody.get("/runs")
    assert not isinstance(caught.value, Lost)  # nothing was sent, so nothing can have been done
    assert sum(time.slept) > 250  # minutes, for a server that moves to another node


LASTING = {
    "run-create-unknown-version": (BadInput, "PipelineVersion 00000000-0000-0000-0000-000000000000 not found"),
    "run-retry-of-big-run-refused": (BadInput, "larger than max"),
    "run-create-unknown-parameter": (BadInput, "not required by pipeline: tmies"),
    "run-create-unknown-experiment": (NotThere, "Experiment 00000000-0000-0000-0000-000000000000 not found"),
    "experiment-create-duplicate-name": (Taken, "The name nightly already exists"),
    "version-upload-duplicate-name": (Taken, "Failed to create a pipeline version"),
    "pipeline-upload-not-a-pipeline": (BadInput, "unknown template format"),
    "runs-list-bad-filter": (BadInput, "proto: syntax error"),
    "no-such-path": (NotThere, "Not Found"),
}


@pytest.mark.parametrize("name", LASTING)
def test_what_the_server_will_never_take_ends_at_once_in_its_words(
    kfp: KfpServer, client: Client, time: FakeClock, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recorded answers; the first two have 500 and 503, which look as if they might pass."""
    monkeypatch.setattr(kfp, "_answer", lambda *_: said(name))
    kind, words = LASTING[name]
    with pytest.raises(kind) as caught:
        client().get("/anything")
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert time.slept == []


@pytest.mark.parametrize("status", ["401", "403"])
def test_refused_tokens_end_at_once(kfp: KfpServer, client: Client, time: FakeClock, status: str) -> None:
    kfp.break_next(status)
    with pytest.raises(BadInput, match=f"request without token refused \\(HTTP {status}.*--token-file"):
        client().get("/runs")
    assert time.slept == []


@pytest.mark.parametrize("status", ["200", "302", "404"])
def test_a_login_page_is_no_answer(kfp: KfpServer, client: Client, time: FakeClock, status: str) -> None:
    kfp.break_next(status)
    with pytest.raises(BadInput, match=r"found a web page or redirect.*--host"):
        client().get("/runs")
    assert len(kfp.seen) == 1  # the redirect is not followed, and nothing is tried again


def test_the_token_is_read_anew_for_each_request(
    kfp: KfpServer, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "token"
    monkeypatch.setenv("KF_TOKEN", "of-the-environment")
    backend = client(token_file=place)
    for token in ("first", "second\n"):
        place.write_text(token)
        backend.get("/runs")
    client().get("/runs")
    monkeypatch.setenv("KF_TOKEN", "")
    client().get("/runs")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(place))  # of a pod
    client().get("/runs")
    sent = [request.headers.get("authorization") for request in kfp.requests]
    assert sent == ["Bearer first", "Bearer second", "Bearer of-the-environment", None, "Bearer second"]


def test_a_netrc_file_does_not_take_the_place_of_the_token(
    kfp: KfpServer, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    client().get("/runs")
    monkeypatch.setenv("KF_TOKEN", "mine")
    client().get("/runs")
    assert [request.headers.get("authorization") for request in kfp.requests] == [None, "Bearer mine"]


@pytest.mark.parametrize("fault", ["reset", "cut", "401", "403", "502", "302", "echo", "split", "hang"])
def test_a_token_gets_into_no_message_log_or_exception(
    kfp: KfpServer, client: Client, fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where a proxy's error page shows the request, or the token has a line break in it."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("KF_TOKEN", f"{SECRET}\nmore" if fault == "split" else SECRET)
    monkeypatch.setenv("TOFNER_KUBEFLOW_PATIENCE_S", "0")
    if fault == "echo":  # long enough that a cut would go through the token
        monkeypatch.setattr(kfp, "_answer", lambda *_: (400, {"message": f"{'x' * 480} Bearer {SECRET}"}))
    elif fault != "split":
        kfp.break_next(fault)
    with pytest.raises(TofnerError) as caught:
        client(answer_s=0.2).get("/runs")
    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    chain: list[BaseException] = []
    error: BaseException | None = caught.value
    while error is not None and error not in chain:
        chain.append(error)
        told += repr(error) + str(vars(error)) + str(vars(getattr(getattr(error, "request", None), "headers", error)))
        error = error.__cause__ or error.__context__
    assert SECRET[:8] not in told
    if fault != "split":
        assert kfp.requests[0].headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("{}/", True),
        ("{}/#/runs/details/9de02e37", True),
        ("kubeflow.example", False),
        ("http://kubeflow.example:port", False),
        ("ftp://kubeflow.example", False),
        ("http://user:pass@kubeflow.example", False),
    ],
)
def test_the_address_is_that_of_the_page(kfp: KfpServer, host: str, good: bool) -> None:
    if good:
        backend = Backend(host.format(kfp.endpoint))
        backend.get("/runs")
        assert backend.page("runs", "details", "ID") == f"{kfp.endpoint}/#/runs/details/ID"
        return
    with pytest.raises(BadInput, match="--host") as caught:
        Backend(host)
    assert "pass@" not in str(caught.value)


def test_a_ca_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--ca-cert"):
        Backend("https://kubeflow.example", ca_cert=tmp_path / "none.pem")


@pytest.fixture
def authority(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate, secret = tmp_path / "ca.pem", tmp_path / "key.pem"
    certificate.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, secret


def test_a_server_is_known_by_the_given_authority_alone(
    kfp: KfpServer, time: FakeClock, authority: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a bundle of the environment does not have it, which requests lets win."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority)
    kfp._server.socket = context.wrap_socket(kfp._server.socket, server_side=True)
    host = kfp.endpoint.replace("http:", "https:")
    with pytest.raises(BadInput, match=r"found an unknown certificate.*--ca-cert"):
        Backend(host, clock=time.clock).get("/runs")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    assert Backend(host, ca_cert=authority[0], clock=time.clock).get("/runs") == {}
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    with pytest.raises(BadInput, match="expected a usable CA bundle"):
        Backend(host, clock=time.clock).get("/runs")
    assert time.slept == []


def test_a_server_that_speaks_no_tls_ends_at_once(kfp: KfpServer, time: FakeClock) -> None:
    with pytest.raises(BadInput, match="no usable TLS"):
        Backend(kfp.endpoint.replace("http:", "https:"), clock=time.clock).get("/runs")
    assert time.slept == []


def test_a_proxy_of_the_environment_is_used(kfp: KfpServer, time: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", kfp.endpoint)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setattr(kfp, "_answer", lambda *_: (200, {"seen": True}))
    assert Backend("http://kubeflow.example", clock=time.clock).get("/runs") == {"seen": True}
    assert kfp.seen[0][1].startswith("http://kubeflow.example/apis/v2beta1/runs")


def test_lists_are_read_to_their_last_page(kfp: KfpServer, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    first = recorded("runs-list-newest-first")
    second = {"runs": recorded("runs-list-by-name")["runs"]}
    monkeypatch.setattr(kfp, "_answer", lambda *a: (200, second if "page_token" in a[2] else first))
    found = [one["run_id"] for one in client().pages("/runs", "runs", filter="f")]
    assert found == [one["run_id"] for one in first["runs"] + second["runs"]]
    assert [query.get("page_token") for query, _ in kfp.asked("GET", "/runs")] == [None, first["next_page_token"]]
    assert {query["filter"] for query, _ in kfp.asked("GET", "/runs")} == {"f"}
