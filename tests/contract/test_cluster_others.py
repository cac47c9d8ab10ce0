"""What others own of a fleet, or had first: left alone and named."""

import json

from tests.support.cluster.kinds import BY_KIND
from tests.support.user import User


def test_fields_of_others_are_theirs(user: User) -> None:
    user.ok("up")
    key = ("Deployment", "default", "shop")
    live = json.loads(json.dumps(user.cluster.store.objects[key]))
    live["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 7
    user.cluster.store.put(key, live, "kubectl-edit")
    ran = user.ok("up", "--dry-run")
    assert "terminationGracePeriodSeconds: 7 -> " in ran.out
    assert "others have set" not in ran.err, "`up` does not leave it"
    ran = user("up")
    assert ran.code == 2
    assert 'conflict with "kubectl-edit"' in ran.err
    assert ".spec.template.spec.terminationGracePeriodSeconds" in ran.err
    user.ok("up", "--force-conflicts")
    assert user.live("Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > 7


def test_what_others_put_in_is_named_and_stays(user: User) -> None:
    user.ok("up")
    for kind, change in (
        ("Deployment", lambda spec: spec["template"]["spec"].update(hostNetwork=True)),
        (
            "Deployment",
            lambda spec: spec["template"]["spec"]["containers"][0]["env"].append(
                {"name": "DEBUG", "value": "1"}
            ),
        ),
        ("Service", lambda spec: spec.update(externalIPs=["192.0.2.7"])),
    ):
        key = (kind, "default", "shop")
        live = json.loads(json.dumps(user.cluster.store.objects[key]))
        change(live["spec"])
        user.cluster.store.put(key, live, "kubectl-edit")
    ran = user.ok("up", "--dry-run")
    assert ran.out == "nothing to do\n"
    for field in (
        "spec.template.spec.hostNetwork",
        "spec.template.spec.containers[engine].env[DEBUG]",
        "spec.externalIPs",
    ):
        assert f"{field} (kubectl-edit)" in ran.err
    user.ok("up")
    assert user.live("Deployment")["spec"]["template"]["spec"]["hostNetwork"] is True


def test_a_name_that_is_taken_is_left_alone(user: User) -> None:
    user.cluster.store.create(
        BY_KIND["Deployment"],
        "default",
        {
            "metadata": {"name": "shop"},
            "spec": {"replicas": 0, "template": {"metadata": {"labels": {}}, "spec": {"containers": []}}},
        },
    )
    ran = user("up")
    assert ran.code == 2
    assert "a Deployment named shop is there already" in ran.err
    assert user.there() == {"Deployment/shop"}, "nothing was applied"
