"""Real processes that serve: two on one state folder, asked by the client of the package and by hostile sockets."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from osprey_executor import Approve, Edit, PythonExecutionRequest, RunStatus
from osprey_executor.access import People
from osprey_executor.client import Client
from osprey_executor.errors import (
    AccessDeniedError,
    InvalidDecision,
    InvalidRequestError,
    NotIdentifiedError,
    RunGoesOnError,
    RunNotFoundError,
    ServiceUnreachableError,
)
from osprey_executor.interfaces.cli.commands.serve import serve
from osprey_executor.models import MachineEffects, Role, RunFilter

from .conftest import LEAVES, WRITE, settings
from .served import Served, arguments, serving

SLOW = "import time\nprint('begun', flush=True)\ntime.sleep(300)\nresults = {}\n"


class Site:
    """Two processes that serve one state folder, and its people."""

    def __init__(self, home: Path, one: Served, other: Served, tokens: dict[str, str]) -> None:
        self.home, self.one, self.other, self.tokens = home, one, other, tokens

    def client(self, name: str, at: Served | None = None) -> Client:
        return Client((at or self.one).url, self.tokens[name])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("site")
    people = People(home)
    roles = {"anna": Role.REQUESTER, "ben": Role.APPROVER, "cleo": Role.APPROVER}
    tokens = {name: people.add(name, [role]) for name, role in roles.items()}
    folders = [tmp_path_factory.mktemp("config") for _ in range(2)]
    with serving(home, folders[0], settings()) as one, serving(home, folders[1], settings()) as other:
        yield Site(home, one, other, tokens)


def own(code: str, **more: object) -> PythonExecutionRequest:
    return PythonExecutionRequest(user_query="a program", code=code, requester="somebody else", **more)


def test_asked_at_one_decided_at_the_other_it_is_executed_once(site: Site) -> None:
    with site.client("anna") as anna, site.client("ben", site.other) as ben, site.client("ben") as again:
        waiting = anna.run(own(WRITE), timeout=100)
        assert (waiting.status, waiting.requester) == (RunStatus.AWAITING_APPROVAL, "anna")
        card = ben.card(waiting.run_id)
        assert [row.run_id for row in ben.pending().approvals] == [card.run_id]
        assert card.in_the_way == ()
        with pytest.raises(AccessDeniedError, match="anna may not decide"):
            anna.decide(card.run_id, Approve(card.digest))
        with pytest.raises(InvalidDecision, match="digest is not of the card"):
            ben.decide(card.run_id, Approve("0" * 64))
        first = ben.decide(card.run_id, Approve(card.digest), key="yes")
        assert again.decide(card.run_id, Approve(card.digest), key="yes") == first
        with pytest.raises(InvalidDecision), site.client("cleo") as cleo:
            cleo.decide(card.run_id, Approve(card.digest))
        result = anna.wait(card.run_id, timeout=100)
        assert (result.status, result.effects, result.approver) == (RunStatus.SUCCEEDED, MachineEffects.WRITTEN, "ben")
        assert again.result(card.run_id) == result
        assert [event.kind for event in anna.events(card.run_id, after=10**6)] == ["finished"]
        kinds = [event.kind for event in ben.events(card.run_id)]
        assert kinds[-1] == "finished"
        assert kinds.count("approval") == 1
        assert [event.kind for event in ben.events(card.run_id, after=3)] == kinds[3:]
    with closing(sqlite3.connect(site.home / "index.sqlite")) as db:
        [(executions,)] = db.execute(
            "SELECT count(*) FROM executions WHERE may_write AND run_id = ?", (card.run_id,)
        ).fetchall()
    assert executions == 1


def test_two_approvers_at_once_one_wins_and_the_other_is_told(site: Site) -> None:
    with site.client("anna") as anna, site.client("ben") as one, site.client("cleo", site.other) as two:
        card = one.card(anna.run(own(WRITE), timeout=100).run_id)
        ends: list[object] = []

        def approve(client: Client) -> None:
            try:
                ends.append(client.decide(card.run_id, Approve(card.digest)).run_id)
            except InvalidDecision as error:
                ends.append(error)

        threads = [threading.Thread(target=approve, args=(client,)) for client in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(100)
        assert sorted(type(end).__name__ for end in ends) == ["InvalidDecision", "str"]
        assert anna.wait(card.run_id, timeout=100).status is RunStatus.SUCCEEDED


def test_an_edit_makes_the_older_digest_void(site: Site) -> None:
    with site.client("anna") as anna, site.client("ben") as ben, site.client("ben", site.other) as other:
        card = ben.card(anna.run(own(WRITE), timeout=100).run_id)
        ben.decide(card.run_id, Edit(WRITE.replace("1.5", "1.25")))
        assert anna.wait(card.run_id, timeout=100).status is RunStatus.AWAITING_APPROVAL
        with pytest.raises(InvalidDecision):
            other.decide(card.run_id, Approve(card.digest))
        assert "1.25" in other.card(card.run_id).code
        assert other.cancel(card.run_id).status is RunStatus.CANCELLED
        with pytest.raises(InvalidDecision, match="cancelled"):
            ben.decide(card.run_id, Approve(card.digest))


def test_a_run_that_goes_on_is_watched_and_ended_elsewhere(site: Site) -> None:
    with site.client("anna") as anna, site.client("anna", site.other) as elsewhere:
        run = anna.submit(own(SLOW))
        for event in elsewhere.events(run.run_id):
            if event.kind == "output":
                break
        with pytest.raises(RunGoesOnError):
            elsewhere.result(run.run_id)
        assert elsewhere.summary(run.run_id).state == "running"
        assert elsewhere.health().running == 1
        assert elsewhere.cancel(run.run_id).status is RunStatus.CANCELLED
        assert elsewhere.runs(RunFilter(state="cancelled"), limit=1).runs[0].run_id == run.run_id


def test_files_come_home_by_safe_names_only(site: Site, tmp_path: Path) -> None:
    with site.client("anna") as anna:
        run = anna.run(own(LEAVES, inputs={"in.txt": b"\x00bytes"}), timeout=100)
        assert run.results == {"answer": 42}
        names = {file.name: file.size for file in anna.files(run.run_id)}
        assert names["sub/a.txt"] == 5
        assert anna.download(run.run_id, "sub/a.txt", tmp_path).read_text() == "inner"
        with pytest.raises(InvalidRequestError, match="cannot be written"):
            anna.download(run.run_id, "sub/a.txt", tmp_path)
        for name in ("../a", "/etc/passwd", "a/../../b", "", "a\0b", "a\\b", "a\nb"):
            with pytest.raises(InvalidRequestError, match="no name of a file"):
                anna.download(run.run_id, name, tmp_path)
        (tmp_path / "link").symlink_to(tmp_path.parent)
        with pytest.raises(InvalidRequestError, match="no name of a file"):
            anna.download(run.run_id, "link/a.txt", tmp_path)
        with pytest.raises(RunNotFoundError):
            anna.download(run.run_id, "not-there", tmp_path)
        assert not (tmp_path / "not-there").exists()


def raw(port: int, data: bytes) -> bytes:
    """What comes back first for bytes on the wire."""
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(data)
        answer = b""
        while b"\r\n\r\n" not in answer and (piece := connection.recv(65536)):
            answer += piece
    return answer


@pytest.mark.parametrize(
    "path",
    [
        "../../../../etc/passwd",
        "..%2f..%2f..%2fmanifest.json",
        "%2e%2e/manifest.json",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "sub/../../manifest.json",
        "sub%5c..%5ca.txt",
        "sub/a.txt%00.png",
        "%ff%fe",
        "manifest.json",
    ],
)
def test_no_name_leads_to_another_file(site: Site, path: str) -> None:
    with site.client("anna") as anna:
        run = (anna.runs(RunFilter(state="succeeded"), limit=1).runs or (anna.run(own(LEAVES), timeout=100),))[0]
    head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {site.tokens['anna']}\r\nConnection: close\r\n\r\n"
    answer = raw(site.one.port, f"GET /api/v1/runs/{run.run_id}/artifacts/{path} HTTP/1.1\r\n{head}".encode())
    assert answer.startswith(b"HTTP/1.1 404 "), answer
    assert b"root:" not in answer


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET http://evil.example/healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ],
)
def test_what_is_no_request_of_ours_is_refused_and_the_next_one_is_served(site: Site, data: bytes) -> None:
    try:
        answer = raw(site.one.port, data)
    except ConnectionError:
        answer = b"HTTP/1.1 400 dropped"
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), answer[:200]
    with site.client("anna") as anna:
        assert anna.health().you.name == "anna"


def test_a_taken_port_is_told_in_one_line(site: Site, tmp_path: Path) -> None:
    ended = subprocess.run(
        arguments(tmp_path, settings(), "--port", str(site.one.port)),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 2
    assert "choose another --port" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "example.org", "", "127.0.0.1.example.org"])
def test_beyond_this_machine_it_wants_tls(tmp_path: Path, host: str) -> None:
    (tmp_path / "config.yml").write_text("{}")
    with pytest.raises(InvalidRequestError, match="tls_certificate"):
        serve(host=host, port=0, config=tmp_path / "config.yml")


def test_the_client_says_what_is_wrong(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotIdentifiedError, match="OSPREY_EXECUTOR_TOKEN"):
        Client(site.one.url)
    with pytest.raises(InvalidRequestError, match="in the clear"):
        Client("http://example.org", "token")
    with pytest.raises(InvalidRequestError, match="no address"):
        Client("ftp://127.0.0.1", "token")
    with Client(site.one.url, "nobody's") as client, pytest.raises(NotIdentifiedError, match="nobody's token"):
        client.health()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    with Client(f"http://127.0.0.1:{free}", "token") as client:
        with pytest.raises(ServiceUnreachableError, match="osprey-executor serve"):
            client.health()
        with pytest.raises(ServiceUnreachableError):
            client.wait("run")
    monkeypatch.setenv("OSPREY_EXECUTOR_URL", site.other.url)
    monkeypatch.setenv("OSPREY_EXECUTOR_TOKEN", site.tokens["ben"])
    with Client() as ben:
        assert ben.health().you.name == "ben"
        assert ben.stop_writes("a test").stopped
        assert "ben" in str(ben.writes().reason)
        assert not ben.allow_writes().stopped
        with pytest.raises(RunNotFoundError):
            ben.summary("nothing")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of this machine's loopback that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = tmp_path / "service.pem", tmp_path / "service.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def test_told_to_end_it_ends_what_goes_on_and_keeps_what_waits(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    home = tmp_path / "other"
    tls = {"tls_certificate": "service.pem", "tls_key": "service.key"}
    with serving(home, tmp_path, settings(serve=tls), "--host", "0.0.0.0") as served:
        token = served.said[2].removeprefix("Token of this process: ")
        url = f"https://127.0.0.1:{served.port}"
        assert served.url.startswith("https://")
        with Client(url, token) as untrusting, pytest.raises(ServiceUnreachableError, match="CERTIFICATE_VERIFY"):
            untrusting.health()
        with Client(url, token, ca=certificate[0]) as owner:
            waits = owner.run(own(WRITE), timeout=100)
            run = owner.submit(own(SLOW))
            for event in owner.events(run.run_id):
                if event.kind == "output":
                    break
            # A stream is open while it is told to end.
            events = owner.events(waits.run_id)
            next(events)
            assert served.end(signal.SIGTERM) == 0
    with serving(home, tmp_path, settings()) as served:
        assert served.process.stderr
        link = served.process.stderr.readline().removeprefix("Sign in, once: ").strip()
        with httpx.Client(follow_redirects=True) as browser:
            assert "<h1>Approvals</h1>" in browser.get(link).text
        assert httpx.get(link).status_code == 401
        with Client(served.url, served.said[2].removeprefix("Token of this process: ")) as owner:
            assert owner.result(run.run_id).status is RunStatus.CANCELLED
            card = owner.card(waits.run_id)
            owner.decide(card.run_id, Approve(card.digest))
            assert owner.wait(card.run_id, timeout=100).status is RunStatus.SUCCEEDED
        assert served.end(signal.SIGINT) == 0
