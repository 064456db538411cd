"""Buttons below an answer, and each thing that can go wrong at Slack while one is posted."""

import pytest

from tests.support.slack_company import (
    ADA,
    BEN,
    GENERAL,
    Bot,
    buttons,
    says,
)
from tests.support.slack_workspace import Message

LEAVE = "How many days of leave can be carried over?"
MERGER = "When does the merger with Harbour Foods close?"


def posts(bot: Bot, channel: str) -> list[Message]:
    bot.settled()
    return bot.slack.posted_by_bot(channel)


class TestSharing:
    def test_an_answer_that_all_may_read_is_shared_by_its_asker(self, bot: Bot) -> None:
        bot.command(GENERAL, ADA, LEAVE)
        bot.settled()
        bot.click(GENERAL, ADA, bot.shown(GENERAL, ADA), "share")
        reply = bot.reply(GENERAL)
        assert says(reply, "five days", LEAVE)

    def test_an_answer_from_a_private_channel_is_not(self, bot: Bot) -> None:
        bot.command(GENERAL, ADA, MERGER)
        bot.settled()
        bot.click(GENERAL, ADA, bot.shown(GENERAL, ADA), "share")
        refusal = bot.shown(GENERAL, ADA, 2)
        assert says(refusal, "cannot share")
        assert posts(bot, GENERAL) == []

    def test_it_stands_there_once_however_often_it_is_clicked_and_names_who_shared_it(self, bot: Bot) -> None:
        bot.command(GENERAL, ADA, f"{LEAVE} See https://evil.example/sso <!channel>")
        bot.settled()
        answer = bot.shown(GENERAL, ADA)
        bot.click(GENERAL, ADA, answer, "share")
        bot.click(GENERAL, ADA, answer, "share")
        shared = posts(bot, GENERAL)
        assert len(shared) == 1
        assert says(shared[0], "Shared by Ada")
        assert not says(shared[0], "evil.example")

    def test_where_the_bot_may_not_write_its_asker_is_told(self, bot: Bot) -> None:
        bot.slack.leave(GENERAL, bot.slack.bot_user)
        bot.command(GENERAL, ADA, LEAVE)
        bot.settled()
        bot.click(GENERAL, ADA, bot.shown(GENERAL, ADA), "share")
        assert says(bot.shown(GENERAL, ADA, 2), "invite me first")

    def test_who_has_left_the_company_shares_and_rates_nothing_any_more(self, bot: Bot) -> None:
        bot.command(GENERAL, ADA, LEAVE)
        bot.settled()
        answer = bot.shown(GENERAL, ADA)
        bot.slack.change_user(ADA, deleted=True)
        bot.click(GENERAL, ADA, answer, "share")
        bot.click(GENERAL, ADA, answer, "helpful")
        assert posts(bot, GENERAL) == []
        assert rating_of(bot, answer, ADA) == []

    def test_nobody_else_shares_it(self, bot: Bot) -> None:
        bot.command(GENERAL, ADA, LEAVE)
        bot.settled()
        bot.click(GENERAL, BEN, bot.shown(GENERAL, ADA), "share")
        assert posts(bot, GENERAL) == []

    def test_what_was_declined_has_nothing_to_share(self, bot: Bot) -> None:
        bot.command(GENERAL, ADA, "What colour is the moon of Jupiter called Io?")
        bot.settled()
        assert "share" not in [button["action_id"] for button in buttons(bot.shown(GENERAL, ADA))]


class TestRating:
    def test_a_rating_is_kept_for_its_giver_and_thanked_for_in_private(self, bot: Bot) -> None:
        bot.mention(GENERAL, ADA, LEAVE)
        reply = bot.reply(GENERAL)
        bot.click(GENERAL, BEN, reply, "helpful")
        assert says(bot.shown(GENERAL, BEN), "Thank you")
        bot.click(GENERAL, BEN, reply, "unhelpful")
        bot.shown(GENERAL, BEN, 2)
        bot.settled()
        assert rating_of(bot, reply, BEN) == [-1]
        assert len(posts(bot, GENERAL)) == 1


