"""The HTTP API: every verb of the client as a route, live changes, and the page.

`stream-durable api` serves it. A host's own ASGI application mounts it in one line:

    host.mount("/durable", create_app())

It takes the extra `server` (FastAPI and uvicorn), and nothing else imports it.
"""

from stream_durable.api.serving import create_app

__all__ = ["create_app"]
