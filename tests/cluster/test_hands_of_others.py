"""What others own, forbid or refuse: nothing is taken, nothing is half-applied, and every refusal says what
to do."""

import json

import pytest
import yaml

from stoker.targets.kubernetes.kinds import RESOURCES
from tests.cluster.conftest import Place, as_user
from tests.golden.cases import CASES
from tests.support.manifests import rendered


def test_a_field_in_another_hand_is_a_conflict_that_names_the_owner(place: Place) -> None:
    place.up()
    patch = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop"},
        "spec": {"progressDeadlineSeconds": 77},
    }
    place.kubectl.ok(
        "apply",
        "--server-side",
        "--validate=false",
        "--force-conflicts",
        "--field-manager=acme-controller",
        "-f",
        "-",
        stdin=json.dumps(patch),
    )
    ran = place.ok("up", "--dry-run")
    assert "progressDeadlineSeconds: 77 -> " in ran.out
    assert "others have set" not in ran.err
    ran = place("up")
    assert ran.code == 2
    assert "acme-controller" in ran.err
    assert "progressDeadlineSeconds" in ran.err
    assert "--force-conflicts" in ran.err
    place.up("--force-conflicts")
    assert place.kubectl.get("deployment", "shop")["spec"]["progressDeadlineSeconds"] != 77


def test_what_others_added_stays(place: Place) -> None:
    place.up()
    place.kubectl.ok("annotate", "deployment", "shop", "acme/note=keep")
    place.kubectl.ok("label", "service", "shop", "acme=keep")
    place.kubectl.ok(
        "patch", "service", "shop", "--type=merge", "-p", '{"spec": {"sessionAffinity": "ClientIP"}}'
    )
    ran = place.ok("up", "--dry-run")
    assert ran.out == "nothing to do\n"
    assert "spec.sessionAffinity (kubectl" in ran.err
    place.write(engine={"max-model-len": "8K"})
    place.up()
    assert place.kubectl.get("deployment", "shop")["metadata"]["annotations"]["acme/note"] == "keep"
    service = place.kubectl.get("service", "shop")
    assert service["metadata"]["labels"]["acme"] == "keep"
    assert service["spec"]["sessionAffinity"] == "ClientIP"


def test_a_name_that_is_taken_is_left_alone(place: Place) -> None:
    place.kubectl.space()
    labels = {"app": "theirs"}
    theirs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "c", "image": "busybox"}]},
            },
        },
    }
    place.kubectl.create(theirs)
    ran = place("up")
    assert ran.code == 2
    assert "a Deployment named shop is there already" in ran.err
    assert place.marks() == {}, "nothing was applied"
    place("down")
    assert place.kubectl.get("deployment", "shop")["spec"]["selector"]["matchLabels"] == labels


def test_keys_are_in_a_secret_and_nowhere_else(place: Place) -> None:
    place.write(endpoint={"api_key": "env:SHOP_KEY"})
    ran = place.up(SHOP_KEY="s3cret-value")
    assert "s3cret-value" not in ran.out + ran.err
    assert place.kubectl.get("secret", "shop-keys")["data"] == {"api-key": "czNjcmV0LXZhbHVl"}
    everything = place.kubectl.ok(
        "get", "deployments,replicasets,pods,services,configmaps,controllerrevisions", "-o", "yaml"
    )
    assert "s3cret-value" not in everything
    assert "czNjcmV0LXZhbHVl" not in everything


def test_a_verb_that_is_forbidden_names_the_rule(place: Place, real: None) -> None:
    place.kubectl.space()
    look = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
    make = {"apiGroups": [""], "resources": ["services", "configmaps", "serviceaccounts"], "verbs": ["*"]}
    config = as_user(place, [look, make])
    ran = place("up", KUBECONFIG=str(config))
    assert ran.code == 2
    (said,) = [line for line in ran.err.splitlines() if line.startswith("error: you may not create ")]
    assert {"deployments", "networkpolicies"} <= set(said.replace(",", "").split())
    assert "services" not in said
    assert 'apiGroups: ["apps"], resources: ["deployments"]' in ran.err
    assert 'apiGroups: ["networking.k8s.io"], resources: ["networkpolicies"]' in ran.err
    assert place.marks() == {}, "nothing was applied"


