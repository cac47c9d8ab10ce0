"""ModelShape: what a plan needs to know of a model, out of config.json and the safetensors headers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stoker.model import validation
from stoker.model.attention import attention, heads_of
from stoker.model.blueprint import Drawn, drawn
from stoker.model.families import FAMILIES, Family
from stoker.model.feedforward import feedforward
from stoker.model.files import ModelFiles
from stoker.model.latent import Latent, widths
from stoker.model.parts import Cache, Layer, Part, Vision, hidden, number
from stoker.model.quantization import Quantization, read_quantization
from stoker.model.sizing import SURE, count, resized, sized
from stoker.model.vision import vision
from stoker.units import Bytes

FLOATS = ("F32", "F16", "BF16")


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A decoder's dimensions and parts.

    layers is their number, decoder the layers themselves; first, last and every are the parts on the first
    pipeline stage, on the last one, and on each. parameters counts what is served: from the safetensors
    headers where there are some, else computed; band is the share by which they may be off, either way, and
    doubt says why where that is much. weight_bytes is what stands on disk. known is false where the
    architecture, or such a config of it, was never read, or the headers count other parameters: figures are
    an estimate. has_chat_template is true where nothing is known of a tokenizer either.
    capped: whether its logits are capped softly.
    """

    architecture: str
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    max_len: int
    dtype: str
    weight_bytes: Bytes
    parameters: int
    has_chat_template: bool
    hidden: int
    vocabulary: int
    decoder: tuple[Layer, ...]
    first: tuple[Part, ...]
    last: tuple[Part, ...]
    every: tuple[Part, ...]
    tied: bool
    quantization: Quantization | None = None
    vision: Vision | None = None
    known: bool = True
    counted: int = 0
    model_type: str = ""
    band: float = SURE
    doubt: str = ""
    latent: Latent = Latent()
    capped: bool = False

    def kv_bytes_per_token(self, element: int) -> Bytes:
        """KV cache held by one token over all layers, were each to keep all tokens: (K + V) * heads *
        size."""
        return Bytes(sum(_token_bytes(cache, element) for cache in self.caches))

    @property
    def kinds(self) -> tuple[Layer, ...]:
        """Its different layers, each once."""
        return tuple({id(layer): layer for layer in self.decoder}.values())

    @property
    def caches(self) -> tuple[Cache, ...]:
        """What the layers keep, in their order."""
        return tuple(cache for layer in self.decoder for cache in layer.caches)


def _token_bytes(cache: Cache, element: int) -> int:
    if cache.kind == "state":
        return 0
    return cache.kv_heads * (cache.head_dim + cache.value_dim) * (cache.element or element)


def read_shape(files: ModelFiles) -> ModelShape:
    """Reads the shape. Raises: UsageError, naming the field of config.json that is missing or makes no
    sense."""
    text = validation.text_of(files.config)
    architecture = validation.architecture(files.config)
    whole = drawn(files.config, architecture)
    text = {**text, **_unsaid(whole, architecture)}
    validation.check(files.config, text)
    try:
        return _shape(files, text, architecture, whole)
    except _UNSHAPED as error:
        raise validation.not_a_model(error, architecture) from None


def _unsaid(whole: Drawn | None, architecture: str) -> Mapping[str, Any]:
    """What a class has for the decoder's fields that config.json leaves out; which layers have a window the
    table of families knows better, where it has the architecture."""
    found = whole.text if whole is not None else {}
    return {k: v for k, v in found.items() if k != "layer_types" or architecture not in FAMILIES}


# what reading a field raises that holds something else than in every model
_UNSHAPED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def _shape(files: ModelFiles, text: Mapping[str, Any], architecture: str, whole: Drawn | None) -> ModelShape:
    config = files.config
    family = FAMILIES.get(architecture) or Family(qkv_bias=bool(text.get("attention_bias")))
    decoder = _decoder(text, family)
    heads = heads_of(text, "sliding_attention")
    first, last, pictures, tied = _ends(config, text, family)
    behind = last
    decoder, first, last = resized(decoder, first, last, whole, heads.kv)
    validation.check_layers(decoder, (*first, *last))
    counted = count((*first, *last, *(part for layer in decoder for part in layer.parts)))
    size = sized(architecture, counted, _in_headers(files), whole)
    last += () if tied else _missing_head(config, architecture, behind, last)
    return ModelShape(
        architecture=architecture,
        layers=len(decoder),
        heads=heads.query,
        kv_heads=1 if text.get("kv_lora_rank") else heads.kv,
        head_dim=heads.size,
        max_len=_length(text),
        dtype=_dtype(config, text),
        weight_bytes=files.weight_bytes,
        parameters=size.parameters,
        has_chat_template=files.chat_template is not None or not files.tensors,
        hidden=hidden(text),
        vocabulary=number(text, "vocab_size"),
        decoder=decoder,
        first=first,
        last=last,
        every=_rotary_tables(text, family),
        tied=tied,
        quantization=read_quantization(config) or read_quantization(text),
        vision=pictures,
        known=not size.doubt and not validation.hollow(decoder),
        counted=counted,
        model_type=str(config.get("model_type") or ""),
        band=size.band,
        doubt=size.doubt,
        latent=widths(text),
        capped=bool(number(text, "final_logit_softcapping")),
    )


