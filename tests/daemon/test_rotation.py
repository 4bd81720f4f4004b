"""Another master key, while sessions are saved, the process is killed, and the operator keeps the key."""

import asyncio
import base64
import random
import shutil
import stat
import time

import pytest

from actors.errors import SessionRejected
from actors.messages.content import Profile
from actors.messages.ids import AccountId
from actors.messages.rows import SessionKey
from daemon.keys import MasterKeyRefused, begin_rotation, load_master_keys
from daemon.rotation import Rotation
from daemon.store.accounts import StoredAccounts
from tests.daemon.store.rows import ask
from tests.postgres import fresh_database
from tests.processes import DaemonProcess

MANY = 1000


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


def key_of(number, salt=0):
    auth_key = random.Random(f"{number}/{salt}").randbytes(256)
    return SessionKey(account_id=AccountId(number), dc_id=2, address="127.0.0.1", port=443, auth_key=auth_key)


class Vault:
    """Sessions under the master key of a state folder."""

    def __init__(self, folder, opened):
        self.folder, self._database = folder, opened.database
        self.reload()

    def reload(self):
        """As another process finds it."""
        self.keys = load_master_keys(self.folder, None)
        self.accounts = StoredAccounts(self._database, self.keys)
        self.rotation = Rotation(self.keys, self.accounts)

    async def fill(self, count):
        for number in range(1, count + 1):
            await self.accounts.save_profile(
                Profile(account_id=AccountId(number), username=None, first_name="A", last_name=None)
            )
            await self.accounts.save_session(key_of(number))

    async def opens(self, count, salt=lambda _: 0):
        return all([await self.accounts.session(AccountId(n)) == key_of(n, salt(n)) for n in range(1, count + 1)])

    @property
    def files(self):
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def vault(tmp_path, opened):
    return Vault(tmp_path / "vault", opened)


async def test_a_thousand_sessions_are_sealed_anew_within_five_seconds_while_others_are_saved(vault, dsn):
    await vault.fill(MANY)
    former = (vault.folder / "master.key").read_bytes()
    saved, done = [], asyncio.Event()

    async def save():
        rng = random.Random(1)
        while not done.is_set():
            number = rng.randrange(1, MANY + 1)
            await vault.accounts.save_session(key_of(number, salt=1))
            saved.append(number)

    saving = [asyncio.create_task(save()) for _ in range(2)]
    began = time.monotonic()
    sealed = await vault.rotation.rotate()
    took = time.monotonic() - began
    done.set()
    await asyncio.gather(*saving)
    assert took <= 5
    assert MANY - len(saved) <= sealed <= MANY
    assert len(saved) > 1
    own = vault.folder / "master.key"
    assert own.read_bytes() != former
    assert (stat.S_IMODE(own.stat().st_mode), vault.files) == (0o600, ["master.key"])
    vault.reload()  # with the new key alone
    assert await vault.opens(MANY, lambda number: int(number in saved))
    heads = await ask(dsn, "SELECT DISTINCT substring(sealed FROM 2 FOR 8) FROM sessions")
    assert [bytes(head) for (head,) in heads] == [vault.keys.current]


async def test_every_flipped_or_swapped_session_is_refused(vault, dsn):
    await vault.fill(20)
    rows = dict(await ask(dsn, "SELECT account_id, sealed FROM sessions"))
    rng, refused = random.Random(2), 0
    for number in range(MANY):
        mine, other = rng.sample(sorted(rows), 2)
        blob = bytearray(rows[other] if number % 2 else rows[mine])
        if number % 2 == 0:
            blob[rng.randrange(len(blob))] ^= 1 << rng.randrange(8)
        with pytest.raises(SessionRejected):
            vault.keys.open(mine, bytes(blob))
        refused += 1
    assert refused == MANY


@pytest.mark.parametrize("until", ["new key", "sealed anew"])
async def test_a_rotation_that_was_killed_goes_on_at_the_next_start(vault, until):
    await vault.fill(5)
    begin_rotation(vault.keys)
    if until == "sealed anew":
        await vault.accounts.reseal()
    vault.reload()
    assert vault.files == ["master.key", "master.key.next"]
    assert await vault.opens(5)
    await vault.rotation.go_on()
    vault.reload()
    assert vault.files == ["master.key"]
    assert await vault.opens(5)
    await vault.rotation.go_on()
    assert vault.files == ["master.key"]


async def test_a_session_that_no_key_opens_stops_no_rotation(vault, dsn, caplog):
    await vault.fill(3)
    await ask(dsn, "UPDATE sessions SET sealed = 'broken' WHERE account_id = 2")
    assert await vault.rotation.rotate() == 2
    assert "session isn't sealed anew: the session of account 2 " in caplog.text
    vault.reload()
    assert await vault.accounts.session(AccountId(3)) == key_of(3)


async def test_a_key_that_the_operator_keeps_is_replaced_by_the_operator(vault, tmp_path, monkeypatch):
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    shutil.move(vault.folder / "master.key", credentials / "master_key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    vault.reload()
    await vault.fill(3)
    with pytest.raises(MasterKeyRefused, match="master_key_former"):
        await vault.rotation.rotate()
    (credentials / "master_key").rename(credentials / "master_key_former")
    new = credentials / "master_key"
    new.write_bytes(base64.b64encode(bytes(range(32))))
    new.chmod(0o600)
    vault.reload()
    await vault.rotation.go_on()
    (credentials / "master_key_former").unlink()
    vault.reload()
    assert await vault.opens(3)


async def test_the_daemon_rotates_while_it_runs_and_its_accounts_sign_in_again_after_it(tmp_path, postgres):
    config = tmp_path / "config.yaml"
    config.write_text("sandbox: {enabled: true, accounts: 2, channels: 2, posts: 20}\n", encoding="utf-8")

    async with fresh_database(postgres) as dsn:
        env = {"TELEWARDEN__DATABASE__DSN": dsn}
        async with DaemonProcess(tmp_path / "var", env=env, config=config) as daemon:
            await daemon.signed_in(2)
            await daemon.line("Telegram Bot")
            before = (tmp_path / "var" / "master.key").read_bytes()
            # the bot keeps a session too
            rotate = ("keys", "rotate", "--token-file", str(tmp_path / "var" / "admin-token"))
            assert await daemon.cli(*rotate) == (0, "Sessions sealed with a new master key: 3\n", "")
            assert (tmp_path / "var" / "master.key").read_bytes() != before
            assert (await daemon.parse_all())["state"] == "success"
        async with DaemonProcess(tmp_path / "var", env=env, config=config) as daemon:
            await daemon.signed_in(2)
            assert (await daemon.parse_all())["state"] == "success"
