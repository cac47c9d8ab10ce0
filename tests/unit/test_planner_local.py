"""The plan for one machine: shares, options, what fits and what does not."""

from dataclasses import replace
from typing import Any

import pytest

from stoker.errors import DoesNotFit, UsageError
from stoker.model.files import ModelFiles
from stoker.model.shape import ModelShape, read_shape
from stoker.planner.group import Group
from stoker.planner.local import plan_local
from stoker.planner.plan import Adapter, Gpu, Hardware, Plan, Share
from stoker.render.command import command, shown
from stoker.render.processes import processes
from stoker.spec import load
from stoker.units import Bytes

GIB = 1024**3
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "vocab_size": 49152,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
}
SMOL = read_shape(ModelFiles(CONFIG, {}))
EIGHT = read_shape(
    ModelFiles(CONFIG | {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 64}, {})
)
CPU = Hardware(tuple(range(8)), Bytes(64 * GIB), Bytes(60 * GIB), features=frozenset({"avx2", "avx512f"}))
TWO = replace(CPU, cores=(0, 1), memory=Bytes(24 * GIB))
L4 = Gpu(0, "NVIDIA L4", Bytes(24 * GIB))
GPUS = replace(CPU, gpus=tuple(replace(L4, index=n) for n in range(4)))


def plan(text: str = "", offer: Hardware = CPU, shape: ModelShape = SMOL, **more: Any) -> Plan:
    return plan_local(load(text, "stoker.yaml"), shape, offer, "/models/smol", **more)


@pytest.mark.parametrize(
    ("cores", "replicas", "expected"),
    [
        (2, 1, ["cores 0,1"]),
        (2, 2, ["cores 0", "cores 1"]),
        (3, 2, ["cores 0,1", "cores 2"]),
        (8, 3, ["cores 0,1,2", "cores 3,4,5", "cores 6,7"]),
        (2, 3, ["cores 0,1 (shared)"] * 3),
        (2, 0, []),
    ],
)
def test_cores_are_divided_between_replicas(cores: int, replicas: int, expected: list[str]) -> None:
    made = plan(f"replicas: {replicas}", replace(CPU, cores=tuple(range(cores))))
    assert [str(share) for share in made.shares] == expected


def test_without_rebind_running_replicas_keep_their_cores_and_new_ones_share() -> None:
    before = (Share("1", (0, 1)),)
    made = plan(offer=TWO, replicas=2, before=before, rebind=False)
    assert [str(share) for share in made.shares] == ["cores 0,1", "cores 0,1 (shared)"]
    assert "--no-rebind" in made.reasons[0]
    assert [str(s) for s in plan(offer=TWO, replicas=2, before=before).shares] == ["cores 0", "cores 1"]


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ({"avx2"}, "float32"),
        ({"avx512f"}, "float32"),
        ({"avx512f", "avx512_bf16"}, "bfloat16"),
        ({"amx_bf16"}, "bfloat16"),
    ],
)
def test_the_dtype_follows_what_the_cpu_multiplies(flags: set[str], dtype: str) -> None:
    made = plan(offer=replace(CPU, features=frozenset(flags)))
    assert made.options["dtype"] == dtype
    assert made.memory is not None
    assert made.memory.size("weights") == pytest.approx(
        134_515_008 * (2 if dtype == "bfloat16" else 4), rel=0.01
    )


def test_the_users_options_win() -> None:
    made = plan("engine: {dtype: float16, max-model-len: 2K, enforce-eager: false}")
    assert (made.options["dtype"], made.options["enforce-eager"]) == ("float16", False)
    assert "--max-model-len 2K" in shown(made) or "--max-model-len 2048" in shown(made)
    assert "--no-enforce-eager" in shown(made)


