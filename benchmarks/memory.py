"""What a storefront process keeps of the checkouts that it has served."""

from collections.abc import Iterator

from benchmarks.http_load import Requests
from benchmarks.load import Fill
from benchmarks.measure import Finding, at_most, exactly
from benchmarks.served import SHOP, served
from benchmarks.stand import POSTGRESQL, Stand
from benchmarks.web import checkout
from tests.emulator import EmulatorServer

CONNECTIONS = 16
PORTION = 5_000


def memory(stand: Stand) -> Iterator[Finding]:
    """Memory of a storefront process after many checkouts, beside that after few."""
    few, many = stand.sizes.few_checkouts, stand.sizes.many_checkouts
    with (
        EmulatorServer() as stripe,
        stand.database(POSTGRESQL, Fill()) as url,
        served(SHOP, url, stripe, stand.folder, workers=1) as server,
    ):

        def serve(first: int, last: int) -> float:
            done = first
            while done < last:
                stand.say(f"memory: {done:,} of {many:,} checkouts")
                most = min(PORTION, last - done) - 2 * CONNECTIONS
                load = Requests(server.port, checkout, CONNECTIONS, most=most)
                stand.clients.run(load)
                done += load.warm_up + load.most
            return server.memory_mb()

        after_few = serve(0, few)
        after_many = serve(few, many)
    yield Finding(
        what=f"memory of a worker after {many:,} checkouts",
        engine=POSTGRESQL,
        clients=str(CONNECTIONS),
        unit="MB",
        measured=exactly(after_many),
        floor=f"after {few:,}",
        floor_samples=exactly(after_few),
        target=at_most(1.1),
    )
