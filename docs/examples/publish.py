import asyncio

from stream_durable import Client


async def main() -> None:
    async with Client() as client:  # of the dev that runs here, or of what the settings name
        await client.publish("payment.captured", key="42", data={"amount": 9.5}, id="payment-7")
        print(await client.run("order-42").result(timeout="30s"))


if __name__ == "__main__":
    asyncio.run(main())
