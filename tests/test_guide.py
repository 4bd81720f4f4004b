"""The guide that the users follow, walked line by line against a real daemon process.

Run as it is, this file makes a network namespace that has nothing but loopback and walks the guide in there: what
connects anywhere else fails.
"""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import pytest_asyncio

from tests.processes import ROOT, DaemonProcess, http

INSIDE = "TELEWARDEN_ONLY_LOOPBACK"
FORBIDDEN = ("Event loop is closed", "event loop must not change", "Client создан в другом event loop", "Traceback")


def namespace():
    """The command that runs another where only loopback exists, or None where that can't be had."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return None
    flags = "-n" if os.geteuid() == 0 else "-rn"
    probe = subprocess.run(["unshare", flags, "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
    return ["unshare", flags, "sh", "-c", 'ip link set lo up && exec "$@"', "sh"] if probe.returncode == 0 else None


if INSIDE not in os.environ:

    def test_the_guide_holds_where_only_loopback_exists():
        inside = namespace()
        if inside is None:
            pytest.skip(reason="needs unshare, ip and the right to make a network namespace (make tools, as root)")
        walk = subprocess.run(
            [*inside, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(__file__)],
            env={**os.environ, INSIDE: "1"}, cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert walk.returncode == 0, walk.stdout[-12000:] + walk.stderr[-2000:]
        assert re.search(r"\b\d+ passed", walk.stdout), walk.stdout
        assert "skipped" not in walk.stdout, walk.stdout

else:
    pytestmark = pytest.mark.asyncio(loop_scope="module")

    @pytest.fixture(scope="module")
    def posts_dir(tmp_path_factory):
        folder = tmp_path_factory.mktemp("posts")
        for name, ids in {"firstchannel": (1, 2, 3, 5, 8, 13), "second_channel": range(171246, 171400, 3)}.items():
            posts = [
                {
                    "id": i,
                    "date": "2025-06-23T17:58:43+00:00",
                    "text": f"Пост {i} ✅",
                    "media": i % 2 == 0,
                    "is_reply": False,
                }
                for i in ids
            ]
            (folder / f"{name}.json").write_text(
                json.dumps({"username": name, "title": name.title(), "posts": posts}), encoding="utf-8"
            )
        return folder

    @pytest_asyncio.fixture(scope="module", loop_scope="module")
    async def daemon(tmp_path_factory, posts_dir):
        env = {
            "TELEWARDEN__SANDBOX__POSTS_DIR": str(posts_dir),
            "TELEWARDEN__SCHEDULES": "[{name: all, every: 10s}]",
            "DEBUG_LOGS": "true",
        }
        state = tmp_path_factory.mktemp("state")
        async with DaemonProcess(state, env=env, config=ROOT / "config" / "sandbox.yaml") as process:
            await process.signed_in(3)
            yield process

    @pytest_asyncio.fixture(loop_scope="module")
    async def control(daemon):
        _, line = await daemon.line("/", after=(await daemon.line("🧪"))[0])
        return re.search(r"http://\S+", line).group().rstrip("/.")

    async def generated_channel(daemon, control):
        world = await http("GET", f"{control}/world")
        return next(channel for channel in world["channels"] if channel["generated"])

    async def test_the_start_up_log_has_the_lines_of_the_contract_and_no_event_loop_error(daemon):
        await daemon.line("INFO:parser_service:🤖 Telegram Bot запущен в async task")
        await daemon.line("INFO:parser_service:✅ ParserService инициализирован")
        assert not [line for line in daemon.lines if any(word in line for word in FORBIDDEN)]

    async def test_users_have_the_shape_of_the_contract(daemon):
        answer = await daemon.get("/users")
        assert answer["total"] == len(answer["users"]) >= 3
        for user in answer["users"]:
            assert set(user) >= {
                "id", "username", "first_name", "last_name", "state", "is_authenticated", "is_active", "channels"
            }  # fmt: skip
            assert user["is_authenticated"] is True
            assert user["channels"] > 0

    async def test_parsing_a_user_answers_a_job_that_ends_well(daemon):
        user = (await daemon.get("/users"))["users"][0]["id"]
        job = await daemon.post(f"/parse/user/{user}")
        assert set(job) >= {
            "job_id", "kind", "user_id", "state", "channels_total", "channels_done", "posts_added", "posts_edited",
            "error", "started_at", "finished_at",
        }  # fmt: skip
        assert (job["kind"], job["user_id"]) == ("user", user)
        done = await daemon.post(f"/parse/user/{user}?wait=30")
        assert done["state"] == "success"
        assert done["channels_done"] == done["channels_total"] > 0
        assert (await daemon.get(f"/jobs/{done['job_id']}"))["state"] == "success"

    async def test_a_second_parse_of_unchanged_channels_adds_nothing(daemon):
        user = (await daemon.get("/users"))["users"][1]["id"]
        await daemon.post(f"/parse/user/{user}?wait=30")
        again = await daemon.post(f"/parse/user/{user}?wait=30")
        assert (again["state"], again["posts_added"]) == ("success", 0)

    async def test_five_published_posts_make_five_in_the_next_summary_by_push_or_by_parse(daemon, control):
        channel = await generated_channel(daemon, control)
        user = channel["members"][0]
        await daemon.post(f"/parse/user/{user}?wait=30")
        for silent in (False, True):
            news = [{"text": f"news {number}"} for number in range(5)]
            body = {"channel": channel["username"], "posts": news, "silent": silent}
            ids = (await http("POST", f"{control}/posts", body))["ids"]
            assert len(ids) == 5
            mark = len(daemon.lines)
            job = await daemon.post(f"/parse/user/{user}?wait=30")
            assert (job["state"], job["posts_added"]) == ("success", 5), job
            await daemon.line(
                f"INFO:parser_service:✅ ParserService: @{channel['username']} - добавлено 5 постов", after=mark
            )
            await daemon.line(
                "INFO:parser_service:✅ ParserService: Парсинг завершен. Всего добавлено 5 постов", after=mark
            )

    async def test_the_schedule_parses_without_being_asked(daemon, control):
        channel = await generated_channel(daemon, control)
        await daemon.post("/parse/all?wait=30")
        mark = len(daemon.lines)
        await http("POST", f"{control}/posts", {"channel": channel["username"], "count": 4})
        at, _ = await daemon.line(f"@{channel['username']} - добавлено", after=mark, within=30)
        _, closing = await daemon.line("✅ ParserService: Парсинг завершен. Всего добавлено", after=at, within=30)
        assert not closing.endswith(" 0 постов")

    async def test_posts_of_a_folder_are_there_whole_with_their_holes(daemon, posts_dir):
        await daemon.post("/parse/all?wait=30")
        for file in posts_dir.glob("*.json"):
            held = json.loads(file.read_text(encoding="utf-8"))
            answer = await daemon.get(f"/posts?channel={held['username']}")
            assert [(post["id"], post["text"]) for post in answer["posts"]] == [
                (post["id"], post["text"]) for post in held["posts"]
            ]
            assert answer["next_after_id"] is None

    async def test_debug_logs_name_one_loop_everywhere(daemon):
        await daemon.post("/parse/all?wait=30")
        await daemon.line("📅 ParserService: Задача парсинга создана в текущем event loop")
        created = re.findall(r"✅ Client (\d+) создан в event loop (\d+)", daemon.log)
        reused = re.findall(r"♻️ Используем существующий клиент (\d+) в loop (\d+)", daemon.log)
        assert len({client for client, _ in created}) >= 3
        assert {client for client, _ in reused} <= {client for client, _ in created}
        assert reused
        assert len({loop for _, loop in created + reused}) == 1

    async def test_the_cli_tells_clients_users_and_channels_in_the_contract_s_words(daemon):
        users = (await daemon.get("/users"))["users"]
        code, out, err = await daemon.cli("clients")
        assert code == 0, err
        loops = re.findall(r"^Client (\d+): loop=(\d+), same=True$", out, re.MULTILINE)
        assert {int(client) for client, _ in loops} >= {user["id"] for user in users}
        assert len({loop for _, loop in loops}) == 1
        code, out, err = await daemon.cli("users")
        assert code == 0, err
        for user in users:
            assert f"User {user['id']}: authenticated=True, channels={user['channels']}" in out.splitlines()
        code, out, err = await daemon.cli("channels")
        assert code == 0, err
        assert re.search(r"^Channel @firstchannel: subscriptions=[1-3]$", out, re.MULTILINE), out

    async def test_every_cli_listing_has_json(daemon):
        for command in ("clients", "users", "channels"):
            code, out, err = await daemon.cli(command, "--json")
            assert code == 0, err
            assert json.loads(out)

    async def test_prometheus_sees_posts_grow_and_no_event_loop_error(daemon, control):
        def value(text, name):
            return float(re.search(rf"^{name} ([0-9.e+]+)$", text, re.MULTILINE).group(1))

        channel = await generated_channel(daemon, control)
        await daemon.post("/parse/all?wait=30")
        before = value(await daemon.text("/metrics"), "telethon_posts_parsed_total")
        await http("POST", f"{control}/posts", {"channel": channel["username"], "count": 3})
        await daemon.post("/parse/all?wait=30")
        text = await daemon.text("/metrics")
        assert value(text, "telethon_posts_parsed_total") == before + 3
        assert value(text, "telethon_event_loop_errors_total") == 0

    async def test_it_lives_is_ready_and_answers_strangers_with_problems(daemon):
        for path in ("/livez", "/healthz", "/readyz"):
            assert await daemon.text(path)
        with pytest.raises(AssertionError, match="404"):
            await daemon.post("/parse/user/1")

    async def test_the_log_never_says_what_the_contract_forbids(daemon):
        assert not [line for line in daemon.lines if any(word in line for word in FORBIDDEN)], daemon.log
