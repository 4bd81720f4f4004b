"""Who reads which channel: panels that share accounts, sticky readers, and fair shares."""

from hypothesis import given
from hypothesis import strategies as st

from actors.messages.ids import AccountId, ChannelId
from actors.panels import PANEL, UNEVEN, Panels, choose_panel

A, B, C, D, E = map(AccountId, range(1, 6))


def panels_of(members, up):
    panels = Panels(up=set(up))
    for channel, accounts in members.items():
        for account in accounts:
            panels.join(AccountId(account), (ChannelId(channel),))
    return panels


def settle(panels):
    for channel in sorted(panels.members):
        panels.appoint(channel, panels.elect(channel))


@given(
    st.sets(st.integers(1, 9)),
    st.lists(st.integers(1, 9)),
    st.sets(st.integers(1, 9)),
    st.dictionaries(st.integers(1, 9), st.integers(0, 5)),
)
def test_a_panel_is_as_full_as_can_be_of_members_that_are_able(members, keep, able, weight):
    panel = choose_panel(members, keep, able, weight)
    assert len(panel) == len(set(panel)) == min(PANEL, len(members & able))
    assert set(panel) <= members & able
    kept = [account for account in dict.fromkeys(keep) if account in members & able]
    assert list(panel[: len(kept)]) == kept[:PANEL]


def test_the_accounts_that_sit_on_most_panels_are_seated_again():
    assert choose_panel({A, B, C, D, E}, (), {A, B, C, D, E}, {E: 9, D: 5}) == (E, D, A)


def test_fifty_followers_of_the_same_channels_need_three_accounts():
    panels = panels_of({channel: range(1, 51) for channel in range(200)}, range(1, 51))
    settle(panels)
    needed = [account for account in range(1, 51) if panels.needs(AccountId(account))]
    assert len(needed) == PANEL
    loads = [len(panels.read_by(AccountId(account))) for account in needed]
    assert max(loads) - min(loads) <= 1


def test_a_reader_stays_while_it_is_up_or_awaited_and_goes_when_it_is_lost():
    panels = panels_of({1: (A, B, C, D)}, (A, B, C, D))
    settle(panels)
    channel = ChannelId(1)
    assert panels.readers[channel] == A
    panels.up.discard(A)
    panels.awaited.add(A)
    assert panels.elect(channel) == A
    assert panels.reader_now(channel) is None
    assert panels.heard_by(B) == {channel}, "a standby listens until it is back"
    panels.awaited.discard(A)
    assert panels.elect(channel) in (B, C)
    settle(panels)
    panels.up.add(A)
    assert panels.elect(channel) == panels.readers[channel] != A, "whoever took over keeps it"


def test_only_who_reads_or_whose_reader_is_away_passes_pushes_on():
    panels = panels_of({1: (A, B), 2: (A, B)}, (A, B))
    settle(panels)
    assert panels.heard_by(A) | panels.heard_by(B) == {1, 2}
    assert panels.heard_by(A) & panels.heard_by(B) == set()


def test_a_channel_without_members_that_are_up_has_no_reader():
    panels = panels_of({1: (A,), 2: (A, B)}, (B,))
    settle(panels)
    assert panels.reader_now(ChannelId(1)) is None
    assert panels.reader_now(ChannelId(2)) == B
    panels.leave(B, ChannelId(2))
    assert panels.reader_now(ChannelId(2)) is None
    assert panels.elect(ChannelId(2)) is None


@given(st.integers(1, 60), st.integers(2, 5))
def test_one_that_comes_back_takes_its_share_and_no_more(channels, accounts):
    everyone = [AccountId(number) for number in range(1, accounts + 1)]
    panels = panels_of(dict.fromkeys(range(channels), everyone), everyone[1:])
    settle(panels)
    back = everyone[0]
    panels.up.add(back)
    settle(panels)
    taken = panels.fair_share(back)
    for channel in taken:
        panels.appoint(channel, back)
    sitting = [account for account in panels.sat_with(back) if account in panels.up]
    loads = {account: len(panels.read_by(account)) for account in sitting}
    if taken:
        assert loads[back] <= sum(loads.values()) / len(loads) + 1
    elif panels.needs(back):
        assert loads[back] > sum(loads.values()) / len(loads) - UNEVEN
    assert sum(len(panels.read_by(account)) for account in everyone) == channels
