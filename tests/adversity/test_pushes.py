"""A push is stored at once, whatever calls its account is making meanwhile."""

import asyncio
import sys

from tests.processes import ROOT


async def test_a_live_push_waits_for_no_call_of_its_own_account():
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/adversity/pushes.py"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 0, out.decode()
    assert b"1 passed" in out
