import base64
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.errors import SessionRejected
from actors.messages.ids import AccountId
from daemon.keys import MasterKeyRefused, MasterKeys, load_master_keys

ME, OTHER = AccountId(7), AccountId(8)
KEYS = MasterKeys(bytes(range(32)))


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


def write_key(path, key=bytes(32), mode=0o600):
    path.write_bytes(base64.b64encode(key) + b"\n")
    path.chmod(mode)
    return path


@given(plain=st.binary(max_size=600), account_id=st.integers(-(2**63), 2**63 - 1))
def test_what_is_sealed_opens_for_its_account(plain, account_id):
    assert KEYS.open(AccountId(account_id), KEYS.seal(AccountId(account_id), plain)) == plain


def test_an_answer_opens_under_its_own_name_alone_and_never_as_a_session():
    seven = (7).to_bytes(8, "big")
    sealed = KEYS.seal_answer(seven, b"answer")
    assert KEYS.open_answer(seven, sealed) == b"answer"
    for opened in (lambda: KEYS.open_answer(b"other", sealed), lambda: KEYS.open(ME, sealed)):
        with pytest.raises(SessionRejected):
            opened()
    with pytest.raises(SessionRejected):
        KEYS.open_answer(seven, KEYS.seal(ME, b"session"))


def test_no_two_seals_are_alike():
    assert len({KEYS.seal(ME, b"same") for _ in range(50)}) == 50


def test_any_changed_byte_is_rejected():
    sealed = KEYS.seal(ME, b"session")
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(SessionRejected):
            KEYS.open(ME, bytes(changed))


def test_another_accounts_session_is_rejected():
    with pytest.raises(SessionRejected):
        KEYS.open(OTHER, KEYS.seal(ME, b"session"))


def test_parts_of_two_sessions_dont_make_a_third():
    one, two = KEYS.seal(ME, b"one"), KEYS.seal(ME, b"two")
    for place in range(1, len(one)):
        if one[:place] != two[:place] and one[place:] != two[place:]:
            with pytest.raises(SessionRejected):
                KEYS.open(ME, one[:place] + two[place:])


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_garbage_is_rejected(blob):
    for garbage in (blob, KEYS.seal(ME, b"")[:9] + blob):
        with pytest.raises(SessionRejected):
            KEYS.open(ME, garbage)


def test_another_master_key_is_named_as_the_cause():
    with pytest.raises(SessionRejected, match="another master key"):
        MasterKeys(bytes(32)).open(ME, KEYS.seal(ME, b"x"))


def test_a_master_key_has_32_bytes_and_never_shows():
    with pytest.raises(ValueError, match="31"):
        MasterKeys(bytes(31))
    assert repr(bytes(range(32)))[2:20] not in repr(KEYS)


def test_the_own_key_is_made_once_and_closed_to_others(tmp_path):
    sealed = load_master_keys(tmp_path / "state", None).seal(ME, b"x")
    own = tmp_path / "state" / "master.key"
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    assert [path.name for path in own.parent.iterdir()] == ["master.key"]
    assert load_master_keys(tmp_path / "state", None).open(ME, sealed) == b"x"


def test_the_setting_comes_before_the_credential_and_that_before_the_own_key(tmp_path, monkeypatch):
    setting = write_key(tmp_path / "setting", b"a" * 32)
    (tmp_path / "credentials").mkdir()
    write_key(tmp_path / "credentials" / "master_key", b"b" * 32, mode=0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert load_master_keys(tmp_path, setting).open(ME, MasterKeys(b"a" * 32).seal(ME, b"x")) == b"x"
    assert load_master_keys(tmp_path, None).open(ME, MasterKeys(b"b" * 32).seal(ME, b"x")) == b"x"
    assert not (tmp_path / "master.key").exists()
    (tmp_path / "credentials" / "master_key").unlink()
    load_master_keys(tmp_path, None)
    assert (tmp_path / "master.key").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused(tmp_path, mode):
    with pytest.raises(MasterKeyRefused, match="chmod 600"):
        load_master_keys(tmp_path, write_key(tmp_path / "key", mode=mode))


@pytest.mark.parametrize(
    "text", [b"", b"not base64!", base64.b64encode(bytes(31)), base64.b64encode(bytes(33)), bytes(32)]
)
def test_a_key_of_the_wrong_size_or_form_is_refused(tmp_path, text):
    file = tmp_path / "key"
    file.write_bytes(text)
    file.chmod(0o600)
    with pytest.raises(MasterKeyRefused, match="key"):
        load_master_keys(tmp_path, file)


def test_a_missing_key_file_is_refused_not_made(tmp_path):
    with pytest.raises(MasterKeyRefused, match="No such file"):
        load_master_keys(tmp_path, tmp_path / "missing")
    assert not (tmp_path / "missing").exists()