def test_threads_are_bound_and_libraries_preloaded() -> None:
    made = plan("replicas: 2", replace(TWO, preload=("/lib/a.so", "/lib/b.so")))
    lines = [command(made, share) for share in made.shares]
    assert [line.env["VLLM_CPU_OMP_THREADS_BIND"] for line in lines] == ["0", "1"]
    assert lines[0].env["LD_PRELOAD"] == "/lib/a.so:/lib/b.so"


def test_tensor_parallel_ranks_get_cores_of_their_own() -> None:
    made = plan("engine: {tensor-parallel-size: 3}")
    assert made.strategy == "tensor-parallel"
    assert command(made, made.shares[0]).env["VLLM_CPU_OMP_THREADS_BIND"] == "0,1|2,3|4,5"


def test_ranks_must_divide_the_heads() -> None:
    with pytest.raises(UsageError, match="9 attention heads") as caught:
        plan("engine:\n  tensor-parallel-size: 2\n")
    assert caught.value.finding.at.startswith("stoker.yaml:2")
    assert caught.value.finding.fix == "one of 1, 3"


@pytest.mark.parametrize(("given", "length"), [("2K", 2048), ("auto", None), (None, 8192)])
def test_the_longest_request(given: str | None, length: int | None) -> None:
    assert plan(f"engine: {{max-model-len: {given}}}" if given else "").max_model_len == length


def test_what_the_user_chose_needs_no_reason() -> None:
    assert not any(
        "bfloat16" in reason or "float32" in reason for reason in plan("engine: {dtype: auto}").reasons
    )


def test_too_little_memory_is_said_with_figures() -> None:
    with pytest.raises(DoesNotFit) as caught:
        plan("replicas: 2", replace(CPU, memory=Bytes(6 * GIB)))
    assert caught.value.exit_code == 3
    assert "2 replicas need" in str(caught.value)
    assert "this machine has 6.0 GiB" in caught.value.finding.why


def test_memory_asked_for_is_kept_and_shortens_what_a_request_may_hold() -> None:
    made = plan("memory: 64MiB")
    assert made.options["kv-cache-memory-bytes"] == 64 * 1024**2
    assert made.options["max-model-len"] < 8192
    assert made.options["max-model-len"] % 128 == 0


def test_longer_than_the_model_is_a_mistake_with_its_place() -> None:
    with pytest.raises(UsageError) as caught:
        plan("engine:\n  max-model-len: 100K\n")
    assert "stoker.yaml:2" in caught.value.finding.at


def test_replicas_take_gpus_of_their_own() -> None:
    made = plan("replicas: 2\nhardware: l4:2\n", GPUS, EIGHT)
    assert [share.gpus for share in made.shares] == [(0, 1), (2, 3)]
    assert (made.strategy, made.options["tensor-parallel-size"]) == ("tensor-parallel", 2)
    assert command(made, made.shares[1]).env["CUDA_VISIBLE_DEVICES"] == "2,3"
    assert "dtype" not in made.options
    assert made.warnings == ()


def test_more_gpus_than_are_here_do_not_fit() -> None:
    with pytest.raises(DoesNotFit) as caught:
        plan("replicas: 5", GPUS)
    assert caught.value.exit_code == 3
    assert "replicas: 4" in caught.value.finding.fix


def test_the_file_asks_for_other_hardware() -> None:
    assert "the file asks for h100" in plan("hardware: h100-80gb").warnings[0]


def test_a_model_without_a_chat_template_is_said() -> None:
    bare = replace(SMOL, has_chat_template=False)
    assert "no chat template" in plan(shape=bare).warnings[0]
    assert plan("engine: {chat-template: '{{ messages }}'}", shape=bare).warnings == ()


def test_adapters_get_room_and_the_rank_that_vllm_takes() -> None:
    made = plan(adapters={"a": Adapter("/a", 4), "b": Adapter("/b", 24)})
    assert (made.options["enable-lora"], made.options["max-loras"], made.options["max-lora-rank"]) == (
        True,
        2,
        32,
    )
    assert "--lora-modules a=/a b=/b" in shown(made)
    with pytest.raises(UsageError, match="rank 1000"):
        plan(adapters={"a": Adapter("/a", 1000)})


