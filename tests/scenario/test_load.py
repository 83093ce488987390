# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the load of a server reaches its registrar."""
import rsp

ACCEPT = """
import asyncio
async def serve(reader, writer):
    await reader.read()  # until the client closes
    writer.close()
async def main():
    server = await asyncio.start_server(serve, '0.0.0.0', 8080, backlog=1024)
    await server.serve_forever()
asyncio.run(main())
"""
CONNECT = """
import signal, socket, sys
held = [socket.create_connection(('127.0.0.1', 8080)) for _ in range(int(sys.argv[1]))]
signal.pause()
"""
CAPACITY = 500
STEP = 5  # 1 %: what is less is not told


def test_registered_again_when_the_load_changes(agent):
    """policies:P-41: when it has changed by a hundredth, and when nothing is left of it. (How often
    at most: see the watch's own test.)"""
    registrar = getattr(agent, "registrar", agent)
    agent.start(rsp.PYTHON, "-c", ACCEPT, name="server", pool="lu",
                env={"RSP_POLICY": "lu", "RSP_CAPACITY": str(CAPACITY)})
    agent.wait_pes("lu", 1, state="up")

    def connect(count):
        return agent.start(rsp.PYTHON, "-c", CONNECT, count, name=f"clients-{count}")

    def load():
        (pe,) = registrar.pes("lu")
        return round(pe["load_percent"], 1)

    def wait_load(percent):
        def told():
            assert load() == percent
            return True
        rsp.wait_until(told, 15, f"a load of {percent} % at the registrar")

    def wait_seen(count):
        rsp.wait_until(lambda: agent.pes("lu", local=True)[0]["connections"] == count, 15,
                       f"{count} connections seen")

    few = connect(STEP - 1)
    wait_seen(STEP - 1)
    assert load() == 0, "less than a step is not told"
    many = connect(300)
    wait_load((300 + STEP - 1) * 100 / CAPACITY)
    many.kill()
    wait_load((STEP - 1) * 100 / CAPACITY)
    few.kill()
    wait_load(0)
