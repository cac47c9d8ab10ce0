"""Which fleet a verb is about: by its name, its file, or as the only one."""

from pathlib import Path
from typing import TYPE_CHECKING

from stoker.errors import UsageError
from stoker.spec.loader import DEFAULT_FILE
from stoker.spec.nouns import ServeSpec

if TYPE_CHECKING:
    from stoker.operate.fleet import Fleet
from stoker.cli.common import FleetOptions, SpecOptions, parse_spec, read_spec


def chosen_name(which: FleetOptions, *, looking: bool = False) -> str | None:
    """The fleet's name: as given, of the file, of the stoker.yaml here if that fleet runs, or None for the
    only one.

    looking: nothing is changed, and a broken stoker.yaml is no reason not to look at what runs here.
    """
    if which.name is not None:
        return which.name
    if which.file is not None:
        return read_spec(None, SpecOptions(which.file)).name
    if Path(DEFAULT_FILE).exists():
        from stoker.targets.local.known import names

        spec = _spec_or_none(SpecOptions(), looking)
        if spec is None:
            return None
        mine = spec.name
        if mine in names() or len(names()) != 1:
            return mine
    return None


def find_fleet(which: FleetOptions, *, looking: bool = False) -> "Fleet":
    """The fleet of the file here (or of -f), on this machine or in its cluster; without one the only one
    here.

    Without a file, --target kubernetes leads to the fleet of that name, or to the only one of the namespace.
    looking: as for `chosen_name`. Raises: SpecError, NoSuchFleet.
    """
    found = _in_cluster(which, looking)
    if found is not None:
        return found
    from stoker.operate.local_fleet import connect

    return connect(chosen_name(which, looking=looking))


def _in_cluster(which: FleetOptions, looking: bool) -> "Fleet | None":
    if which.target == "local":
        return None
    if which.file is None and not Path(DEFAULT_FILE).exists():
        if which.target is None:
            return None
        from stoker.operate.cluster import connect_cluster

        return connect_cluster(which.name, which.namespace)
    sets = (f"name={which.name}",) if which.name is not None else ()
    spec = _spec_or_none(SpecOptions(which.file, sets, which.target, which.namespace), looking)
    if spec is None or spec.target != "kubernetes":
        return None
    from stoker.operate.cluster import ClusterFleet

    return ClusterFleet(spec)


def every_cluster(which: FleetOptions, *, looking: bool = False) -> ServeSpec | None:
    """The spec whose cluster -A is about; None where it is about this machine. Raises: SpecError."""
    if which.target == "local":
        return None
    spec = _spec_or_none(SpecOptions(which.file, target=which.target), looking)
    return spec if spec is not None and spec.target == "kubernetes" else None


def _spec_or_none(asked: SpecOptions, looking: bool) -> ServeSpec | None:
    """The spec; None for a broken stoker.yaml that nobody named, where nothing is changed. Raises:
    SpecError."""
    try:
        return parse_spec(None, asked)
    except UsageError:
        if looking and asked.file is None and asked.target is None:
            return None
        raise


def on_this_machine(which: FleetOptions, *, looking: bool = False) -> bool:
    """Whether a verb with these options is about this machine. Raises: SpecError."""
    return which.target != "kubernetes" and every_cluster(which, looking=looking) is None
