"""How gunicorn serves the shop: workers of many threads, each with a scheduler."""

import os
import time

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from core.config import Config
from core.scheduler import Scheduler
from storefront.letters.writer import writer

# The scheduler's library compares local times: it would pause for the hour that repeats
# when summer time ends.
os.environ["TZ"] = "UTC"
time.tzset()

bind = f"127.0.0.1:{Config.from_env(os.environ).storefront_port}"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "gthread"
# A checkout mostly waits for Stripe; with few threads the shop would be idle.
threads = 64
timeout = 60
graceful_timeout = 8
keepalive = 5
loglevel = "warning"
accesslog = None
# It would be one socket in the user's home, shared by all of their gunicorns.
control_socket_disable = True


def post_worker_init(worker: Worker) -> None:
    """Start the scheduler in the worker: a thread does not survive the fork."""
    app = worker.wsgi
    scheduler = Scheduler(app.extensions["shop"], writer(app))
    app.extensions["scheduler"] = scheduler
    scheduler.start()


def worker_exit(_server: Arbiter, worker: Worker) -> None:
    """Stop the scheduler after the pass that is running."""
    app = getattr(worker, "wsgi", None)
    if app is not None:
        app.extensions["scheduler"].stop()
