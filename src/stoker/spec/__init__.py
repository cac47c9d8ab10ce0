"""What is asked: models of the file, its loader and its overrides. pydantic lives only here.

The loader comes with the first call: a command that only looks at what runs reads no spec, and needs no
pydantic.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stoker.spec.nouns import ServeSpec

__all__ = ["DEFAULT_FILE", "dump", "load"]

DEFAULT_FILE = "stoker.yaml"


def load(text: str, file: str = "<command line>", sets: Iterable[str] = ()) -> "ServeSpec":
    """Reads a spec: `loader.load`."""
    from stoker.spec import loader

    return loader.load(text, file, sets)


def dump(spec: "ServeSpec") -> dict[str, Any]:
    """A spec as plain values: `loader.dump`."""
    from stoker.spec import loader

    return loader.dump(spec)
