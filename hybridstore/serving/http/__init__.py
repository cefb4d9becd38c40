"""A store over HTTP: an API for programs in any language, and the page that people look at.

serve(Memory("notes.db"), port=8766)                       until the process is stopped
create_app(Context(Memory("notes.db")), Names.of("127.0.0.1", 8766))    the ASGI app, to run or to test
"""

from __future__ import annotations

from hybridstore.errors import MissingExtra

try:
    from hybridstore.serving.http.app import create_app
    from hybridstore.serving.http.context import Context
    from hybridstore.serving.http.server import HOST, PORT, serve
except ModuleNotFoundError as error:
    if (error.name or "").startswith("hybridstore"):
        raise
    raise MissingExtra("serve", "serving a store over HTTP", "fastapi and uvicorn") from error

__all__ = ["HOST", "PORT", "Context", "create_app", "serve"]
