"""What all sections of a scenario file share, and the ranges of their numbers."""

from __future__ import annotations

from typing import Annotated, Any, get_args
from unicodedata import category

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Efficiency = Annotated[float, Field(gt=0.0, le=1.0)]


def _printable(text: str) -> str:
    """Control characters end a text in HDF5 and move the cursor of a terminal; a lone surrogate is no text."""
    if any(category(letter) in ("Cc", "Cs") for letter in text):
        raise PydanticCustomError("name", "text without control characters")
    return text


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Size = Annotated[
    Positive | tuple[Positive, Positive], Field(description="a number, or smallest and largest of a uniform draw")
]
Profile = Annotated[
    float | list[float] | str, Field(description="one number, one number per step, or the name of a column of profiles")
]


class Section(BaseModel):
    """A section of a scenario: frozen, without room for unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """``true`` is not the number 1, as pydantic would have it."""
        truth = any(isinstance(one, bool) for one in (value if isinstance(value, list) else [value]))
        if truth and info.field_name is not None and _holds_a_number(cls.model_fields[info.field_name].annotation):
            raise PydanticCustomError("truth_value", "a number, not true or false")
        return value


def _holds_a_number(annotation: Any) -> bool:
    return annotation in (int, float) or any(_holds_a_number(part) for part in get_args(annotation))
