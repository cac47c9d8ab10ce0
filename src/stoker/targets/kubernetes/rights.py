"""What `up` must be allowed, asked all at once: a SelfSubjectAccessReview each, as authorizers other than
RBAC list no rules."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from stoker.advise.cluster_facts import Denied
from stoker.targets.kubernetes.client import Api
from stoker.targets.kubernetes.kinds import RESOURCES

AT_ONCE = 8
WRITTEN = ("create", "patch", "get")  # an apply of something new is a creation, too
READ = (("list", "Pod"), ("list", "Deployment"))


def denied(api: Api, namespace: str, kinds: Iterable[str]) -> tuple[Denied, ...]:
    """What this user may not do of all that is needed for objects of these kinds, in the order of the
    kinds."""
    asked = [(verb, kind) for kind in kinds for verb in WRITTEN]
    asked += [one for one in READ if one not in asked]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda one: api.allowed(one[0], one[1], namespace), asked))
    return tuple(
        Denied(verb, RESOURCES[kind].group, RESOURCES[kind].plural, not RESOURCES[kind].namespaced)
        for (verb, kind), allowed in zip(asked, answers, strict=True)
        if not allowed
    )
