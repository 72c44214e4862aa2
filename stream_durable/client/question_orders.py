"""What people do about a question of a run."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from stream_durable.client.edge import Edge
from stream_durable.client.inputs import answer_to, assignment_of, claim_of, comment_on
from stream_durable.core.messages import RunMessage
from stream_durable.core.run.state import Run
from stream_durable.sdk.given import drawn


class QuestionOrders:
    """Answers, claims, assignments and comments on questions of one run."""

    _edge: Edge

    @abstractmethod
    async def _tell(self, message: RunMessage) -> str: ...

    @abstractmethod
    async def _thawed(self) -> Run: ...

    async def answer(
        self,
        wait: str,
        value: Any,
        *,
        by: str = "",
        comment: str = "",
        id: str | None = None,  # noqa: A002 - the word for it everywhere
    ) -> str:
        """Answer the question of a step; each `id` counts once, and the first fitting answer wins.

        Raises `RejectedError` for an unfit answer, naming the field, and without an open question.
        """
        run, data = await self._thawed(), self._edge.values.plain(value, f"the answer to {wait!r}")
        return await self._tell(answer_to(run, wait, data, by=by, comment=comment, id=id or drawn()))

    async def claim(
        self,
        wait: str,
        by: str,
        *,
        id: str | None = None,  # noqa: A002 - the word for it everywhere
    ) -> str:
        """Take a question on for somebody; refused if it is somebody else's."""
        return await self._tell(claim_of(await self._thawed(), wait, by, id=id or drawn()))

    async def assign(
        self,
        wait: str,
        to: str,
        *,
        role: str | None = None,
        by: str = "",
        comment: str = "",
        id: str | None = None,  # noqa: A002 - the word for it everywhere
    ) -> str:
        """Hand a question over to somebody, or with `""` back to anybody of its role, or of another."""
        run, order = await self._thawed(), id or drawn()
        return await self._tell(assignment_of(run, wait, to, role, by=by, comment=comment, id=order))

    async def comment(
        self,
        wait: str,
        text: str,
        *,
        by: str = "",
        id: str | None = None,  # noqa: A002 - the word for it everywhere
    ) -> str:
        """Note something beside a question."""
        return await self._tell(comment_on(await self._thawed(), wait, text, by=by, id=id or drawn()))
