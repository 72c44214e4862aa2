"""Steps that run in a process of their own, importable by it."""

from __future__ import annotations

import logging
import os
import signal
import time
from typing import Any

from stream_durable import Context, Fail, Workflow
from stream_durable.sdk.answers import Skip

cpu = Workflow("cpu")


@cpu.step(process=True)
def work(ctx: Context, input: dict[str, Any]) -> Any:  # noqa: A002
    do = input["do"]
    if do == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif do == "hang":
        ctx.progress(1, "hanging")
        while True:
            time.sleep(60)
    elif do == "fail":
        raise Fail("odd", "as asked", details=input)
    elif do == "spend":
        ctx.spent(20)
        ctx.spent(3)
        raise Fail("odd", "as asked")
    elif do == "skip":
        return Skip("as asked")
    ctx.put("did", do)
    ctx.progress(50, do)
    print("printed")
    logging.getLogger("shop").warning("logged")
    ctx.log.info("said")
    return {"pid": os.getpid(), "deadline": ctx.deadline is not None, "key": ctx.idempotency_key}


def added(input: dict[str, Any]) -> str:  # noqa: A002
    return str(input["do"])


cpu.add("added", added, process=True)
