"""How gunicorn serves the shop: workers of many threads, each with a scheduler."""

import os
import time

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from core.config import Config
from core.scheduler import STOP_SECONDS, Scheduler
from storefront.letters.writer import writer

# The library `schedule` compares local times: at the end of summer time it would wait
# for an hour.
os.environ["TZ"] = "UTC"
time.tzset()

bind = f"127.0.0.1:{Config.from_env(os.environ).storefront_port}"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "gthread"
# A checkout waits for Stripe most of the time: with few threads the worker would idle.
threads = 64
timeout = 60
# A worker is killed after this; by then it has waited for its scheduler.
graceful_timeout = STOP_SECONDS + 2
keepalive = 5
loglevel = "warning"
accesslog = None
# The control socket would be shared by all gunicorns of a user, in their home.
control_socket_disable = True


def post_worker_init(worker: Worker) -> None:
    """Start the scheduler in the worker: a thread does not survive the fork."""
    app = worker.wsgi
    scheduler = Scheduler(app.extensions["shop"], writer(app))
    app.extensions["scheduler"] = scheduler
    scheduler.start()


def worker_exit(_server: Arbiter, worker: Worker) -> None:
    """Stop the scheduler after the pass that is under way."""
    app = getattr(worker, "wsgi", None)
    if app is not None:
        app.extensions["scheduler"].stop()
