import os
import socket
import time
from datetime import timedelta

import pytest

from daemon.systemd import Notifier


@pytest.fixture(params=["path", "abstract", "кириллица"])
def manager(request, tmp_path):
    """The service manager's end: a real datagram socket, and the address by which a service knows it."""
    if request.param == "abstract":
        name = f"telewarden-test-{os.getpid()}-{time.monotonic_ns()}"
        address, known_as = f"\0{name}", f"@{name}"
    else:
        address = known_as = str(tmp_path / request.param)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address.encode())
        listening.settimeout(2)
        yield listening, Notifier.from_environment({"NOTIFY_SOCKET": known_as})


def test_ready_and_its_status_come_in_one_datagram(manager):
    listening, notifier = manager
    assert notifier.ready("accounts 812/1000 up, 3 parked")
    assert listening.recv(4096).decode() == "READY=1\nSTATUS=accounts 812/1000 up, 3 parked"


def test_a_status_may_be_russian_and_stays_one_line(manager):
    listening, notifier = manager
    assert notifier.status("останов\nREADY=1")
    assert listening.recv(4096).decode() == "STATUS=останов READY=1"


def test_a_start_that_takes_longer_says_so_before_it_is_given_up(manager):
    listening, notifier = manager
    assert notifier.starting("waiting for PostgreSQL", 32)
    assert listening.recv(4096).decode() == "STATUS=waiting for PostgreSQL\nEXTEND_TIMEOUT_USEC=32000000"


def test_a_reload_says_when_it_began(manager):
    listening, notifier = manager
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert notifier.reloading()
    first, second = listening.recv(4096).decode().split("\n")
    assert first == "RELOADING=1"
    name, _, usec = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(usec) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_stopping_and_the_watchdog_are_told(manager):
    listening, notifier = manager
    assert notifier.stopping()
    assert notifier.watchdog()
    assert [listening.recv(4096), listening.recv(4096)] == [b"STOPPING=1", b"WATCHDOG=1"]


def test_without_a_socket_nothing_is_sent_and_nothing_fails():
    notifier = Notifier.from_environment({"WATCHDOG_USEC": "1000000"})
    assert not notifier.ready()
    assert not notifier.watchdog()
    assert notifier.watchdog_interval is None


def test_a_manager_that_is_gone_is_no_fault(tmp_path):
    assert not Notifier(str(tmp_path / "nobody")).ready()
    assert not Notifier("/" + "far" * 100).ready()


def test_a_manager_that_reads_nothing_blocks_nobody(manager):
    _, notifier = manager
    begun = time.monotonic()
    sent = [notifier.watchdog() for _ in range(5000)]
    assert not sent[-1]
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, timedelta(seconds=30)),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, timedelta(seconds=30)),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_ours_only_if_it_names_us(environ, interval):
    assert Notifier.from_environment({"NOTIFY_SOCKET": "/run/systemd/notify", **environ}).watchdog_interval == interval
