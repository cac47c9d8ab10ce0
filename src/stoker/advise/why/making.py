"""Why no pod is made at all, or nothing of it goes on: admission, quotas, and what somebody has stopped.

Source: plugin/pkg/admission/* (LimitRanger, ResourceQuota, Priority, PodSecurity), the controllers of
ReplicaSets, Jobs and StatefulSets, Kubernetes 1.30 to 1.36.
"""

from stoker.advise.why.rule import rules

MAKING = rules(
    (
        "pod-security",
        "FailedCreate|Failed",
        r"violates PodSecurity",
        "the namespace's Pod Security refuses the pods",
        "the sentence names the field; Stoker's pods pass `restricted`, so something else was added",
    ),
    (
        "quota-asks",
        "FailedCreate",
        r"failed quota: ([^:]+): must specify ([^ ]+)",
        "the namespace's quota {1} wants {2} in every container",
        "`stoker up` adds limits.cpu by itself where it may list the quotas; kubernetes: {cpu_limit: true} "
        "writes it in any case; for anything else, a LimitRange with a default",
    ),
    (
        "namespace-quota",
        "FailedCreate",
        r"exceeded quota: ([^,]+)",
        "the namespace's quota {1} is used up",
        "raise the ResourceQuota, or fewer replicas",
    ),
    (
        "quota-unready",
        "FailedCreate",
        r"(?:status unknown for quota|insufficient quota to match these scopes):? ?(.*)",
        "the namespace's quota cannot be counted: {1}",
        "a quota's status comes from kube-controller-manager: wait a moment; a scoped quota must allow this "
        "priority class",
    ),
    (
        "limit-range",
        "FailedCreate",
        r"((?:maximum|minimum) \S+ usage per \w+ is [^],]+[^]]*|\S+ max limit to request ratio per \w+ is "
        r"[^]]*|must be less than or equal to \S+ limit of \S+)",
        "a LimitRange of the namespace does not let the pods be: {1}",
        "`kubectl get limitrange -o yaml` shows it: raise its maximum or default, another namespace, or a "
        "smaller machine: hardware.machine",
    ),
    (
        "policy-denied",
        "FailedCreate|Failed",
        r"ValidatingAdmissionPolicy '([^']+)'.*?denied request: (.+)",
        "the admission policy {1} refuses the pods: {2}",
        "change what it objects to (kubernetes.labels, kubernetes.annotations, engine.image), or ask whoever "
        "runs it for an exception",
    ),
    (
        "priority-class",
        "FailedCreate",
        r"no PriorityClass with name (\S+) was found",
        "the priority class {1} is not there",
        "make it, or another kubernetes.priority_class",
    ),
    (
        "runtime-class",
        "FailedCreate",
        r'RuntimeClass "?([^" ]+)"? not found',
        "the runtime class {1} is not there",
        "whoever set it on the pods must make it",
    ),
    (
        "webhook-down",
        "FailedCreate|Failed",
        r'failed calling webhook "([^"]+)"',
        "the admission webhook {1} does not answer",
        "mend that webhook's own deployment: no pod can be made until it answers",
    ),
    (
        "webhook-denied",
        "FailedCreate|Failed",
        r'admission webhook "([^"]+)" denied',
        "the admission webhook {1} refuses the pods",
        "its sentence says why",
    ),
    (
        "no-service-account",
        "FailedCreate",
        r'serviceaccount "([^"]+)" not found',
        "the service account {1} is not there",
        "make it, or leave kubernetes.service_account out",
    ),
    (
        "pod-invalid",
        "FailedCreate",
        r'Pod "[^"]*" is invalid: (.+)',
        "the cluster does not take the pods as they have become: {1}",
        "something changes them on their way (a webhook, a LimitRange's default): the sentence names the "
        "field",
    ),
    (
        "create-refused",
        "FailedCreate",
        r"(?:Error creating: )?(.+)",
        "no pod can be made: {1}",
        "the sentence says who refuses it; `kubectl get events` shows more",
    ),
    (
        "paused",
        "DeploymentPaused",
        r"(.*)",
        "its rollout is paused, so that nothing of it changes",
        "`kubectl rollout resume {at}`: somebody has paused it",
        "",
        "",
        "warning",
    ),
    (
        "suspended",
        "JobSuspended",
        r"(.*)",
        "the copy of the weights is suspended",
        'kubectl patch {at} -p \'{"spec":{"suspend":false}}\': somebody, or a queue such as Kueue, holds it',
    ),
    (
        "namespace-terminating",
        "NamespaceTerminating",
        r"(.+)",
        "the namespace is being deleted: {1}",
        "nothing can be made in it: `kubectl get {at} -o yaml` shows what holds it; once it is gone, `stoker "
        "up` makes it anew",
    ),
    (
        "finalizer",
        "FinalizerHolds",
        r"(.+)",
        "it is deleted, and kept by a finalizer: {1}",
        "the finalizer's own controller takes it off: is that controller running? Where it is gone for "
        'good: kubectl patch {at} --type merge -p \'{"metadata":{"finalizers":null}}\'',
    ),
    ("service-gone", "ServiceGone", r"(.+)", "clients have no way in: {1}", "`stoker up` makes it again"),
    (
        "no-route",
        "NoRoute",
        r"(.+)",
        "the way in through the Gateway is not open: {1}",
        "a Gateway controller for its class must run (`kubectl get gatewayclass`; on GKE: "
        "--gateway-api=standard); kubernetes.gateway.class_name, or routing: service",
    ),
    (
        "configmap-missing",
        "Failed|FailedMount",
        r'configmap "([^"]+)" not found',
        "the ConfigMap {1} is not there",
        "`stoker up` makes it again",
    ),
)