def _decoder(text: Mapping[str, Any], family: Family) -> tuple[Layer, ...]:
    layers = number(text, "num_hidden_layers", "n_layer", "n_layers", "num_layers")
    kinds: dict[Layer, Layer] = {}  # layers that are alike are one value
    return tuple(kinds.setdefault(one, one) for one in (_layer(text, family, n) for n in range(layers)))


def _missing_head(
    config: Mapping[str, Any], architecture: str, own: tuple[Part, ...], last: tuple[Part, ...]
) -> tuple[Part, ...]:
    """The head that vLLM has and transformers' class has not: where nothing says that it is tied, vLLM
    takes the decoder's default, transformers that of the class around it. Mistral 3 is such a one."""
    unsaid = "text_config" in config and architecture in FAMILIES
    if not unsaid or any(part.name == "lm_head" for part in last):
        return ()
    return tuple(part for part in own if part.name == "lm_head")


def _layer(text: Mapping[str, Any], family: Family, index: int) -> Layer:
    ours, caches = attention(text, family, index)
    theirs, width, experts = feedforward(text, family, index)
    norms = Part("norms", family.norms * hidden(text), "copy", "other")
    extra = number(text, "hidden_size_per_layer_input")
    per_layer = (Part("per_layer_input_gate", 2 * extra * hidden(text), "copy"),) if extra else ()
    return Layer((*ours, *theirs, norms, *per_layer), caches, width, experts)


def _ends(
    config: Mapping[str, Any], text: Mapping[str, Any], family: Family
) -> tuple[tuple[Part, ...], tuple[Part, ...], Vision | None, bool]:
    """What stands before the decoder and after it, the image encoder's figures, and whether the head is
    tied."""
    width, vocabulary = hidden(text), number(text, "vocab_size")
    says = text.get("tie_word_embeddings", config.get("tie_word_embeddings"))
    tied = family.tied if says is None else bool(says)
    first = [Part("embed_tokens", vocabulary * width, "vocab", "embedding")]
    extra = number(text, "hidden_size_per_layer_input")
    if extra:
        rows = number(text, "vocab_size_per_layer_input", default=vocabulary)
        count = number(text, "num_hidden_layers")
        first.append(Part("embed_tokens_per_layer", rows * extra * count, "vocab", "embedding"))
        first.append(Part("per_layer_model_projection", width * extra * count, "copy"))
    if number(text, "n_positions") and not text.get("rope_theta"):
        first.append(Part("position_embeddings", number(text, "n_positions") * width, "copy", "embedding"))
    towers, pictures = vision(config, width)
    head = () if tied else (Part("lm_head", vocabulary * width, "vocab", "embedding"),)
    return (*first, *towers), (*head, Part("norm", width, "copy", "other")), pictures, tied


def _rotary_tables(text: Mapping[str, Any], family: Family) -> tuple[Part, ...]:
    """vLLM's tables of cosines and sines, one for each set of rotary parameters, on every rank; not in the
    weights.

    Rows are the positions, times the factor of linear scaling; columns the rotary dimensions.
    Source: vLLM `model_executor/layers/rotary_embedding/`.
    """
    if number(text, "n_positions") and not text.get("rope_theta"):
        return ()
    scaling = text.get("rope_scaling") or text.get("rope_parameters") or {}
    kind = str(scaling.get("rope_type") or scaling.get("type") or "default")
    stated = kind == "linear" and isinstance(scaling.get("factor"), int | float)
    factor = float(scaling["factor"]) if stated else family.rope_factor if kind == "default" else 1.0
    rows = int(_length(text) * factor)
    size = number(text, "qk_rope_head_dim") or int(
        heads_of(text).size * float(text.get("partial_rotary_factor") or 1)
    )
    tables = [Part("rotary_table", rows * size, "copy", "other")]
    if text.get("rope_local_base_freq") or "sliding_attention" in scaling:
        local = heads_of(text, "sliding_attention").size
        tables.append(Part("rotary_table_local", _length(text) * local, "copy", "other"))
    return tuple(tables)


def _length(text: Mapping[str, Any]) -> int:
    return number(
        text,
        "max_position_embeddings",
        "n_positions",
        "max_seq_len",
        "seq_length",
        "model_max_length",
        default=2048,
    )


def _dtype(config: Mapping[str, Any], text: Mapping[str, Any]) -> str:
    for where in (text, config):
        for name in ("dtype", "torch_dtype"):
            if where.get(name):
                return str(where[name]).removeprefix("torch.")
    return "bfloat16"


def _in_headers(files: ModelFiles) -> int:
    """Parameters in the safetensors headers; 0 without headers, or where quantized tensors pack several in
    one."""
    if not files.tensors or any(tensor.dtype not in FLOATS for tensor in files.tensors.values()):
        return 0
    total = 0
    for tensor in files.tensors.values():
        count = 1
        for size in tensor.shape:
            count *= size
        total += count
    return total