def rating_of(bot: Bot, message: Message, user: str) -> list[int]:
    from sqlalchemy import select  # noqa: PLC0415 - looks where no door leads

    from core import tables as t  # noqa: PLC0415

    answer_id = buttons(message)[0]["value"]
    who = f"{bot.slack.team}/{user}"
    wanted = select(t.feedback.c.value).where(t.feedback.c.answer_id == answer_id, t.feedback.c.key_id == who)
    with bot.threadwise.database.read() as session:
        return list(session.execute(wanted).scalars())


class TestTrouble:
    def test_slack_asking_for_a_pause_gets_it(self, bot: Bot) -> None:
        bot.slack.limit("chat.postMessage", retry_after=1, times=2)
        bot.mention(GENERAL, ADA, LEAVE)
        assert says(bot.reply(GENERAL), "five days")
        assert len(posts(bot, GENERAL)) == 1

    def test_a_call_whose_result_nobody_heard_is_not_repeated_blindly(self, bot: Bot) -> None:
        bot.slack.drop_answer("chat.postMessage")
        bot.mention(GENERAL, ADA, LEAVE)
        bot.settled()
        assert len(posts(bot, GENERAL)) == 1
        assert len(bot.slack.calls_of("chat.postMessage")) == 1

    def test_a_call_that_did_not_arrive_is_repeated(self, bot: Bot) -> None:
        bot.slack.drop_before("chat.postMessage")
        bot.mention(GENERAL, ADA, LEAVE)
        bot.settled()
        assert len(posts(bot, GENERAL)) == 1
        assert len(bot.slack.calls_of("chat.postMessage")) == 2

    @pytest.mark.parametrize("error", ["internal_error", 500, 503])
    def test_slack_failing_is_waited_out(self, bot: Bot, error: str | int) -> None:
        bot.slack.fail("chat.postMessage", error, times=1)
        bot.mention(GENERAL, ADA, LEAVE)
        bot.settled()
        assert len(posts(bot, GENERAL)) == 1

    def test_blocks_that_slack_refuses_are_replaced_by_plain_text(self, bot: Bot) -> None:
        bot.slack.fail("chat.postMessage", "invalid_blocks", times=1)
        bot.mention(GENERAL, ADA, LEAVE)
        reply = bot.reply(GENERAL)
        assert reply.blocks == []
        assert says(reply, "five days")

    def test_blocks_that_slack_refuses_for_a_command_are_replaced_too(self, bot: Bot) -> None:
        bot.slack.fail("response_url", "invalid_blocks", times=1)
        bot.command(GENERAL, ADA, LEAVE)
        bot.settled()
        assert says(bot.slack.shown_to(GENERAL, ADA)[-1], "five days")

    def test_a_channel_that_is_gone_ends_the_question(self, bot: Bot) -> None:
        hold = bot.slack.hold("chat.postMessage")
        bot.mention(GENERAL, ADA, LEAVE)
        hold.wait_until_reached()
        bot.slack.archive(GENERAL)
        hold.release()
        bot.settled()
        assert bot.slack.posted_by_bot(GENERAL) == []

    def test_the_same_event_many_times_has_one_reply(self, bot: Bot) -> None:
        envelope = bot.mention(GENERAL, ADA, LEAVE)
        for _ in range(3):
            assert bot.send(envelope) in (200, 401)  # 401: the very same request of the same second
        assert len(posts(bot, GENERAL)) == 1

    def test_two_events_about_one_message_have_one_reply(self, bot: Bot) -> None:
        channel = bot.slack.direct(ADA)
        ts = bot.slack.say(channel, ADA, LEAVE)
        bot.tell(bot.slack.events.message(channel, ADA, LEAVE, ts=ts))
        bot.tell(bot.slack.events.app_mention(channel, ADA, LEAVE, ts=ts))
        assert len(posts(bot, channel)) == 1
