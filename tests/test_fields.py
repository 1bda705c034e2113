"""What the models of the configuration are made of."""

import pytest
from pydantic import Field, ValidationError

from traitline.fields import Model, Range


class Inner(Model):
    rate: float
    note: str | None = None


class Settings(Model):
    max_steps: int = 300
    examples: Range = Field(default=[3, 6])
    distance: float | None = None
    banned: list[int] = Field(default=[])
    sharded: bool = False
    verbose: bool = True
    sha256: dict[str, str] = Field(default={})
    inner: Inner = Inner(rate=0.5)


def test_key_names_are_flag_names():
    assert Settings().flags("max_steps") == ["--max-steps", "300"]


def test_every_kind_of_value_has_its_spelling_and_what_is_not_given_has_none():
    assert Settings(sha256={"a": "b"}).all_flags() == [
        *("--max-steps", "300"),
        *("--examples", "3", "6"),
        "--verbose",
        *("--sha256", '{"a": "b"}'),
        *("--inner", '{"rate":0.5}'),
    ]
    assert Settings(distance=0.001, banned=[6, 66], sharded=True).flags("banned", "distance", "sharded") == [
        *("--banned", "6", "66"),
        *("--distance", "0.001"),
        "--sharded",
    ]


def test_zero_is_a_value():
    assert Settings(max_steps=0, distance=0.0).flags("max_steps", "distance") == [
        *("--max-steps", "0"),
        *("--distance", "0.0"),
    ]


def test_a_setting_that_the_model_lacks_is_an_error():
    with pytest.raises(AttributeError):
        Settings().flags("steps")


def test_models_are_strict_and_stay_as_they_are():
    with pytest.raises(ValidationError):
        Settings(max_steps="300")
    with pytest.raises(ValidationError):
        Settings(max_step=300)
    with pytest.raises(ValidationError):
        Settings().max_steps = 1


def test_no_settings_make_no_flags():
    """A channel without settings of its own, such as problems from outside, spells none."""
    assert Settings().flags() == []
