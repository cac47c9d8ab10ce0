"""How a fleet is written for a cluster: `manifests(plan)`, in the order in which they are applied."""

from stoker.planner.plan import Plan
from stoker.render.manifests.capacity import compute_class
from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.choosing import choose
from stoker.render.manifests.configmap import carried, scripts
from stoker.render.manifests.gateway_api import gateway_api
from stoker.render.manifests.identity import service_account
from stoker.render.manifests.limits import CpuLimits, limited
from stoker.render.manifests.manifest import Manifest
from stoker.render.manifests.monitoring import monitoring
from stoker.render.manifests.network import network_policies
from stoker.render.manifests.scaler import scaler
from stoker.render.manifests.service import service
from stoker.render.manifests.stoker_pods import gateway, page
from stoker.render.manifests.weights import weights_objects
from stoker.render.manifests.workload import disruption_budget, workload
from stoker.spec.places import placed


def manifests(plan: Plan) -> tuple[Manifest, ...]:
    """Everything that the plan needs in a cluster, but its Secret, whose values are in no file.

    Raises: UsageError, for a plan that a cluster cannot run.
    """
    cluster = choose(plan)
    with placed(plan.spec):
        return limited(_objects(cluster), CpuLimits(always=cluster.ask.cpu_limit))


def _objects(cluster: Cluster) -> tuple[Manifest, ...]:
    return (
        *service_account(cluster),
        *compute_class(cluster),
        *weights_objects(cluster),
        *scripts(cluster),
        *carried(cluster),
        *network_policies(cluster),
        service(cluster),
        workload(cluster),
        *gateway(cluster),
        *gateway_api(cluster),
        *page(cluster),
        disruption_budget(cluster),
        *monitoring(cluster),
        *scaler(cluster),
    )


__all__ = ["CpuLimits", "Manifest", "choose", "limited", "manifests"]
