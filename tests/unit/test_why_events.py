"""What events say of a container and its volumes: each of its own subject, and nothing else."""

import pytest

from stoker.advise.why.reported import reported
from stoker.advise.why.rule import explained
from stoker.fleet.state import Evidence

PULL = 'Failed to pull image "r.example/x": '
MOUNT = 'MountVolume.SetUp failed for volume "models" : '
START = "Error: failed to create containerd task: failed to create shim task: OCI runtime create failed: "
UNLISTED = "not found in the list of registered CSI drivers"
EVENTS = [
    ("Failed", PULL + "not found", "why-image-missing"),
    ("Failed", PULL + "failed to extract layer: write /x: no space left on device", "why-image-space"),
    ("Failed", PULL + "dial tcp: lookup r.example: no such host", "why-image-network"),
    ("Failed", PULL + "dial tcp 10.1.1.1:443: i/o timeout", "why-image-network"),
    ("Failed", PULL + "toomanyrequests: You have reached your limit", "why-image-rate"),
    ("Failed", PULL + "403 Forbidden", "why-image-credentials"),
    ("Failed", PULL + "no match for platform in manifest: not found", "why-image-platform"),
    ("Failed", START + 'exec: "vllm": executable file not found in $PATH', "why-container-command"),
    ("Failed", START + "nvidia-container-cli: initialization error: nvml error", "why-container-gpu"),
    ("Failed", START + "the moon is full", "why-container-start"),
    ("Failed", "Error: failed to create subPath directory for volumeMount snapshots", "why-container-start"),
    ("Failed", "Error: container has runAsNonRoot and image will run as root", "why-container-root"),
    ("OOMKilling", "Memory cgroup out of memory: Killed process 123 (VLLM)", "why-host-memory"),
    ("FailedMount", MOUNT + 'secret "hf-token" not found', "why-secret-missing"),
    ("FailedMount", MOUNT + 'configmap "chat" not found', "why-configmap-missing"),
    ("FailedMount", MOUNT + "x does not have storage.objects.list access", "why-mount-denied"),
    ("FailedMount", MOUNT + "failed to get GCS bucket: PermissionDenied", "why-mount-denied"),
    ("FailedMount", MOUNT + f"driver name a {UNLISTED}", "why-mount-driver"),
    ("FailedMount", MOUNT + "mount.nfs: access denied by server while mounting", "why-mount-server"),
    ("FailedMount", MOUNT + "permission denied", "why-attach"),
    ("FailedAttachVolume", "The disk resource is already being used by another instance", "why-multi-attach"),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "text", "rule"), EVENTS)
def test_an_event_and_its_cause(reason: str, text: str, rule: str) -> None:
    piece = Evidence("event", "Pod/shop-1", reason, text)
    found = explained(piece, (piece,))
    assert found is not None
    assert found[1].rule == rule
    assert found[1].fix


def test_events_of_which_no_rule_knows() -> None:
    (found,) = reported(["9s  Warning  Unhealthy  pod/a  Startup probe failed: connection refused"], "x")
    assert found.what.startswith("no cause known; the last event is: Pod/a: Unhealthy: Startup probe failed")
    assert found.at == "x:1"
