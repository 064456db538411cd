"""What people in Slack see: every way to ask, who reads along, and each thing that can go wrong at Slack."""

from pathlib import Path

from tests.support.installation import write_pages
from tests.support.slack_company import (
    ADA,
    BEN,
    BOARD,
    GENERAL,
    GUEST,
    OUTSIDER,
    PEOPLE,
    Bot,
    buttons,
    says,
)
from tests.support.slack_server import SlackServer
from tests.support.slack_workspace import Message

LEAVE = "How many days of leave can be carried over?"
BUDGET = "How much is the ferry budget for the summer trip?"
SEVERANCE = "How many weeks is the severance package for the Leeds team?"
MERGER = "When does the merger with Harbour Foods close?"


def is_declined(message: Message) -> bool:
    return says(message, "Nothing found")


def posts(bot: Bot, channel: str) -> list[Message]:
    bot.settled()
    return bot.slack.posted_by_bot(channel)


class TestAsking:
    def test_a_mention_is_answered_in_its_thread_with_quote_and_source(self, bot: Bot) -> None:
        ts = bot.mention(GENERAL, ADA, LEAVE).event["ts"]
        reply = bot.reply(GENERAL)
        assert reply.thread_ts == ts
        assert says(reply, "Up to five days of leave can be carried over", "Leave", "leave.md")
        assert [button["action_id"] for button in buttons(reply)] == ["helpful", "unhelpful"]

    def test_a_slack_source_is_linked_to_where_it_was_said(self, bot: Bot) -> None:
        bot.direct(ADA, BUDGET)
        reply = bot.reply(bot.slack.direct(ADA))
        assert says(reply, "480 euros")

    def test_a_direct_message_is_answered_with_the_rights_of_its_writer(self, bot: Bot) -> None:
        bot.direct(ADA, MERGER)
        assert says(bot.reply(bot.slack.direct(ADA)), "second of November")
        bot.direct(BEN, MERGER)
        assert not says(bot.reply(bot.slack.direct(BEN)), "November")

    def test_a_follow_up_in_the_thread_is_understood_with_what_came_before(self, bot: Bot) -> None:
        ts = bot.mention(GENERAL, ADA, "How many days of leave do I have each year?").event["ts"]
        bot.reply(GENERAL)
        bot.mention(GENERAL, ADA, "And how many can be carried over?", thread_ts=ts)
        reply = bot.reply(GENERAL, 2)
        assert reply.thread_ts == ts
        assert says(reply, "five days")

    def test_a_question_that_was_deleted_is_not_repeated_by_a_follow_up(self, bot: Bot) -> None:
        ts = bot.mention(GENERAL, ADA, "How many days of leave does Dora Quill have, who will go?").event["ts"]
        bot.reply(GENERAL)
        bot.slack.delete_message(GENERAL, ts)
        bot.mention(GENERAL, BEN, "And how many can be carried over?", thread_ts=ts)
        bot.settled()
        assert not says(bot.slack.posted_by_bot(GENERAL)[-1], "Dora Quill")

    def test_a_question_in_a_channel_that_is_deleted_while_it_is_answered_gets_none(self, bot: Bot) -> None:
        hold = bot.slack.hold("conversations.members")
        ts = bot.mention(GENERAL, ADA, LEAVE).event["ts"]
        hold.wait_until_reached()
        bot.slack.delete_message(GENERAL, ts)
        hold.release()
        assert posts(bot, GENERAL) == []

    def test_a_deleted_question_with_replies_is_not_taken_for_what_slack_writes_in_its_place(self, bot: Bot) -> None:
        ts = bot.mention(GENERAL, ADA, "How many days of leave do I have each year?").event["ts"]
        bot.reply(GENERAL)
        with bot.slack.lock:
            stone = bot.slack.conversations[GENERAL].find(ts)
            assert stone is not None
            stone.subtype, stone.text, stone.user = "tombstone", "This message was deleted.", "USLACKBOT"
        bot.mention(GENERAL, ADA, "And how many can be carried over?", thread_ts=ts)
        assert not says(bot.reply(GENERAL, 2), "was deleted")

    def test_a_question_that_is_too_long_is_refused_with_the_limit(self, bot: Bot) -> None:
        bot.direct(ADA, "word " * 1500)
        assert says(bot.reply(bot.slack.direct(ADA)), "At most 2000 are read")

    def test_a_command_is_answered_for_its_asker_alone_in_place_of_the_first_line(self, bot: Bot) -> None:
        bot.command(GENERAL, ADA, MERGER)
        reply = bot.shown(GENERAL, ADA)
        bot.settled()
        assert says(reply, "second of November")
        assert len(bot.slack.shown_to(GENERAL, ADA)) == 1
        assert posts(bot, GENERAL) == []

    def test_nothing_asked_is_answered_with_how_to_ask(self, bot: Bot) -> None:
        bot.mention(GENERAL, ADA, "")
        assert says(bot.reply(GENERAL), "Ask me a whole question")

    def test_what_nothing_answers_is_declined_and_names_whom_to_ask(self, bot: Bot) -> None:
        bot.mention(GENERAL, ADA, "What colour is the moon of Jupiter called Io?")
        reply = bot.reply(GENERAL)
        assert is_declined(reply)
        assert says(reply, "#people-help")

    def test_no_call_lets_slack_unfold_links_or_read_names(self, bot: Bot) -> None:
        bot.mention(GENERAL, ADA, LEAVE)
        bot.command(GENERAL, ADA, LEAVE)
        bot.settled()
        written = [*bot.slack.calls_of("chat.postMessage"), *bot.slack.calls_of("response_url")]
        assert len(written) == 2
        for call in written:
            assert str(call.arguments["unfurl_links"]).lower() == "false"
            assert str(call.arguments["unfurl_media"]).lower() == "false"
        assert not bot.slack.calls_of("chat.update")

    def test_bots_and_edits_are_not_answered(self, bot: Bot) -> None:
        ts = bot.slack.say(GENERAL, ADA, "hello")
        bot.tell(bot.slack.events.bot_message(bot.slack.direct(ADA), LEAVE))
        bot.tell(bot.slack.events.message_changed(GENERAL, ts, LEAVE))
        bot.settled()
        assert posts(bot, GENERAL) == []
        assert bot.slack.posted_by_bot(bot.slack.direct(ADA)) == []

    def test_a_question_that_is_deleted_before_its_answer_gets_none(self, bot: Bot) -> None:
        hold = bot.slack.hold("conversations.members")
        ts = bot.mention(GENERAL, ADA, LEAVE).event["ts"]
        hold.wait_until_reached()
        bot.tell(bot.slack.events.message_deleted(GENERAL, ts))
        hold.release()
        assert posts(bot, GENERAL) == []


