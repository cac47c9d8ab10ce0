"""PlanRequest: what is to be planned for a machine, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stoker.model.shape import ModelShape
from stoker.planner.adapters import RANK, check_rank, lora_rank
from stoker.planner.checks import release_warning, template_warning
from stoker.planner.group import Group
from stoker.planner.plan import Adapter, Hardware, Plan, Share
from stoker.spec.nouns import ServeSpec


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """A spec, the model's shape, and the machine that is to serve it.

    count: replicas. before: the shares of a running fleet, kept where `rebind` is off. group: this machine's
    place, where the replica spreads over several. model_dir: where the engine finds the model.
    """

    spec: ServeSpec
    shape: ModelShape
    offer: Hardware
    model_dir: str
    count: int
    adapters: Mapping[str, Adapter] = field(default_factory=dict)
    group: Group | None = None
    rebind: bool = True
    before: tuple[Share, ...] = ()

    @property
    def most(self) -> int:
        """Replicas that the machine is shared out for: where they come and go by themselves, the most that
        there may be, so that none has to make room for another."""
        high = self.spec.replicas.high if self.spec.scales else 0
        return max(1, self.count, high)

    @property
    def options(self) -> Mapping[str, Any]:
        """The engine's options, as the spec has them."""
        return self.spec.engine.options

    def plan(
        self, shares: tuple[Share, ...], options: Mapping[str, Any], env: Mapping[str, str], **rest: Any
    ) -> Plan:
        """The plan for it: the spec's own options and variables over what was chosen."""
        return Plan(
            self.spec,
            self.shape,
            self.offer,
            self.model_dir,
            shares,
            {**options, **self.options},
            {**env, **self.spec.engine.env},
            adapters=self.adapters,
            **rest,
        )

    def warnings(self) -> tuple[str, ...]:
        """What every plan for a machine says: of the hardware that the file names, the release, the
        template."""
        asked, out = self.spec.hardware, list[str]()
        here = [gpu.name.lower() for gpu in self.offer.gpus]
        if asked.gpu and asked.gpu != "cpu" and not any(asked.gpu.split("-")[0] in name for name in here):
            out.append(f"the file asks for {asked}; this machine has {self.offer}, and that is used here")
        out += release_warning(self.spec.engine.version, self.options, self.spec.engine.env)
        return (*out, *template_warning(self.spec, self.shape))

    def lora(self) -> dict[str, Any]:
        """Room for every adapter in one batch, at the smallest rank that vLLM takes and all of them fit
        in."""
        if not self.adapters:
            return {}
        ranks = {name: adapter.rank for name, adapter in self.adapters.items()}
        check_rank(self.spec.engine.version, self.options, ranks)
        rank = lora_rank(self.spec.engine.version, ranks)
        return {"enable-lora": True, "max-loras": len(self.adapters), RANK: rank}


def engine_env() -> dict[str, str]:
    """The variables that every engine of this machine has."""
    return {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
