"""What was deployed within a time: versions of workflows, the latest first."""

from __future__ import annotations

from stream_durable import Workflow
from stream_durable.client import Deployment
from stream_durable.testing import Engine


async def test_versions_are_listed_as_they_were_registered_the_latest_first() -> None:
    with Engine.memory() as engine:

        def deployed(since: str) -> list[Deployment]:
            found: list[Deployment] = engine.ask(lambda: engine._target.deployments(since))
            return found

        assert deployed("7d") == []
        made = [Workflow(name) for name in ("order", "parcel", "notice")]
        for each in made:
            each.add("a", lambda: 1)
            await engine.until(await engine.start(each), "completed")
            await engine.advance("1d")
        found = deployed("7d")
        names = [(each.name, each.fingerprint) for each in reversed(made)]
        assert [(one.workflow, one.fingerprint) for one in found] == names
        assert found[0].at > found[1].at > found[2].at
        assert deployed("36h") == found[:1]
