"""File descriptors: how many there are, and which failures say that this process has none left."""

import errno
import os
import resource

RESERVED = 16  # for what must work when clients have the rest: health checks, files, saying no
_OURS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN}
)


def limit() -> int:
    """How many files this process may have open."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1 << 20 if soft == resource.RLIM_INFINITY else int(soft)


def used() -> int:
    """How many it has open."""
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:
        return RESERVED


def reserve() -> int:
    """How many of them are kept from clients."""
    return max(RESERVED, limit() // 16)


def exhausted(error: BaseException) -> bool:
    """Whether a connection failed for want of a descriptor, port or buffer here: the peer is not to blame."""
    return isinstance(error, OSError) and error.errno in _OURS
