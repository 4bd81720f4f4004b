"""The metrics, the alert rules and the dashboard, with Prometheus itself: every query answers from a running daemon."""

import asyncio
import json
import re
import shutil
import socket
import subprocess

import aiohttp
import pytest
import yaml

from tests.processes import ROOT, DaemonProcess, Process, breathe

RULES = ROOT / "config" / "prometheus"
DASHBOARD = ROOT / "config" / "grafana" / "telewarden.json"
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="prometheus and promtool are missing; on Debian: make tools",
)


def promtool(*arguments, given=None):
    return subprocess.run(
        ["promtool", *map(str, arguments)], cwd=RULES, input=given, text=True, capture_output=True, check=False
    )


def queries():
    """Every query of the dashboard, as Grafana would send it."""
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "5s").replace("$instance", ".*")
            yield panel["title"], expression


@needs_prometheus
def test_each_alert_is_silent_while_all_is_well_and_speaks_when_it_is_not():
    for check in (("check", "config", "prometheus.yml"), ("test", "rules", "alerts_test.yml")):
        done = promtool(*check)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested_and_has_a_place_in_the_operations_guide():
    rules = [
        rule["alert"]
        for group in yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
        for rule in group["rules"]
    ]
    tests = yaml.safe_load((RULES / "alerts_test.yml").read_text())["tests"]
    silent = {each["alertname"] for each in tests[0]["alert_rule_test"]}
    assert silent == set(rules)
    guide = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert [name for name in rules if f"### {name}\n" not in guide] == []


class Prometheus(Process):
    def __init__(self, folder, target):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/api/v1"
        config = folder / "prometheus.yml"
        scrape = {"job_name": "telewarden", "scrape_interval": "500ms", "static_configs": [{"targets": [target]}]}
        config.write_text(
            yaml.safe_dump({"rule_files": [str(RULES / "alerts.yml")], "scrape_configs": [scrape]}), encoding="utf-8"
        )
        super().__init__(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
             f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
        )  # fmt: skip

    async def ask(self, path, **params):
        async with aiohttp.ClientSession() as session:
            try:
                async with session.get(f"{self.url}/{path}", params=params) as answer:
                    if answer.status != 503:  # it starts still
                        return await answer.json()
            except aiohttp.ClientConnectionError:
                pass
        return {"status": "away", "data": {"result": []}}

    async def series(self, expression):
        answer = await self.ask("query", query=expression)
        assert answer["status"] in {"success", "away"}, (expression, answer)
        return answer["data"]["result"]


@needs_prometheus
@pytest.mark.timeout(120)
async def test_prometheus_is_content_and_every_query_of_the_dashboard_answers(tmp_path):
    config = tmp_path / "telewarden.yaml"
    config.write_text("sandbox: {enabled: true, accounts: 3, channels: 4, posts: 40, rate: 20}\n", encoding="utf-8")
    async with DaemonProcess(tmp_path / "var", config=config) as daemon:
        await daemon.signed_in(3)
        await daemon.parse_all()
        metrics = await daemon.text("/metrics")
        checked = promtool("check", "metrics", given=metrics)
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
        names = set(re.findall(r"telewarden_[a-z_]+|telethon_[a-z_]+|process_[a-z_]+", metrics))
        watching = await Prometheus(tmp_path, daemon.url.removeprefix("http://")).start()
        try:
            # Rates need some scrapes, one of them with a post that was pushed between.
            async with asyncio.timeout(60):
                while not await watching.series("rate(telewarden_publish_to_commit_seconds_count[5s]) > 0"):
                    assert watching.process.returncode is None, watching.log
                    await breathe()
                while not await watching.series("count_over_time(up[10s]) > 5"):
                    await breathe()
            silent = [(title, each) for title, each in queries() if not await watching.series(each)]
            assert not silent
            rules = (await watching.ask("rules"))["data"]["groups"][0]["rules"]
            assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
            used = {
                name for _, each in queries() for name in re.findall(r"(?:telewarden|telethon|process)_[a-z_]+", each)
            }
            used |= {name for rule in rules for name in re.findall(r"(?:telewarden|telethon)_[a-z_]+", rule["query"])}
            assert used <= names | {"telewarden_build_info"}, used - names
        finally:
            await watching.stop()
