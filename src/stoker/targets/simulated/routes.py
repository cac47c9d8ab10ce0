"""Which paths an engine has, by which methods, and what it says where it has none.

Source: vLLM 0.32, the routes of a generating and of a pooling model as `/openapi.json` lists them; what is
there only with VLLM_SERVER_DEV_MODE is ADMIN.
"""

from http import HTTPStatus

from stoker.targets.simulated.refusals import Refused, no_scale_out, plain

GUARDED = ("/v1", "/v2", "/inference", "/cohere")
ADMIN = (
    "/abort_requests",
    "/collective_rpc",
    "/fault_tolerance/status",
    "/inference/v1/abort_requests",
    "/is_paused",
    "/is_sleeping",
    "/pause",
    "/reset_encoder_cache",
    "/reset_mm_cache",
    "/reset_prefix_cache",
    "/resume",
    "/server_info",
    "/sleep",
    "/start_profile",
    "/stop_profile",
    "/update_weights",
    "/v1/load_lora_adapter",
    "/v1/unload_lora_adapter",
    "/wake_up",
)
SCALE_OUT = (
    "/inference/v1/generate",
    "/v1/chat/completions/render",
    "/v1/chat/completions/derender",
    "/v1/completions/render",
    "/v1/completions/derender",
    "/v1/messages/render",
    "/v1/responses/render",
)
_GET, _POST, _BOTH = ("GET",), ("POST",), ("GET", "POST")
_ANY = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
_ALWAYS = {
    "/health": _GET,
    "/load": _GET,
    "/version": _GET,
    "/kv_event_sources": _GET,
    "/v1/models": _GET,
    "/docs": _GET,
    "/redoc": _GET,
    "/openapi.json": _GET,
    "/ping": _BOTH,
    "/metrics": _ANY,
    "/tokenize": _POST,
    "/detokenize": _POST,
    "/invocations": _POST,
    "/scale_elastic_ep": _POST,
    "/is_scaling_elastic_ep": _POST,
}
_GENERATING = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
)


def table(*, pooling: bool, developing: bool) -> dict[str, tuple[str, ...]]:
    """The methods of each path."""
    known = dict(_ALWAYS)
    known |= dict.fromkeys(("/v1/embeddings",) if pooling else (*_GENERATING, *SCALE_OUT), _POST)
    return known | (dict.fromkeys(ADMIN, _BOTH) if developing else {})


def refusal(known: dict[str, tuple[str, ...]], method: str, path: str, host: str) -> Refused | None:
    """What is said where path or method are none; None where they are."""
    methods = known.get(path)
    if methods is None and path.startswith("/v1/responses/") and "/v1/responses" in known:
        methods = _POST if path.endswith("/cancel") else _GET
    if methods is None and path.startswith("/metrics/"):
        return None
    if methods is None:
        other = path.removesuffix("/") if path.endswith("/") else f"{path}/"
        if other in known:
            return Refused(307, {}, [(b"location", f"http://{host}{other}".encode("latin-1", "replace"))])
        return plain(HTTPStatus.NOT_FOUND)
    if method not in methods:
        return plain(HTTPStatus.METHOD_NOT_ALLOWED, [(b"allow", methods[0].encode())])
    return no_scale_out() if path in SCALE_OUT else None
