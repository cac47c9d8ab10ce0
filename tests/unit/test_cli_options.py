"""Options that belong together reach a verb as one value."""

from typing import Any

import click
import pytest
from click.testing import CliRunner

from stoker.cli.common import FleetOptions, SpecOptions, fleet_options, spec_options
from stoker.cli.conflicts import conflict_options
from stoker.operate.fleet import Conflicts


def taken(options: Any, *argv: str) -> dict[str, Any]:
    """What a verb with these options is called with."""
    got: dict[str, Any] = {}

    def verb(**given: Any) -> None:
        got.update(given)

    ran = CliRunner().invoke(click.command(options(verb)), argv)
    assert ran.exit_code == 0, ran.output
    return got


def test_a_spec() -> None:
    words = ("-f", "a.yaml", "--set", "replicas=2", "--set", "name=x")
    assert taken(spec_options, *words) == {"asked": SpecOptions("a.yaml", ("replicas=2", "name=x"))}
    assert taken(spec_options) == {"asked": SpecOptions()}


@pytest.mark.parametrize(
    ("argv", "more"),
    [
        ((), ()),
        (("--target", "local"), ("target=local",)),
        (("-n", "ml", "--target", "kubernetes"), ("target=kubernetes", "kubernetes.namespace=ml")),
    ],
)
def test_the_place_goes_over_the_fields(argv: tuple[str, ...], more: tuple[str, ...]) -> None:
    asked = taken(spec_options, "--set", "target=local", *argv)["asked"]
    assert asked.overrides == ("target=local", *more)


def test_a_fleet_and_what_others_hold_of_it() -> None:
    which = FleetOptions("shop", None, "kubernetes", "ml")
    assert taken(fleet_options, "-n", "ml", "--name", "shop", "--target", "kubernetes") == {"which": which}
    assert taken(conflict_options, "--take-over") == {"held": Conflicts(take_over=True)}
