"""Endpoints that the configuration opens to code: exact hosts and ports, or an error that says what to write."""

from __future__ import annotations

import pytest
from tests.config.conftest import Load

from osprey_executor.config import config_from
from osprey_executor.errors import ConfigurationError
from osprey_executor.models import Endpoint


def test_nothing_is_open_by_default() -> None:
    assert config_from({}).execution.network == ()


def test_endpoints_by_name_and_number(load: Load) -> None:
    text = 'execution: {network: ["Archiver.lab.gov:80", 10.0.0.5:5432, "[0::1]:9000", "archiver.lab.gov:80"]}'
    assert load(text).execution.network == ("archiver.lab.gov:80", "10.0.0.5:5432", "[::1]:9000")


def test_a_variable_holds_several(load: Load) -> None:
    config = load("execution: {network: '${OPEN}'}", OPEN="archiver.lab.gov:80, 10.0.0.5:5432")
    assert config.execution.network == ("archiver.lab.gov:80", "10.0.0.5:5432")


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("archiver.lab.gov", "must be host:port with a port"),
        ("archiver.lab.gov:", "must be host:port with a port"),
        ("archiver.lab.gov:http", "must be host:port with a port"),
        ("archiver.lab.gov:0", "must be host:port with a port"),
        ("archiver.lab.gov:65536", "must be host:port with a port"),
        ("archiver.lab.gov:+80", "must be host:port with a port"),
        (":80", "must be host:port with a port"),
        ("http://archiver.lab.gov:80", "without http://"),
        ("10.0.0.0/8:80", "without http:// or a path"),
        ("*.lab.gov:80", "no wildcards"),
        ("archiver.lab.gov:*", "must be host:port with a port"),
        ("0.0.0.0:80", "must be the address of one host"),
        ("[::]:80", "must be the address of one host"),
        ("224.0.0.1:80", "must be the address of one host"),
        ("255.255.255.255:80", "must be the address of one host"),
        ("::1:9000", "in brackets"),
        ("[::1:9000", "in brackets"),
        ("[archiver]:80", "must have a complete IP address"),
        ("[fe80::1%eth0]:80", "without a zone"),
        ("[::ffff:10.0.0.5]:80", "must be written as the IPv4 address 10.0.0.5"),
        ("127.1:80", "all four numbers"),
        ("0x7f000001:80", "all four numbers"),
        ("archiver..gov:80", "must have a host of letters"),
        ("-archiver:80", "must have a host of letters"),
        ("archiver\n127.0.0.1 other:80", "must have a host of letters"),
        ("ärchiv.lab.gov:80", "punycode"),
        (8080, "should be a valid string"),
    ],
)
def test_what_is_no_endpoint_is_told(endpoint: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=r"execution\.network\.0") as caught:
        config_from({"execution": {"network": [endpoint]}})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("isolation", "words"), [("none", "nothing keeps programs from any network"), ("restricted", "no network at all")]
)
def test_only_a_jail_can_keep_to_a_list(isolation: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"execution\.network must be empty.*{words}.*isolation to full"):
        config_from({"execution": {"network": ["archiver.lab.gov:80"], "isolation": isolation}})
    assert config_from({"execution": {"network": [], "isolation": isolation}}).execution.isolation == isolation


def test_one_place_inside_cannot_stand_for_two_outside() -> None:
    with pytest.raises(ConfigurationError, match=r"localhost:80 and 127\.0\.0\.1:80 once"):
        config_from({"execution": {"network": ["localhost:80", "127.0.0.1:80"]}})


def test_the_list_is_short() -> None:
    with pytest.raises(ConfigurationError, match="32"):
        config_from({"execution": {"network": [f"host{number}:80" for number in range(33)]}})


@pytest.mark.parametrize("text", ["archiver.lab.gov:80", "10.0.0.5:5432", "[fd00::5]:9000"])
def test_an_endpoint_is_written_as_it_is_read(text: str) -> None:
    assert str(Endpoint.parse(text)) == text
    assert Endpoint.parse(text).literal is (text[0] != "a")
