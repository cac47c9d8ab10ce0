"""What every model of the file has in common: no unknown key, no silent conversion; names and ports."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from stoker.spec.fields import (
    Whole,
)

NAME = r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?"


NAMESPACE = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"


Port = Annotated[Whole, Field(ge=1, le=65535)]


class Strict(BaseModel):
    """No unknown key, no silent conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)
