"""What `tools/vllm_static.py` reads out of sources: small ones that have each form that a release has had."""

from pathlib import Path

import pytest
import vllm_sources
import vllm_static

SOURCES = {
    "envs.py": 'environment_variables: dict[str, object] = {"VLLM_A": lambda: 1, "VLLM_B": lambda: 2}\n',
    "entrypoints/openai/api_server.py": """
router = APIRouter()
@router.get("/health")
async def health(): ...
@router.post("/v1/completions")
@with_cancellation
async def complete(): ...
@router.websocket("/v1/realtime")
async def realtime(): ...
router.add_api_route("/abort", abort, methods=["POST", "GET"])
client.get("/not/a/route")
""",
    "entrypoints/api_server.py": '@app.post("/generate")\nasync def generate(): ...\n',
    "v1/metrics/loggers.py": """
class Logger:
    def __init__(self):
        self.running = self._gauge_cls(name="vllm:num_requests_running", documentation="vllm:not_one here")
        self.tokens = Counter(name="vllm:prompt_tokens", labelnames=[])
        if self.show_hidden_metrics:
            self.old = self._gauge_cls(name="vllm:gpu_cache_usage_perc")
        if vllm_config.lora_config is not None:
            self.lora = self._gauge_cls("vllm:lora_requests_info")
        if something_new.enabled:
            self.new = self._histogram_cls(name="vllm:new_seconds")
""",
    "v1/spec_decode/metrics.py": """
class Prom:
    def __init__(self):
        names = [("vllm:spec_decode_num_drafts", "Number of drafts.")]
        self.counters = [self._counter_cls(name=name) for name, _ in names]
        self.other = self._counter_cls(name=f"vllm:spec_{name}")
""",
    "v1/kv_offload/cpu/common.py": 'class Names:\n    SKIPPED = "vllm:kv_offload_stores_skipped"\n',
    "v1/kv_offload/cpu/spec.py": "metrics = {Names.SKIPPED: OffloadingCounterMetadata(documentation='')}\n",
    "model_executor/models/registry.py": """
_TEXT_GENERATION_MODELS = {"LlamaForCausalLM": ("llama", "LlamaForCausalLM")}
_MULTIMODAL_MODELS = {"AForConditionalGeneration": ("a", "A")}
_VLLM_MODELS = {**_TEXT_GENERATION_MODELS, "NotOne": 1}
_PREVIOUSLY_SUPPORTED_MODELS = {"OldForCausalLM": "0.9.2"}
""",
    "model_executor/layers/quantization/__init__.py": """
QuantizationMethods = Literal["fp8", "odd", "child"]
def get_quantization_config(name):
    method_to_config = {"fp8": Fp8Config, "odd": OddConfig, "child": ChildConfig}
""",
    "model_executor/layers/quantization/fp8.py": """
class Fp8Config(Base):
    @classmethod
    def get_min_capability(cls): return 75
    def get_supported_act_dtypes(self): return [torch.bfloat16, torch.half]
class ChildConfig(Fp8Config):
    @classmethod
    def get_min_capability(cls): return -1
class OddConfig(Base):
    @classmethod
    def get_min_capability(cls): return 80 if rocm else 90
""",
    "tool_parsers/__init__.py": '_TOOL_PARSERS_TO_REGISTER = {"hermes": ("hermes", "Hermes")}\n',
    "entrypoints/tool_parsers/a.py": '@ToolParserManager.register_module(["one", "two"])\nclass A: 1\n',
    "reasoning/b.py": '@ReasoningParserManager.register_module("r1")\nclass B: ...\n',
    "config/model.py": '_FLOAT16_NOT_SUPPORTED_MODELS = {"gemma2": "unstable"}\n',
    "engine/arg_utils.py": """
def defaults():
    if device_memory >= 70 * GiB_bytes and "a100" not in device_name:
        default_max_num_batched_tokens = {UsageContext.LLM_CLASS: 16384, UsageContext.OPENAI_API_SERVER: 8192}
        default_max_num_seqs = 1024
    else:
        default_max_num_batched_tokens = {UsageContext.LLM_CLASS: 8192, UsageContext.OPENAI_API_SERVER: 2048}
        default_max_num_seqs = 256
    if current_platform.is_cpu():
        default_max_num_seqs = {UsageContext.OPENAI_API_SERVER: 128 * world_size}
""",
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in SOURCES.items():
        path = tmp_path / "vllm" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_variables(root: Path) -> None:
    assert set(vllm_static.environment(root)) == {"VLLM_A", "VLLM_B"}


def test_routes_of_the_server_and_no_other(root: Path) -> None:
    found = vllm_static.routes(root)
    own = {"/health", "/v1/completions", "/v1/realtime", "/abort"}
    assert found.keys() - vllm_static.ALWAYS.keys() == own
    assert found["/v1/completions"] == {"for": "inference", "methods": ["POST"]}
    assert found["/v1/realtime"]["methods"] == ["WEBSOCKET"]
    assert found["/abort"] == {"for": "admin", "methods": ["GET", "POST"]}


def test_metrics_with_their_types_and_features(root: Path) -> None:
    assert vllm_static.metrics(root) == {
        "vllm:num_requests_running": {"kind": "gauge"},
        "vllm:prompt_tokens_total": {"kind": "counter"},
        "vllm:gpu_cache_usage_perc": {"kind": "gauge", "with": "show-hidden-metrics-for-version"},
        "vllm:lora_requests_info": {"kind": "gauge", "with": "enable-lora"},
        "vllm:new_seconds": {"kind": "histogram", "with": "something_new.enabled"},
        "vllm:spec_decode_num_drafts_total": {"kind": "counter", "with": "speculative-config"},
        "vllm:kv_offload_stores_skipped_total": {"kind": "counter", "with": "kv-transfer-config"},
    }


def test_architectures_and_those_that_were(root: Path) -> None:
    assert vllm_static.architectures(root) == {
        "LlamaForCausalLM": {"for": "text generation"},
        "AForConditionalGeneration": {"for": "multimodal"},
    }
    assert vllm_static.previous(root) == {"OldForCausalLM": "0.9.2"}


def test_quantizations(root: Path) -> None:
    assert vllm_static.quantizations(root) == {
        "fp8": {"capability": 75, "dtypes": ["bfloat16", "float16"]},
        "odd": {},
        "child": {"capability": -1, "dtypes": ["bfloat16", "float16"]},
    }
    assert set(vllm_static.not_in_float16(root)) == {"gemma2"}


def test_parsers_of_a_table_and_of_decorators(root: Path) -> None:
    assert set(vllm_static.parsers(root, "Tool")) == {"hermes", "one", "two"}
    assert set(vllm_static.parsers(root, "Reasoning")) == {"r1"}


def test_defaults_by_device(root: Path) -> None:
    assert vllm_static.batches(root) == {
        "gpu of 70 GiB": {"max-num-batched-tokens": 8192, "max-num-seqs": 1024, "but": "a100"},
        "gpu": {"max-num-batched-tokens": 2048, "max-num-seqs": 256},
        "cpu": {"max-num-seqs": 128},
    }


def test_releases_are_sorted_as_they_came() -> None:
    mixed = ["0.10.0", "0.9.0.1", "0.9.0", "0.8.5.post1", "0.8.5"]
    assert sorted(mixed, key=vllm_sources.order) == mixed[::-1]
