"""Builds a model of transformers on the meta device: as it is, to be counted, or traced."""

import contextlib
import copy
import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

import torch
import transformers
from torch import nn
from torch.overrides import TorchFunctionMode
from transformers.configuration_utils import PreTrainedConfig
from transformers.integrations.heterogeneity import configuration_utils as layered
from transformers.modeling_utils import PreTrainedModel
from transformers.models.auto.auto_factory import _BaseAutoModelClass

from shape_tracing import symbols
from shape_tracing.symbols import expr, sym, wanted
from shape_tracing.tracer import NAMES, Tracer

PLAIN = (int, float, bool, str, list, tuple, type(None))
SIZE = re.compile(r"_dim$|_size$|^num_|_rank$|^n_|_heads$|_layers$|_width$")
FACTORIES = {torch.empty, torch.ones, torch.zeros, torch.rand, torch.randn}
_get = PreTrainedConfig.__getattribute__
_set = PreTrainedConfig.__setattr__
_new = nn.Parameter.__new__
_post_init = PreTrainedModel.post_init
_layer_config = layered._get_layer_config
_from_config = _BaseAutoModelClass.from_config.__func__  # type: ignore[attr-defined]


def model_class(architecture: str) -> Any:
    """The class of that name, or None."""
    return getattr(transformers, architecture, None)


