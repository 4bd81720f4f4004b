"""The API is as its description says: every answer to whatever is sent, for each role; and its pages are readable."""

import asyncio
import re
import sys

import aiohttp
import pytest

from tests.fuzz import examples
from tests.processes import DaemonProcess

GRAMMAR_LEFT_OUT = "sys.modules['rfc3987_syntax'] = None"
"""Four seconds of work at each import of jsonschema, for a format that nothing of ours has: it does without."""
CONFIG = """\
sandbox: {enabled: true, accounts: 3, channels: 4, posts: 40, seed: 7}
admin: {public_url: "http://127.0.0.1:1"}
"""
CASES = examples(300)
"""For each role; ``make fuzz`` has 10,000."""
SCHEMATHESIS = f"import sys; {GRAMMAR_LEFT_OUT}; from schemathesis.cli import schemathesis; schemathesis()"
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance,unsupported_method"
)


@pytest.fixture
async def daemon(tmp_path):
    config = tmp_path / "telewarden.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    async with DaemonProcess(tmp_path / "var", config=config) as daemon:
        await daemon.signed_in(3)
        daemon.token = (tmp_path / "var" / "admin-token").read_text().strip()
        yield daemon


async def fuzz(daemon, token, folder):
    """Schemathesis against the running daemon: how many cases there were, and what it said where one failed."""
    operations = len(re.findall(r"operationId", await daemon.text("/openapi.json")))
    folder.mkdir()
    # Of some operations there are fewer cases than that.
    more = 1 if CASES < 1000 else 2
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCHEMATHESIS,
        "run", f"{daemon.url}/openapi.json", "--workers", "1", "--seed", "5", "--checks", CHECKS,
        "--phases", "fuzzing" if CASES < 1000 else "coverage,fuzzing,stateful",
        "--max-examples", str(more * CASES // operations + 4), "--request-timeout", "60", "--no-color",
        "-H", f"Authorization: Bearer {token}",
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out = (await process.communicate())[0].decode()
    found = re.search(r"(\d+) generated", out)
    return (int(found[1]) if found else 0), ("" if process.returncode == 0 else out)


def _validate(document):
    sys.modules["rfc3987_syntax"] = None
    from openapi_spec_validator import validate

    validate(document)


@pytest.mark.timeout(3600)
async def test_no_answer_to_any_role_is_a_defect_or_differs_from_the_description(daemon, tmp_path):
    headers = {"Authorization": f"Bearer {daemon.token}"}
    tokens = {"admin": daemon.token}
    async with aiohttp.ClientSession(headers=headers) as session:
        for role in ("viewer", "operator"):
            async with session.post(f"{daemon.url}/tokens", json={"name": f"a {role}", "role": role}) as answer:
                tokens[role] = (await answer.json())["token"]
    runs = await asyncio.gather(*(fuzz(daemon, token, tmp_path / role) for role, token in tokens.items()))
    for role, (cases, said) in zip(tokens, runs, strict=True):
        assert not said, f"{role}:\n{said}"
        # Of what a role may not do fewer cases are drawn: they are refused alike, whatever is sent.
        assert cases >= CASES, (role, cases)
    assert "Traceback" not in daemon.log
    assert (await daemon.get("/livez"))["status"] == "ok"
    async with aiohttp.ClientSession() as session, session.get(f"{daemon.url}/docs") as answer:
        page = await answer.text()
    document = await daemon.get("/openapi.json")
    _validate(document)
    assert document["openapi"] == "3.1.0"
    for path, operations in document["paths"].items():
        assert path in page
        for told in operations.values():
            assert told["summary"], path
            assert told["x-role"] in {"viewer", "operator", "admin"}
    assert "<script" not in page
    assert not re.search(r"(src|href)=.https?:", page), "nothing is had from elsewhere"