def test_rights_in_one_namespace_are_enough(place: Place, real: None) -> None:
    place.kubectl.space()
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    config = str(as_user(place, [everything]))
    assert "1 of 1 replicas ready" in place.up(KUBECONFIG=config).out
    assert place.ok("up", "--dry-run", KUBECONFIG=config).out == "nothing to do\n"
    assert "nothing is wrong" in place.ok("why", KUBECONFIG=config).out
    place.ok("down", KUBECONFIG=config)


def test_a_token_that_is_not_taken(place: Place, real: None) -> None:
    config = yaml.safe_load(place.kubectl.ok("config", "view", "--raw", "--minify", "--flatten"))
    config["users"][0]["user"] = {"token": "expired"}
    path = place.stoker.home / "expired"
    path.write_text(yaml.safe_dump(config))
    ran = place("up", KUBECONFIG=str(path))
    assert ran.code == 2
    assert "does not take these credentials" in ran.err


def test_pods_pass_pod_security_restricted(place: Place, real: None) -> None:
    place.kubectl.space()
    place.kubectl.ok(
        "label", "namespace", place.kubectl.namespace, "pod-security.kubernetes.io/enforce=restricted"
    )
    assert "1 of 1 replicas ready" in place.up().out


def test_a_policy_that_refuses_is_quoted(place: Place, real: None) -> None:
    """A ValidatingAdmissionPolicy refuses as a missing right does, with 403, and is something else."""
    name = place.kubectl.namespace
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["deployments"],
    }
    where = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
    place.kubectl.create(
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [{"expression": "false", "message": "no GPUs on Mondays"}],
            },
        }
    )
    try:
        place.kubectl.create(
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingAdmissionPolicyBinding",
                "metadata": {"name": name},
                "spec": {"policyName": name, "validationActions": ["Deny"], "matchResources": where},
            }
        )
        place.kubectl.space()
        import time

        deadline = time.monotonic() + 30
        while True:  # a policy takes a moment to be in force
            ran = place("up", "--timeout", "5s")
            if "no GPUs on Mondays" in ran.err or time.monotonic() > deadline:
                break
            place("down")
        assert ran.code == 2
        assert "Deployment/shop is not admitted" in ran.err
        assert "no GPUs on Mondays" in ran.err
        assert "a Role with" not in ran.err
    finally:
        place.kubectl.run("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", name)


@pytest.mark.parametrize("case", sorted(CASES))
def test_the_api_server_admits_every_golden_manifest(place: Place, real: None, case: str) -> None:
    """A dry run on the server: its schemas, its defaults and its CEL rules, under strict field validation."""
    space, kinds = place.kubectl.namespace, set(place.kubectl.ok("api-resources", "-o", "name").split())
    place.kubectl.space()
    text, config = CASES[case]
    spec = yaml.safe_load(text)
    spec["kubernetes"] = {**spec.get("kubernetes", {}), "namespace": space}
    tried = 0
    for one in rendered(yaml.safe_dump(spec), config):
        resource = RESOURCES[one.kind]
        if f"{resource.plural}.{resource.group}".rstrip(".") not in kinds:
            continue  # its definition is not installed there
        done = place.kubectl.run(
            "apply",
            "--server-side",
            "--dry-run=server",
            "--validate=strict",
            "--field-manager=stoker",
            "-f",
            "-",
            stdin=one.text(),
        )
        assert done.returncode == 0, f"{one.kind} {one.name}: {done.stderr}"
        tried += 1
    assert tried >= 4
