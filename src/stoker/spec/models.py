"""The file's fields. pydantic lives here: it parses and describes them; `loader` turns them into nouns.

The descriptions below are the reference page and the JSON Schema; keep them in users' words.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from stoker.spec.cluster_models import KubernetesFile
from stoker.spec.fields import (
    BodyField,
    KeyField,
    MemoryField,
    Number,
    PromiseField,
    RangeField,
    Revision,
    SecondsField,
    SourceField,
    Whole,
)
from stoker.spec.nouns import Demo
from stoker.spec.patterns import Hosts, Named, Origin, Served
from stoker.spec.scaling_models import ScalingFile
from stoker.spec.strict import NAME, Port, Strict
from stoker.units import Bytes, Range, Seconds


class ModelFile(Strict):
    """Which weights."""

    source: SourceField = Field(
        Demo("smollm2-135m-instruct"),
        description="A folder, `hf://org/repo[@rev]`, `gs://bucket/path`, `s3://bucket/path` or `demo:name`.",
    )
    revision: Revision | None = Field(None, description="Branch, tag or commit of a hub repository.")
    served_name: Served | None = Field(
        None, description="The name that clients ask for. Default: the last part of the source."
    )
    token: KeyField | None = Field(
        None, description="Hub token for gated models, as a reference: `env:HF_TOKEN`."
    )
    adapters: dict[Served, SourceField] = Field(
        default_factory=dict, description="LoRA adapters by the name they are served under: `{name: source}`."
    )


class HardwareFile(Strict):
    """What a replica runs on."""

    gpu: str | None = Field(
        None, description="A GPU's name, such as `l4` or `h100-80gb`, or `cpu`.", pattern=r"^[A-Za-z0-9-]+$"
    )
    count: Annotated[Whole, Field(ge=1, le=1024)] | None = Field(
        None, description="GPUs a replica. Default: the plan chooses."
    )
    machine: Named | None = Field(None, description="A machine type, such as `a3-highgpu-8g`.")
    price: Annotated[Number, Field(ge=0, le=1_000_000)] | None = Field(
        None,
        description="Dollars an hour for one GPU, over the catalog's. Default: the catalog's, if it has one.",
    )


class ObjectivesFile(Strict):
    """What is promised to users."""

    ttft: PromiseField | None = Field(None, description="Time to first token.")
    itl: PromiseField | None = Field(None, description="Inter-token latency.")


class EndpointFile(Strict):
    """The one URL in front of the replicas."""

    host: Hosts = Field(
        "127.0.0.1",
        description="Address to bind, or a list of them: of IPv4 or IPv6, or a host's name. `0.0.0.0` is all "
        "of IPv4, "
        "`::` all of IPv6. Anything but loopback needs an `api_key`.",
    )
    port: Port = Field(8000, description="Port of the endpoint.")
    api_key: KeyField | None = Field(
        None,
        description="The key that clients must send, as a reference: `env:NAME`, `file:PATH` or "
        "`secret:NAME/KEY`.",
    )
    queue_timeout: SecondsField = Field(
        Seconds(30), description="How long a request waits while no replica is ready."
    )
    max_body: BodyField = Field(
        Bytes(256 * 1024**2),
        description="The longest request body; a longer one gets 413. At least `1KiB`, at most `16GiB`.",
    )
    cors: list[Origin] = Field(
        default_factory=list,
        description="Origins whose web pages may call the endpoint, such as `https://app.example.com`, or "
        "`*`.",
    )
    page: bool = Field(True, description="Whether the web page with the chat runs beside the endpoint.")
    page_port: Port | None = Field(
        None, description="Port of the web page. Default: the endpoint's port + 1."
    )


class SpecFile(Strict):
    """One fleet."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")] | None = Field(
        None,
        description="Name of the fleet: lower-case letters, digits and dashes, 40 at most. Default: made "
        "from the model.",
    )
    model: Annotated[ModelFile, BeforeValidator(lambda v: {"source": v} if isinstance(v, str) else v)] = (
        Field(
            default_factory=lambda: ModelFile(),
            description="Which weights: a source, or `{source, revision, served_name, token, adapters}`.",
        )
    )
    hardware: Annotated[HardwareFile, BeforeValidator(lambda v: short_hardware(v))] = Field(
        default_factory=lambda: HardwareFile(),
        description="What a replica runs on: `l4`, `l4:4`, `cpu`, or `{gpu, count, machine}`. On this "
        "machine: what is here.",
    )
    strategy: Literal["single-gpu", "tensor-parallel", "multi-node"] | None = Field(
        None, description="Pins how one replica spreads over GPUs. Default: the smallest that fits."
    )
    engine: dict[str, Any] = Field(
        default_factory=dict,
        description="`version`, `image`, `env`, `kind`, and every option of `vllm serve` under its own name.",
    )
    replicas: RangeField = Field(
        Range(1, 1), description="How many replicas: `2`, or a range such as `1..5` that `scaling` moves in."
    )
    scaling: ScalingFile | None = Field(None, description="When to have more or fewer replicas.")
    slo: ObjectivesFile = Field(
        default_factory=lambda: ObjectivesFile(), description="Service level objectives: `ttft`, `itl`."
    )
    endpoint: EndpointFile = Field(
        default_factory=lambda: EndpointFile(), description="The one URL in front of the replicas."
    )
    target: Literal["local", "kubernetes"] = Field("local", description="Where it runs.")
    drain_timeout: SecondsField = Field(
        Seconds(300), description="How long a leaving replica may finish its requests."
    )
    stall_timeout: SecondsField = Field(
        Seconds(180),
        description="A replica is restarted on which requests wait while nothing moves for so long. More "
        "than its"
        " longest step takes: `max-num-batched-tokens` prompt tokens.",
    )
    memory: MemoryField | None = Field(
        None,
        description="Memory for the KV cache of one replica on a CPU. Default: chosen from what is free.",
    )
    kubernetes: KubernetesFile = Field(
        default_factory=lambda: KubernetesFile(),
        description="What only a cluster knows; checked and unused elsewhere.",
    )


def short_hardware(value: Any) -> Any:
    """`l4:2` as the table that it is short for; anything else as it is. Raises: ValueError."""
    if not isinstance(value, str):
        return value
    gpu, colon, count = value.partition(":")
    if colon and not count.isdigit():
        raise ValueError(
            f"{value!r} is no hardware: expected a name such as l4, or a name and a number such as l4:4"
        )
    return {"gpu": gpu} | ({"count": int(count)} if colon else {})
