"""Where the endpoint listens: one address of the machine, all of them, a name, or several; each is found
ready and used."""

import contextlib
import json
import socket

import httpx2
import pytest
from tests.conftest import Stoker

from stoker.system.proc import own_addresses

KEY = {"Authorization": "Bearer hush"}


def bindable(host: str) -> bool:
    try:
        with contextlib.closing(
            socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        ):
            return True
    except OSError:
        return False


def needs(host: str) -> None:
    if not bindable(host):
        pytest.skip(f"this machine cannot listen on {host}")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.2", "127.0.0.2"),
        ("::1", "[::1]"),
        ("[::1]", "[::1]"),
        ("localhost", "localhost"),
        (["127.0.0.1", "::1"], "127.0.0.1"),
        ("127.0.0.2,::1", "127.0.0.2"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "[::1]"),
    ],
    ids=str,
)
def test_the_endpoint_is_ready_and_used_where_it_was_asked_to_listen(
    stoker: Stoker, host: str | list[str], url: str
) -> None:
    hosts = host if isinstance(host, list) else host.split(",")
    for one in hosts:
        needs(one.strip("[]"))
    stoker.env["FLEET_KEY"] = "hush"
    spec = stoker.spec(endpoint={"host": host, "api_key": "env:FLEET_KEY"})
    ran = stoker("up", "-d", "-f", spec, timeout=60)
    assert ran.code == 0, ran.err
    base = f"http://{url}:{stoker.port}"
    assert f"{base}/v1" in ran.out
    assert stoker.state()["endpoint"] == base
    for one in [url, *(name for name in hosts if name not in ("0.0.0.0", "::"))]:
        name = f"[{one.strip('[]')}]" if ":" in one else one
        assert (
            httpx2.get(f"http://{name}:{stoker.port}/v1/models", headers=KEY, timeout=10).status_code == 200
        )
    assert stoker("chat", "--name", "sim", "hello", "-p", "max_tokens=3").code == 0
    assert stoker("up", "-d", "-f", spec, timeout=60).code == 0, "a second one finds it as it is"


def test_an_address_of_the_network_is_found_ready(stoker: Stoker) -> None:
    outside = [one for one in own_addresses() if not one.startswith(("127.", "::1", "fe80"))]
    if not outside:
        pytest.skip("this machine has loopback alone")
    stoker.env["FLEET_KEY"] = "hush"
    spec = stoker.spec(endpoint={"host": outside[0], "api_key": "env:FLEET_KEY"})
    ran = stoker("up", "-d", "-f", spec, timeout=60)
    assert ran.code == 0, ran.err
    assert stoker("chat", "--name", "sim", "hello", "-p", "max_tokens=3").code == 0


@pytest.mark.parametrize(
    "host", ["203.0.113.7", "no-such-host.invalid", "2001:db8::7", ["127.0.0.1", "203.0.113.7"]]
)
def test_an_address_of_another_machine_is_said_before_anything_starts(
    stoker: Stoker, host: str | list[str]
) -> None:
    stoker.env["FLEET_KEY"] = "hush"
    ran = stoker("up", "-d", "-f", stoker.spec(endpoint={"host": host, "api_key": "env:FLEET_KEY"}))
    assert ran.code == 2
    assert "is no address of this machine" in ran.err
    assert "127.0.0.1" in ran.err
    assert f"{stoker.home}/sim.yaml:1:" in ran.err
    assert stoker.processes() == []


def test_another_address_that_is_not_ours_leaves_what_serves(stoker: Stoker) -> None:
    spec = stoker.spec()
    assert stoker("up", "-d", "-f", spec).code == 0
    stoker.env["FLEET_KEY"] = "hush"
    sets = ("--set", "endpoint.host=203.0.113.7", "--set", "endpoint.api_key=env:FLEET_KEY")
    ran = stoker("up", "-d", "-y", "-f", spec, *sets)
    assert (ran.code, "is no address of this machine" in ran.err) == (2, True)
    assert httpx2.get(f"{stoker.url}/v1/models", timeout=10).status_code == 200


def test_a_loopback_endpoint_answers_to_its_own_names_alone(stoker: Stoker) -> None:
    needs("127.0.0.2")
    assert stoker("up", "-d", "-f", stoker.spec(endpoint={"host": "127.0.0.2"})).code == 0
    url = f"http://127.0.0.2:{stoker.port}/v1/models"
    assert httpx2.get(url, timeout=10).status_code == 200
    assert httpx2.get(url, headers={"Host": "evil.example:80"}, timeout=10).status_code == 403


def test_a_taken_port_of_one_of_several_addresses_is_named(stoker: Stoker) -> None:
    needs("::1")
    with socket.create_server(("::1", stoker.port), family=socket.AF_INET6):
        ran = stoker("up", "-d", "-f", stoker.spec(endpoint={"host": ["127.0.0.1", "::1"]}))
    assert ran.code == 2
    assert f"port {stoker.port} is taken" in ran.err


def test_the_spec_says_several_addresses_as_a_list_or_with_commas() -> None:
    from stoker.spec import dump, load

    def read(host: object) -> str:
        spec = load(json.dumps({"endpoint": {"host": host}}))
        assert (
            load(json.dumps({"endpoint": {"host": dump(spec)["endpoint"]["host"]}})).endpoint == spec.endpoint
        )
        return spec.endpoint.host

    assert read(["127.0.0.1", "[::1]"]) == read("127.0.0.1, 0:0::1") == "127.0.0.1,::1"
