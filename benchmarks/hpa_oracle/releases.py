"""What 1.36 does and later releases do not, in one place. The first two are in the recordings, the others
were found by reading.

- Two HPAs on the same pods: 1.36 names all of them ("controlled by multiple HPAs: [a b]"), later releases
  say "more than one HPA (e.g. [a b])".
- AverageValue of External and Object metrics at 0 replicas divides by zero: the status shows the smallest
  int64 in milli, `-9223372036854775808m`; later releases show 0 (kubernetes/kubernetes#140956).
- Pods that have Succeeded are as alive as any: missing, or counted with what they report. Later releases
  leave them out as they do Failed ones (kubernetes/kubernetes#141302).
- A replica count that no int32 holds becomes the smallest int32 (down to the minimum), but for External
  metrics' AverageValue (since 1.34, #127050) and for Value of Object and External above 0 replicas (since
  1.35, #126979), where it is the largest. Later releases take the largest everywhere (#141397).
- Errors of Object metrics have their words in the wrong order ("unable to get metric m: Service on ns
  name/error"); later releases have them in the right one (#139029).
"""

IGNORED_PHASES = frozenset({"Failed"})


def ambiguous(selector: str, autoscalers: list[str]) -> str:
    """The message where several HPAs select the same pods; their order is chance (a Go map's)."""
    return f"pods by selector {selector} are controlled by multiple HPAs: [{' '.join(autoscalers)}]"


def object_error(metric: str, kind: str, namespace: str, name: str, error: str) -> str:
    """What is told where an Object metric cannot be had."""
    return f"unable to get metric {metric}: {kind} on {namespace} {name}/{error}"