def config_classes(config: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """A config and those in it, by their path."""
    yield path, config
    for key, value in list(vars(config).items()):
        if isinstance(value, PreTrainedConfig) and not key.startswith("_"):
            yield from config_classes(value, f"{path}.{key}".lstrip("."))


def filled(config: Any) -> Any:
    """The config with every part that it may have."""
    for key, kind in (type(config).sub_configs or {}).items():
        if getattr(config, key, None) is None and isinstance(kind, type) and kind.__name__ != "AutoConfig":
            with contextlib.suppress(Exception):
                setattr(config, key, kind())
    for _, one in list(config_classes(config)):
        if one is not config:
            filled(one)
    return config


def made(cls: Any, config: Any) -> Any:
    """The model on the meta device, in float32, none of its weights set."""
    config = copy.deepcopy(config)
    with torch.device("meta"):
        return cls._from_config(config)


def counted(cls: Any, config: Any) -> int:
    """The parameters of the model, tied ones once."""
    return sum(p.numel() for p in made(cls, config).parameters())


class _Shapes(TorchFunctionMode):
    """Notes of what the sizes of a new tensor were made."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if isinstance(result, torch.Tensor):
            note = _sizes(func, args, kwargs)
            if note is not None and len(note) == result.dim():
                result._made = note  # type: ignore[attr-defined]
            else:
                _kept(result, args)
        return result


def _kept(result: Any, args: Any) -> None:
    """Sizes of what was made of other tensors, where theirs are among them."""
    parts = args[0] if args and isinstance(args[0], list | tuple) else args
    known = [(int(n), how) for one in parts if isinstance(one, torch.Tensor) and hasattr(one, "_made")
             for n, how in zip(one.shape, one._made, strict=False)]  # fmt: skip
    if not known:
        return
    made = []
    for size in result.shape:
        at = next((n for n, (value, _) in enumerate(known) if value == size), None)
        made.append(int(size) if at is None or size == 1 else known.pop(at)[1])
    result._made = tuple(made)


def _sizes(func: Any, args: Any, kwargs: Any) -> Any:
    if func in FACTORIES or func is torch.full:
        given = kwargs.get("size", args[0] if args else ())
        if func is not torch.full and args and isinstance(args[0], int):
            given = args
        return (
            tuple(expr(x) for x in given) if isinstance(given, tuple | list | torch.Size) else (expr(given),)
        )
    name = getattr(func, "__name__", "")
    if name == "arange":
        start, stop = (
            (0, args[0]) if len(args) == 1 else (args[0], args[1]) if len(args) == 2 else (None, None)
        )
        if stop is None:
            return None
        if expr(start) == 0:
            return (expr(stop),)
        if isinstance(stop, int) and isinstance(start, int):
            return (expr(stop - start),) if not isinstance(start, bool) else None
    if name in ("linspace",) and len(args) > 2:
        return (expr(args[2]),)
    if name == "repeat" and len(args) > 1:
        times = args[1:] if isinstance(args[1], int) else args[1]
        old = getattr(args[0], "_made", tuple(args[0].shape))
        old = (1,) * (len(times) - len(old)) + tuple(old)
        return tuple(o if expr(t) == 1 else ("*", o, expr(t)) for o, t in zip(old, times, strict=True))
    if name in ("expand", "view", "reshape") and len(args) > 1:
        sizes = args[1:] if isinstance(args[1], int) else args[1]
        old = getattr(args[0], "_made", tuple(args[0].shape))
        if name == "expand" and len(old) == len(sizes):
            return tuple(o if expr(s) == -1 else expr(s) for o, s in zip(old, sizes, strict=True))
        return None if any(expr(s) == -1 for s in sizes) else tuple(expr(s) for s in sizes)
    return None


def told(cls: Any, key: str) -> str:
    """The type of a config's field, as it is written."""
    own = (inspect.get_annotations(kind).get(key) for kind in cls.__mro__)
    return next((str(one) for one in own if one is not None), "")


def _optional(config: Any, key: str) -> bool:
    return "None" in told(type(config), key)


def stand_in(config: Any, key: str) -> Any:
    """A value for a field that is None, by its type; None where there is none to try."""
    kind = told(type(config), key)
    if "token" in key or "dropout" in key:
        return None
    if "bool" in kind:
        return False
    if "int" in kind and "list" not in kind:
        return 8 if "head" in key and "dim" not in key else 4 if "num_" in key or key.startswith("n_") else 64
    return None


class Reader:
    """What the model's code gets when it reads a field of a traced config."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer

    def __call__(self, config: Any, key: str) -> Any:
        try:
            value = _get(config, key)
        except AttributeError:
            return self._missing(config, key)
        if key.startswith("_") or not self.tracer.active:
            return value
        if isinstance(value, PreTrainedConfig):
            return self._part(config, key, value)
        if not isinstance(value, PLAIN):
            return value
        inner = _get(config, "__dict__")
        path = inner.get("_traced_path")
        if path is None or self.tracer._origin() != "transformers":
            return value
        key = _get(config, "attribute_map").get(key, key)
        put = inner.get("_traced_put", {})
        if key in put:
            return put[key]
        if key not in inner and not isinstance(getattr(type(config), key, None), property):
            return value
        if stand_in(config, key) is not None and (value is None or _optional(config, key)):
            value = self._optional(config, path, key, value)
        instead = self.tracer.forced.get(("list", ("attr", path, key)))
        if instead and isinstance(value, list | tuple):
            value = [instead[n % len(instead)] for n in range(len(value))]
        if isinstance(value, str) and not wanted(key):
            return value
        return sym(value, ("attr", path, key))

    def _missing(self, config: Any, key: str) -> Any:
        """A field that the class does not have and a file may: what `getattr` with a default asks for."""
        path = object.__getattribute__(config, "__dict__").get("_traced_path")
        if key.startswith("_") or not self.tracer.active or path is None or not SIZE.search(key):
            raise AttributeError(key)
        if self.tracer._origin() != "transformers":
            raise AttributeError(key)
        condition = ("missing", ("attr", path, key))
        answer = self.tracer.forced.get(condition, True)
        self.tracer.note(("b", condition, answer))
        if answer:
            raise AttributeError(key)
        return sym(64 if "num" not in key else 4, ("attr", path, key))

    def _part(self, config: Any, key: str, value: Any) -> Any:
        """A part's config, which may be left out where the class allows that."""
        path = _get(config, "__dict__").get("_traced_path")
        if path is None or not _optional(config, key) or self.tracer._origin() != "transformers":
            return value
        condition = ("none", ("attr", path, key))
        answer = self.tracer.forced.get(condition, False)
        self.tracer.note(("b", condition, answer))
        return None if answer else value

    def _optional(self, config: Any, path: str, key: str, value: Any) -> Any:
        condition = ("none", ("attr", path, key))
        fill = value is None and not self.tracer.forced.get("fill", False)
        answer = self.tracer.forced.get(condition, fill)
        if answer and value is not None:
            value = None
        elif not answer and value is None:
            value = stand_in(config, key)
        if not isinstance(value, PLAIN):
            return value
        self.tracer.note(("b", condition, value is None))
        return value


def _put(config: Any, key: str, value: Any) -> None:
    """A field that the model's code sets keeps what it was made of; others become plain again."""
    plain = symbols._bare(value)
    if isinstance(value, symbols.SymBool):
        plain = value.value
    elif isinstance(value, symbols.SymList):
        plain = list(list.__iter__(value))
    inner = _get(config, "__dict__")
    if not key.startswith("_") and inner.get("_traced_path") is not None and not inner.get("_traced_layer"):
        name = _get(config, "attribute_map").get(key, key)
        inner.setdefault("_traced_put", {})[name] = value
    _set(config, key, plain)


def _one_layer(config: Any, overrides: Any) -> Any:
    found = copy.copy(config)
    found.__dict__.pop("_heterogeneity_spec", None)
    for key, value in {"skip": overrides.get("skip", []), **overrides}.items():
        _set(found, key, value)
    return found


def _parameter(cls: Any, data: Any = None, requires_grad: bool = True) -> Any:
    found = _new(cls, data, requires_grad)
    tracer = symbols.TRACER
    if tracer is not None and tracer.active and data is not None:
        note = getattr(data, "_made", None)
        if note is None:
            note = tuple(tracer.values.get(int(n), int(n)) for n in found.shape)
        found._made = note
        tracer.parameters.append(found)
        tracer.note(("p", id(found), note))
    return found


def _autos() -> dict[Any, Any]:
    kinds = [_BaseAutoModelClass, *_BaseAutoModelClass.__subclasses__()]
    return {kind: kind.__dict__["from_config"] for kind in kinds if "from_config" in kind.__dict__}


def _modules() -> list[Any]:
    return [m for n, m in list(sys.modules.items()) if n.startswith("transformers.") and m is not None
            and n.rpartition(".")[2].startswith(("modeling_", "pytorch_utils"))
            and "modeling_utils" not in n and "rope" not in n]  # fmt: skip


def _part(cls: Any, config: Any, *rest: Any, **more: Any) -> Any:
    """A part that is a model of its own: made, but not followed."""
    tracer = symbols.TRACER
    path = config.__dict__.get("_traced_path") if tracer is not None and tracer.active else None
    if path is None:
        return _from_config(cls, config, *rest, **more)
    tracer.active = False
    profile = sys.getprofile()
    sys.setprofile(None)
    try:
        found = _from_config(cls, config, *rest, **more)
    finally:
        tracer.active = True
        sys.setprofile(profile)
    tracer.parameters.append(found)
    tracer.note(("m", path, type(found).__name__, id(found)))
    return found


@contextlib.contextmanager
def _patched(reader: Reader) -> Iterator[None]:
    modules = _modules()
    for module in modules:
        for name, value in NAMES.items():
            module.__dict__.setdefault(name, value)
    PreTrainedConfig.__getattribute__ = lambda c, k: reader(c, k)  # type: ignore[method-assign]
    PreTrainedConfig.__setattr__ = _put  # type: ignore[method-assign]
    PreTrainedModel.post_init = lambda self: None  # type: ignore[method-assign]
    layered._get_layer_config = _one_layer
    nn.Parameter.__new__ = _parameter  # type: ignore[method-assign]
    kept = _autos()
    for kind in kept:
        kind.from_config = classmethod(_part)
    try:
        yield
    finally:
        PreTrainedConfig.__getattribute__ = _get  # type: ignore[method-assign]
        PreTrainedConfig.__setattr__ = _set  # type: ignore[method-assign]
        PreTrainedModel.post_init = _post_init  # type: ignore[method-assign]
        layered._get_layer_config = _layer_config
        nn.Parameter.__new__ = _new  # type: ignore[method-assign]
        for kind, old in kept.items():
            kind.from_config = old
        for module in modules:
            for name, value in NAMES.items():
                if module.__dict__.get(name) is value:
                    del module.__dict__[name]


class Refused(Exception):
    """A class does not go that way. `stream`: what it asked until then."""

    def __init__(self, why: str, stream: list[Any]) -> None:
        super().__init__(why)
        self.stream = stream


def traced(cls: Any, config: Any, forced: dict[Any, Any]) -> tuple[list[Any], dict[int, str]]:
    """What happens while the model is made, and the names of the parameters that it has in the end."""
    config = copy.deepcopy(config)
    for path, one in config_classes(config):
        one.__dict__["_traced_path"] = path
    tracer = Tracer(forced)
    with _patched(Reader(tracer)), torch.device("meta"), _Shapes():
        tracer.active = True
        sys.setprofile(tracer.profile)
        try:
            model = cls(config)
        except Exception as error:
            raise Refused(str(error), tracer.stream) from error
        finally:
            sys.setprofile(None)
            tracer.active = False
    names = {id(p): n for n, p in model.named_parameters(remove_duplicate=True)}
    parts = {id(m): n for n, m in model.named_modules() if n}
    names |= {n: parts[n] for n in (id(p) for p in tracer.parameters) if n in parts}
    symbols.TRACER = None
    return tracer.stream, names
