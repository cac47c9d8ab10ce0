"""What is asked: models of the file, its loader and its overrides. pydantic lives only here."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stoker.spec.loader import dump, load

__all__ = ["dump", "load"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from stoker.spec import loader

        return getattr(loader, name)
    raise AttributeError(name)
