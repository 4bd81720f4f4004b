"""Settings that change while the daemon runs."""

from dataclasses import dataclass

from actors.runtime.message import Request
from actors.timetable import Planned
from config.model import Group, Plan, Schedule, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSchedules(Request[None]):
    """From now on these are in force. Raises: ``StoreUnavailable``, and nothing has changed."""

    schedules: tuple[Schedule, ...]
    groups: tuple[Group, ...]
    plans: tuple[Plan, ...]
    planned: tuple[Planned, ...]
    """Of the schedules those that are new, or have another rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplySettings(Request[None]):
    """Asks the root: whatever runs goes by these from now on, and nothing that they don't change connects anew."""

    settings: Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsApplied:
    """Tells those who go by settings: these hold from now on."""

    settings: Settings
