"""An HTTP server over a bundle: recommend, profile, explain and link, for people a service has never seen.

    messages    the shapes of questions and answers, which the OpenAPI document is made of
    answers     from a question and an open bundle to an answer; no HTTP, no threads
    batching    profiles of many requests encoded together
    hosting     the bundle that is served, and another one taking its place without a dropped or mixed request
    desk        work off the event loop: so many requests at once, so many waiting, so long at most
    guard       what stands before every route: host name, token, body size, one line for every failure, the log
    routes, app the routes, and `create_app(bundle, settings)`
    run         `mekb serve`: the socket, signals, and who may listen where

It answers what the command line answers; `docs/serving.md` shows every question with its answer.
"""

from mekb.serve.app import create_app
from mekb.serve.settings import ServeSettings

__all__ = ["ServeSettings", "create_app"]
