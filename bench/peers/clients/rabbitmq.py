"""RabbitMQ: a quorum queue with publisher confirms, over one channel of aiormq."""

from __future__ import annotations

import secrets

import aiormq
from aiormq.abc import AbstractChannel, AbstractConnection

from bench.peers.clients import body

# Should the bench be killed, the server itself removes the queue after so long.
UNUSED_MS = 30 * 60 * 1000
_PERSISTENT = aiormq.spec.Basic.Properties(delivery_mode=2)


class RabbitMQ:
    def __init__(self, connection: AbstractConnection, channel: AbstractChannel) -> None:
        self._connection = connection
        self._channel = channel
        self._queue = f"warouter-bench-{secrets.token_hex(8)}"

    async def declare(self) -> None:
        arguments = {"x-queue-type": "quorum", "x-expires": UNUSED_MS}
        await self._channel.queue_declare(self._queue, durable=True, arguments=arguments)

    async def put(self, number: int) -> None:
        answer = await self._channel.basic_publish(
            body(number), routing_key=self._queue, properties=_PERSISTENT, mandatory=True
        )
        if not isinstance(answer, aiormq.spec.Basic.Ack):
            raise RuntimeError(f"RabbitMQ did not confirm: {answer}")

    async def count(self) -> int:
        found = await self._channel.queue_declare(self._queue, passive=True)
        return int(found.message_count or 0)

    async def close(self) -> None:
        await self._channel.queue_delete(self._queue)
        await self._connection.close()


async def connect(where: str) -> RabbitMQ:
    """``where`` is an AMQP URL."""
    connection = await aiormq.connect(where)
    client = RabbitMQ(connection, await connection.channel(publisher_confirms=True))
    await client.declare()
    return client