class TestRights:
    def test_in_a_channel_nothing_is_said_from_a_private_one_though_the_asker_may_read_it(self, bot: Bot) -> None:
        bot.mention(GENERAL, ADA, SEVERANCE)
        assert not says(bot.reply(GENERAL), "nine weeks")

    def test_in_its_own_private_channel_it_is_said(self, bot: Bot) -> None:
        bot.mention(PEOPLE, BEN, SEVERANCE)
        assert says(bot.reply(PEOPLE), "nine weeks")

    def test_in_another_private_channel_it_is_not_even_among_the_same_people(self, bot: Bot) -> None:
        bot.mention(BOARD, ADA, SEVERANCE)
        assert not says(bot.reply(BOARD), "nine weeks")

    def test_with_a_guest_in_the_channel_only_what_everybody_may_read_is_said(self, bot: Bot) -> None:
        bot.slack.join(GENERAL, GUEST)
        bot.mention(GENERAL, ADA, BUDGET)
        assert not says(bot.reply(GENERAL), "480 euros")
        bot.mention(GENERAL, ADA, LEAVE)
        assert says(bot.reply(GENERAL, 2), "five days")

    def test_who_left_a_private_channel_today_reads_it_no_more(self, bot: Bot) -> None:
        bot.direct(BEN, SEVERANCE)
        assert says(bot.reply(bot.slack.direct(BEN)), "nine weeks")
        bot.slack.leave(PEOPLE, BEN)
        bot.direct(BEN, SEVERANCE)
        assert not says(bot.reply(bot.slack.direct(BEN), 2), "nine weeks")

    def test_who_joined_a_private_channel_today_reads_it(self, bot: Bot) -> None:
        bot.slack.join(BOARD, BEN)
        bot.direct(BEN, MERGER)
        assert says(bot.reply(bot.slack.direct(BEN)), "second of November")

    def test_a_public_channel_that_was_made_private_today_is_read_by_its_members_alone(self, bot: Bot) -> None:
        bot.slack.leave(GENERAL, BEN)
        with bot.slack.lock:
            bot.slack.conversations[GENERAL].kind = "private"
        bot.tell(bot.slack.events.member_left_channel(BOARD, ADA))  # any change of a conversation
        bot.direct(BEN, BUDGET)
        assert not says(bot.reply(bot.slack.direct(BEN)), "480 euros")
        bot.direct(ADA, BUDGET)
        assert says(bot.reply(bot.slack.direct(ADA)), "480 euros")
        bot.mention(PEOPLE, ADA, BUDGET)
        assert not says(bot.reply(PEOPLE), "480 euros")

    def test_a_guest_who_left_a_private_channel_does_not_read_it_when_it_becomes_public(self, bot: Bot) -> None:
        with bot.slack.lock:
            bot.slack.conversations[PEOPLE].kind = "public"
        bot.slack.change_user(BEN, is_restricted=True)
        bot.slack.leave(PEOPLE, BEN)
        bot.tell(bot.slack.events.member_left_channel(BOARD, ADA))
        bot.direct(BEN, SEVERANCE)
        assert not says(bot.reply(bot.slack.direct(BEN)), "nine weeks")

    def test_a_document_that_is_withdrawn_while_its_answer_is_made_is_not_quoted(
        self, bot: Bot, filled: tuple[Path, SlackServer]
    ) -> None:
        pages = filled[0].parent / "pages"
        bot.threadwise.ingest(write_pages(pages, {"rope.md": "# Rope\n\nThe rope is 19 metres long.\n"}), name="rope")
        before = bot.slack.hold("conversations.members", after_effect=True)
        bot.mention(GENERAL, ADA, "How many metres long is the rope?")
        before.wait_until_reached()
        after = bot.slack.hold("conversations.members", after_effect=True)
        before.release()
        after.wait_until_reached()
        bot.threadwise.ingest(write_pages(pages, {}), name="rope", allow_empty=True)
        after.release()
        assert not says(bot.reply(GENERAL), "19 metres")

    def test_where_people_from_outside_read_along_nothing_is_answered(self, bot: Bot) -> None:
        bot.slack.share(GENERAL, "T0ELSEWHERE")
        bot.slack.join(GENERAL, OUTSIDER)
        bot.mention(GENERAL, ADA, LEAVE)
        reply = bot.reply(GENERAL)
        assert says(reply, "only people of this company")
        assert not says(reply, "five days")

    def test_an_outsider_is_not_answered(self, bot: Bot) -> None:
        bot.direct(OUTSIDER, LEAVE)
        assert says(bot.reply(bot.slack.direct(OUTSIDER)), "only people of this company")

    def test_rights_that_change_while_the_answer_is_made_hold_for_it(self, bot: Bot) -> None:
        hold = bot.slack.hold("conversations.members", after_effect=True)
        bot.mention(PEOPLE, ADA, BUDGET)
        hold.wait_until_reached()
        bot.slack.join(PEOPLE, GUEST)
        hold.release()
        assert not says(bot.reply(PEOPLE), "480 euros")

    def test_without_slacks_word_on_who_reads_there_is_no_answer_yet(self, bot: Bot) -> None:
        bot.slack.fail("conversations.members", "internal_error", times=2)
        bot.mention(GENERAL, ADA, LEAVE)
        assert says(bot.reply(GENERAL), "five days")
        assert len(bot.slack.calls_of("conversations.members")) >= 4
