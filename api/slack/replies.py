"""What the bot replies to one thing it was told, and where: worked out before anything is posted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog

from api.slack.blocks import (
    Posting,
    Shown,
    answer_posting,
    apology,
    cannot_share,
    help_posting,
    outsiders_posting,
    refusal_posting,
    thanks,
)
from api.slack.directory import Directory
from api.slack.errors import OutsiderError, RightsChangedError, SlackRefusedError
from api.slack.questions import is_follow_up, question_of, standalone
from api.slack.words import Identity, Matter, Question, Rating, Share, principal_of
from core.catalog.inbox import Entry
from core.catalog.passages import Reader
from core.errors import AnswerNotFoundError, ThreadwiseError
from core.words import Instant
from generation.answers import Answer, AskRequest, Citation
from generation.budget import QuestionTooLongError
from threadwise.runtime import Threadwise

log = structlog.get_logger(__name__)

COMMAND: Final = "/ask"
"""As the app's manifest names it."""

INVITE: Final = "I cannot write in this conversation: invite me first."

LOOKS: Final = 3
"""How often an answer is made anew because the rights of its readers changed while it was made."""

TALK_MICROS: Final = 15 * 60 * 1_000_000
"""In a direct conversation without threads, what was asked so recently belongs to the same talk."""

SCOPES: Final = {
    "asker": "From what you may read.",
    "workspace": "From what every member of the workspace may read.",
    "conversation": "From what everybody in this conversation may read.",
    "everyone": "Only from what everybody may read, because there are guests here.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is posted, and where: in a thread (empty: in the channel itself), or to a response URL.

    There it `replaces` what stands there already.
    """

    posting: Posting
    channel: str = ""
    thread: str = ""
    response_url: str = ""
    replaces: bool = True
    answer_id: str = ""


@dataclass(frozen=True, slots=True)
class _Readers:
    reader: Reader
    scope: str


class Replies:
    """Works out replies. Thread-safe: it keeps nothing of what was asked."""

    def __init__(
        self,
        threadwise: Threadwise,
        directory: Directory,
        *,
        ask: Callable[[AskRequest], Answer],
        identity: Callable[[], Identity],
    ) -> None:
        self.threadwise = threadwise
        self.directory = directory
        self.ask = ask
        self.identity = identity

    def to(self, matter: Matter, entry: Entry) -> Reply | None:
        """The reply to what an entry is about, None if there is none to give.

        Raises errors of Slack, `RightsChangedError`, and what asking raises where trying again may help.
        """
        if isinstance(matter, Question):
            return self._placed(matter, *self._to_question(entry, matter))
        return self._to_share(matter) if isinstance(matter, Share) else self._to_rating(matter)

    def sorry(self, matter: Matter) -> Reply:
        """The reply to what cannot be answered, whatever the reason."""
        is_ours = matter.team == self.identity().team
        posting = apology(self.threadwise.settings.ask.contact if is_ours else "")
        if isinstance(matter, Question):
            return self._placed(matter, posting, "")
        return Reply(posting=posting, response_url=matter.response_url, replaces=False)

    def _placed(self, question: Question, posting: Posting, answer_id: str) -> Reply:
        if question.where == "command":
            return Reply(posting=posting, response_url=question.response_url, answer_id=answer_id)
        thread = question.thread or question.ts
        return Reply(posting=posting, channel=question.channel, thread=thread, answer_id=answer_id)

    def _to_question(self, entry: Entry, question: Question) -> tuple[Posting, str]:
        text = question_of(question.text, self.identity().user)
        if not text:
            return help_posting(COMMAND), ""
        try:
            whole = self._whole(entry, question, text)
            answer, readers = self._answered(question, whole)
        except OutsiderError:
            return outsiders_posting(), ""
        except QuestionTooLongError as error:
            return refusal_posting(error.message, error.hint), ""
        except SlackRefusedError:
            raise
        except ThreadwiseError as error:
            if error.retryable:
                raise
            # Its words are for whoever runs the service: they may name files and commands.
            log.warning("slack_not_answered", code=error.code)
            return apology(self.threadwise.settings.ask.contact), ""
        shown = _shown(answer, understood="" if whole == text else whole, scope=SCOPES[readers.scope])
        can_share = question.where == "command" and answer.status != "declined" and question.channel[:1] in "CG"
        return answer_posting(shown, can_share=can_share), answer.answer_id

    def _answered(self, question: Question, text: str) -> tuple[Answer, _Readers]:
        """An answer for those who read it now: their rights are the same before and after it was made."""
        readers = self._readers(question)
        for _ in range(LOOKS):
            asker = principal_of(question.team, question.user)
            answer = self.ask(AskRequest(question=text, reader=readers.reader, key_id=asker))
            before, readers = readers, self._readers(question)
            if readers == before and self._may_be_said(answer, readers.reader):
                self._check_stands(question)
                return answer, readers
        raise RightsChangedError("What may be said changed while the answer was made.", hint="It is tried again.")

    def _check_stands(self, question: Question) -> None:
        """Raise `SlackRefusedError` if the question was deleted: Slack says so only of direct messages.

        A reply to a message that is gone would stand in the channel for all.
        """
        if question.where == "channel":
            thread = question.thread or question.ts
            if question.ts not in self.directory.said_in(question.channel, thread):
                raise SlackRefusedError.of("message_not_found")

    def _may_be_said(self, answer: Answer, reader: Reader) -> bool:
        """Whether everything that it quotes and names may still be read: a document may be gone by now."""
        chunks = {citation.chunk_id for citation in answer.citations}
        documents = {document.document_id for document in answer.nearest}
        return self.threadwise.may_read(reader, chunks=chunks, documents=documents)

    def _readers(self, question: Question) -> _Readers:
        if question.where == "channel":
            readers = self.directory.channel(question.channel)
            return _Readers(readers.reader, readers.scope)
        return _Readers(self.directory.asker(question.team, question.user), "asker")

    def _whole(self, entry: Entry, question: Question, text: str) -> str:
        """The question, behind an earlier one if it leans on that. Raises `QuestionTooLongError`."""
        limit = self.threadwise.settings.ask.max_question_chars
        if len(text) > limit:
            raise QuestionTooLongError(f"The question has {len(text)} characters.", hint=f"At most {limit} are read.")
        if question.where == "command" or not is_follow_up(text):
            return text
        return standalone(text, self._earlier(entry, question))

    def _earlier(self, entry: Entry, question: Question) -> list[str]:
        """What was asked before in the same thread or talk, newest first, as it stands there now."""
        asked = [_of_same_talk(question, entry.received_at, *one) for one in self.threadwise.inbox.earlier(entry)]
        stands = self.directory.said_in(question.channel, question.thread) if question.thread and any(asked) else {}
        texts = (stands.get(one.get("ts", ""), "") if question.thread else one.get("text", "") for one in asked if one)
        return [text for raw in texts if (text := question_of(raw, self.identity().user))]

    def _to_share(self, share: Share) -> Reply | None:
        try:
            answer = self.threadwise.answer(share.answer_id)
        except AnswerNotFoundError:
            return None
        if answer.key_id != principal_of(share.team, share.user) or answer.status == "declined":
            return None
        try:
            self.directory.asker(share.team, share.user)  # who has left the company shares nothing any more
            readers = self.directory.channel(share.channel)
            name = self.directory.name_of(share.user)
            is_settled = self.directory.channel(share.channel) == readers
        except OutsiderError:
            return self.cannot_share(share, "There are people from outside the company here.")
        except SlackRefusedError:
            return self.cannot_share(share, INVITE)
        chunks = {str(citation["chunk_id"]) for citation in answer.citations}
        if not is_settled or not self.threadwise.may_read(readers.reader, chunks=chunks):
            return self.cannot_share(share, "Not everybody here may read what it says.")
        shown = Shown(
            status=answer.status,  # type: ignore[arg-type] # the table holds nothing else
            text=answer.text,
            citations=tuple(Citation(**citation) for citation in answer.citations),
            nearest=(),
            answer_id=answer.id,
            understood=answer.question,
            scope=SCOPES[readers.scope],
            asker=name,
        )
        return Reply(posting=answer_posting(shown, shared=True), channel=share.channel, answer_id=answer.id)

    def cannot_share(self, share: Share, reason: str = INVITE) -> Reply:
        """A line for whoever wanted to share, and for nobody else."""
        return Reply(posting=cannot_share(reason), response_url=share.response_url, replaces=False)

    def _to_rating(self, rating: Rating) -> Reply | None:
        rater = principal_of(rating.team, rating.user)
        try:
            self.directory.asker(rating.team, rating.user)
            self.threadwise.rate(rating.answer_id, key_id=rater, value=rating.value)
        except (AnswerNotFoundError, OutsiderError):
            return None
        posting = thanks(rating.value, self.threadwise.settings.ask.contact)
        return Reply(posting=posting, response_url=rating.response_url, replaces=False)


def _of_same_talk(
    question: Question, now: Instant, received: Instant, payload: dict[str, Any]
) -> dict[str, Any] | None:
    """An earlier question of the same talk, None for one of another."""
    same_thread = question.thread and question.thread in (payload.get("thread"), payload.get("ts"))
    recent = question.where == "direct" and not question.thread and now - received < TALK_MICROS
    return payload if same_thread or recent else None


def _shown(answer: Answer, *, understood: str, scope: str) -> Shown:
    return Shown(
        status=answer.status,
        text=answer.text,
        citations=answer.citations,
        nearest=answer.nearest,
        answer_id=answer.answer_id,
        understood=understood,
        scope=scope,
    )
