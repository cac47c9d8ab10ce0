"""The whole error tree. Every error carries one Finding; only `cli` turns it into text and an exit code.

StokerError            exit 1
├── UsageError            exit 2   the user can mend it in the file or on the command line
│   ├── SpecError               the file or an override: line, column, nearest key
│   ├── NoSuchFleet             no fleet of that name
│   ├── FleetDiffers            a fleet of that name runs another spec
│   └── PortTaken               the endpoint's port belongs to somebody else
├── EnvironmentFailed        exit 1   the world did not do as asked
│   ├── EngineFailed            an engine died in start-up, or was given up
│   ├── Unreachable             a cluster that does not answer now, and may again
│   ├── StateMoved              somebody else changed the fleet after its changes were computed
│   ├── StateBroken             a file of a fleet's own state cannot be read or written
│   ├── WeightsFailed           a source that cannot be read, a broken file, no room on the disk
│   └── MissingDependency             a package, a tool or a feature of this machine is not there
├── DoesNotFit         exit 3   the plan needs more than there is
├── TimedOut           exit 4   a deadline passed
└── Interrupted        exit 130 Ctrl-C
"""

from typing import ClassVar

from stoker.findings import Finding


class StokerError(Exception):
    """Anything that Stoker reports instead of a result."""

    exit_code: ClassVar[int] = 1

    def __init__(
        self, what: str | Finding, *, why: str = "", fix: str = "", at: str = "", rule: str = ""
    ) -> None:
        self.finding = what if isinstance(what, Finding) else Finding(what, why, fix, at, rule=rule)
        super().__init__(str(self.finding))

    def __reduce__(self) -> tuple[type["StokerError"], tuple[Finding]]:
        return type(self), (self.finding,)


class UsageError(StokerError):
    """The user can mend it: a wrong file, flag, name or port."""

    exit_code = 2


class SpecError(UsageError):
    """The spec is not valid. `finding.at` is file:line:column, `finding.fix` the nearest valid key."""


class NoSuchFleet(UsageError):
    """No fleet of that name is known here."""


class FleetDiffers(UsageError):
    """A fleet of that name runs another spec; the finding lists what would change."""


class PortTaken(UsageError):
    """The endpoint's port is in use; the finding names the owner where the system tells."""


class EnvironmentFailed(StokerError):
    """The world did not do as asked."""


class EngineFailed(EnvironmentFailed):
    """An engine died in start-up or was given up after its restarts; the finding holds its last error."""


class Unreachable(EnvironmentFailed):
    """A cluster does not answer now: it is away, too busy or restarting, and may be back soon."""


class StateMoved(EnvironmentFailed):
    """Somebody else changed the fleet since its changes were computed: they are to be computed anew."""


class StateBroken(EnvironmentFailed):
    """A file in which Stoker keeps a fleet's state is damaged, or cannot be read or written."""


class WeightsFailed(EnvironmentFailed):
    """A model's files could not be read, copied or verified."""


class MissingDependency(EnvironmentFailed):
    """A package, a tool or a feature of this machine that the job needs is not there."""


class DoesNotFit(StokerError):
    """The plan needs more memory, GPUs, cores or disk than there is."""

    exit_code = 3


class TimedOut(StokerError):
    """A deadline passed; the finding says what was waited for and why it takes so long."""

    exit_code = 4


class Interrupted(StokerError):
    """The user pressed Ctrl-C."""

    exit_code = 130
