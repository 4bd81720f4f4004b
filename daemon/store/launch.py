"""Turns into a PostgreSQL program that runs as an ordinary user and dies with the daemon. A script, run by its path:

    python -I -S launch.py IDENTITY UID GID PARENT FOLDER PROGRAM [ARGUMENT ...]

A program of its own because nothing but system calls may stand between fork and exec in a process that has threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_NO_SETUID_FIXUP = 1 << 2
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1
_CLONE_NEWUSER = 0x10000000

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _demote(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _demote_but_pass_folders(uid: int, gid: int) -> None:
    """An ordinary user who may still pass a parent folder that is closed to it (0700)."""
    # Not PR_SET_KEEPCAPS: without this bit access(2), which initdb asks, would ignore the capability.
    _call("prctl", _PR_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0)
    _demote(uid, gid)
    bit = 1 << _CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(_CAP_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    _call("capset", ctypes.byref(header), ctypes.byref(sets))
    # Ambient, so that exec keeps it and doesn't count as a change of privilege, which would clear PDEATHSIG.
    _call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def _enter_namespace(uid: int, gid: int) -> None:
    """What ``unshare -U --map-user --map-group`` does: ``uid`` to the program, to the file system who we were."""
    own_uid, own_gid = os.geteuid(), os.getegid()
    _call("unshare", _CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {own_uid} 1"), ("gid_map", f"{gid} {own_gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123 - keeps this start light
            file.write(text)


def _die_with(parent: int) -> None:
    """SIGINT (fast shutdown) when the daemon dies. Called last: a change of credentials forgets it."""
    if sys.platform != "linux":
        return
    _call("prctl", _PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the daemon died first")


def main() -> None:
    identity, uid, gid, parent, folder, *command = sys.argv[1:]
    try:
        match identity:
            case "demoted":
                _demote(int(uid), int(gid))
            case "capable":
                _demote_but_pass_folders(int(uid), int(gid))
            case "namespace":
                _enter_namespace(int(uid), int(gid))
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            sys.exit(f"{folder} can't be reached by user {os.geteuid()}")
        os.umask(0o077)
        _die_with(int(parent))
        os.execv(command[0], command)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.exit(f"{command[0]}: {error}")


if __name__ == "__main__":
    main()
