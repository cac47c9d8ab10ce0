"""`stoker why --log`: a log that somebody hands over, explained without a fleet and without a spec."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.deaths import LOGS, death

from stoker.advise.why.reported import reported
from stoker.cli.why import command
from stoker.errors import UsageError
from stoker.findings import Finding

OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.50 GiB."
GONE = "ncclRemoteError: A call failed possibly due to a network error or a remote process exiting."
LISTED = """\
LAST SEEN   TYPE      REASON             OBJECT        MESSAGE
2m10s       Warning   FailedScheduling   pod/vllm-0    0/3 nodes are available: 3 Insufficient nvidia.com/gpu.
"""
DESCRIBED = """\
Events:
  Type     Reason   Age                 From     Message
  ----     ------   ----                ----     -------
  Warning  Failed   8s (x2 over 20s)    kubelet  Failed to pull image "r.example/x": not found
"""
EVENT = {
    "reason": "FailedScheduling",
    "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
    "involvedObject": {"kind": "Pod", "name": "vllm-0"},
}


def pod(**status: object) -> str:
    """`kubectl get pod -o json`."""
    return json.dumps({"kind": "Pod", "metadata": {"name": "vllm-0"}, "status": status}, indent=1)


NONE = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
OOM_KILLED = {"lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}
NO_SECRET = {
    "state": {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "a" not found'}}
}


def why(*argv: str, said: str | bytes = "") -> Result:
    return CliRunner().invoke(command, ["--log", *argv], input=said)


def of(text: str) -> tuple[Finding, ...]:
    return reported(text.splitlines(), "x.log")


def test_a_file_as_json_is_a_list_the_likeliest_first(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text(f"FooError: odd\nTraceback (most recent call last):\n{GONE}\n{OOM}\n")
    ran = why(str(path), "-o", "json")
    assert ran.exit_code == 0
    found = json.loads(ran.output)
    assert [one["rule"] for one in found] == ["engine-gpu-memory", "engine-error", "engine-rank-gone"]
    assert [one["severity"] for one in found] == ["error", "note", "note"]
    assert found[0]["at"] == f"{path}:4"
    assert found[0]["why"].startswith(OOM)
    assert set(found[0]) == {"what", "why", "fix", "at", "severity", "rule"}


def test_the_standard_input_as_text() -> None:
    ran = why("-", said=death(OOM))
    assert ran.exit_code == 0
    lines = ran.output.splitlines()
    assert lines[0] == "stdin:1"
    assert lines[1].startswith("  cause  the GPU is out of memory: 1.50 GiB could not be had")
    assert lines[2] == f"  seen   {OOM}"
    assert lines[-1] == "  rule   engine-gpu-memory"


def test_where_nothing_fits_the_first_error_is_told() -> None:
    (found,) = of("Traceback (most recent call last):\nFooError: the moon is full\nBarError: later\n")[:1]
    assert found.what == "no cause known; the first error is: FooError: the moon is full"
    assert (found.rule, found.severity) == ("engine-error", "error")


@pytest.mark.parametrize("text", ["", "\n\n", "hello\n", "INFO:     Application startup complete.\n"])
def test_where_there_is_no_error_that_is_told(text: str) -> None:
    (found,) = of(text)
    assert found.what == "no cause known: the log tells of no error"
    assert found.fix


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (LISTED, "why-gpu-taken"),
        (DESCRIBED, "why-image-missing"),
        (json.dumps({"items": [EVENT]}, indent=1), "why-gpu-taken"),
        (json.dumps([EVENT], indent=1), "why-gpu-taken"),
        (pod(containerStatuses=[OOM_KILLED]), "why-host-memory"),
        (pod(containerStatuses=[NO_SECRET]), "why-secret-missing"),
        (pod(conditions=[{"type": "PodScheduled", "status": "False", "message": NONE}]), "why-gpu-taken"),
    ],
)
def test_events(text: str, rule: str) -> None:
    assert of(text)[0].rule == rule


def test_events_stand_beside_a_log() -> None:
    assert [one.rule for one in of(f"{OOM}\n{LISTED}")] == ["engine-gpu-memory", "why-gpu-taken"]
    assert [one.rule for one in of(f"{LISTED}FooError: odd\n")] == ["why-gpu-taken", "engine-error"]


@pytest.mark.parametrize(
    "text", ["{\n", "[\n]\n", '{\n"items": 3}\n', '{\n"items": [1, {"reason": 2, "status": 3}]}\n']
)
def test_json_that_holds_no_events_is_read_as_a_log(text: str) -> None:
    assert of(f"{text}{OOM}\n")[0].rule == "engine-gpu-memory"


def test_what_powershell_has_redirected(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(f"{OOM}\r\n".encode("utf-16"))
    assert "engine-gpu-memory" in why(str(path)).output


def test_bytes_that_are_no_text() -> None:
    assert "engine-gpu-memory" in why("-", said=b"\x00\x80 binary\n\x80" + f"\n{OOM}\n".encode()).output


def test_a_real_log() -> None:
    ran = why(str(LOGS / "vllm-0.32.0-cpu-heads.log"), "-o", "json")
    assert json.loads(ran.output)[0]["rule"] == "engine-heads"


def test_sarif() -> None:
    ran = why("-", "-o", "sarif", said=f"{OOM}\n")
    assert json.loads(ran.output)["runs"][0]["results"][0]["ruleId"] == "engine-gpu-memory"


@pytest.mark.parametrize(
    ("rule", "argv"),
    [
        ("why-log-file", ("nothing-of-that-name",)),
        ("why-log-file", (".",)),
        ("why-log", ("-", "--name", "shop")),
        ("why-log", ("-", "-n", "ml")),
    ],
)
def test_your_mistake(rule: str, argv: tuple[str, ...]) -> None:
    found = why(*argv).exception
    assert isinstance(found, UsageError)
    assert (found.exit_code, found.finding.rule) == (2, rule)