def test_simulated_engines_need_no_model() -> None:
    made = plan_local(load("engine: {kind: simulated}"), None, CPU, "model")
    assert made.replicas == 1
    assert "VLLM_CPU_OMP_THREADS_BIND" not in command(made, made.shares[0]).env


def test_ray_places_its_ranks_itself() -> None:
    made = plan("hardware: l4:8\nengine: {distributed-executor-backend: ray}\n", GPUS, EIGHT)
    assert made.gpus_per_replica == 8
    assert "nnodes" not in made.options
    engine = next(process for process in processes(made, "/f") if process.routed)
    assert "CUDA_VISIBLE_DEVICES" not in engine.env
    assert not any("targets.local.group" in word for word in engine.argv)


@pytest.mark.parametrize(
    ("text", "nodes", "layout", "options"),
    [
        ("hardware: cpu:2", 1, (2, 1), {"tensor-parallel-size": 2, "enforce-eager": True}),
        ("hardware: cpu:3", 1, (1, 3), {"pipeline-parallel-size": 3}),
        ("strategy: tensor-parallel", 1, (2, 1), {"tensor-parallel-size": 2}),
        ("name: x", 2, (1, 2), {"pipeline-parallel-size": 2}),
        ("hardware: cpu:4", 2, (2, 2), {"tensor-parallel-size": 2, "pipeline-parallel-size": 2}),
        ("engine: {tensor-parallel-size: 2}", 2, (2, 1), {"tensor-parallel-size": 2}),
    ],
)
def test_ranks_are_processes_on_a_cpu(
    text: str, nodes: int, layout: tuple[int, int], options: dict[str, Any]
) -> None:
    group = Group(nodes, 0, "10.0.0.1", key_file="/k") if nodes > 1 else None
    made = plan(text, shape=EIGHT, group=group)
    assert (made.tensor_parallel_size, made.pipeline_parallel_size, made.nodes) == (*layout, nodes)
    assert options.items() <= dict(made.options).items()
    if layout[1] > 1:
        assert "enforce-eager" not in made.options
        assert made.options["compilation-config"] == {"mode": 2, "backend": "eager"}
    cores = command(made, made.shares[0]).env["VLLM_CPU_OMP_THREADS_BIND"]
    assert cores.count("|") == layout[0] * layout[1] // nodes - 1


def test_what_each_node_of_a_group_runs() -> None:
    group = Group(2, 0, "10.0.0.1", key_file="/k")
    first, second = (plan(shape=EIGHT, group=replace(group, rank=rank)) for rank in (0, 1))
    assert [process.role for process in processes(first, "/f")] == ["gateway", "engine", "page"]
    assert [process.role for process in processes(second, "/f")] == ["engine"]
    lead, follow = (next(p for p in processes(made, "/f") if p.routed).argv for made in (first, second))
    assert lead[1:3] == ("-m", "stoker.targets.local.group")
    assert "--headless" not in lead
    assert "--port" in lead
    assert "--headless" in follow
    assert "--port" not in follow
    assert follow[follow.index("--node-rank") + 1] == "1"
    assert "--master-port PORT" in shown(first)


@pytest.mark.parametrize(
    ("text", "at"), [("replicas: 2", ":1:1"), ("engine: {tensor-parallel-size: 1}", ":1:10")]
)
def test_a_group_that_makes_no_sense(text: str, at: str) -> None:
    with pytest.raises(UsageError, match="2") as caught:
        plan(text, shape=EIGHT, group=Group(2, 0, "10.0.0.1", key_file="/k"))
    assert caught.value.finding.at.endswith(at)


def test_several_nodes_have_to_be_named() -> None:
    with pytest.raises(UsageError, match="needs more hosts") as caught:
        plan("strategy: multi-node", shape=EIGHT)
    assert "--nnodes 2" in caught.value.finding.fix
