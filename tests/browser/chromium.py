"""Chromium without a screen, driven by the W3C's WebDriver protocol, in the event loop of the test."""

import asyncio
import base64
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

# The name that the protocol has for an element's key.
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class NoBrowser(Exception):
    """There is no Chromium on this machine, or nothing to drive it with."""


class Browser:
    """A window of the browser."""

    def __init__(self, client: httpx.AsyncClient, session: str) -> None:
        self._client = client
        self._session = session

    async def open(self, url: str) -> None:
        await self._ask("url", url=url)

    async def text(self) -> str:
        """Return all that the page shows."""
        return str(await self._ask("execute/sync", script="return document.body.innerText", args=[]))

    async def run(self, script: str) -> Any:
        """Run a script in the page and return what it returns."""
        return await self._ask("execute/sync", script=script, args=[])

    async def write(self, selector: str, text: str) -> None:
        """Write into the first element that matches a selector of CSS, in the place of what is in it."""
        element = await self._element(selector)
        await self._ask(f"element/{element}/clear")
        await self._ask(f"element/{element}/value", text=text)

    async def click(self, selector: str) -> None:
        """Click on the first element that matches a selector of CSS, and wait for the page that follows, if any."""
        await self._ask(f"element/{await self._element(selector)}/click")

    async def photograph(self) -> bytes:
        """Return a picture of the page, in PNG."""
        response = await self._client.get(f"/session/{self._session}/screenshot")
        return base64.b64decode(response.json()["value"])

    async def _element(self, selector: str) -> str:
        found = await self._ask("element", using="css selector", value=selector)
        return str(found[ELEMENT])

    async def _ask(self, command: str, **parameters: object) -> Any:
        response = await self._client.post(f"/session/{self._session}/{command}", json=parameters)
        value = response.json()["value"]
        if response.is_error:
            raise AssertionError(f"The browser could not do {command} {parameters}: {value['message']}")
        return value


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Start Chromium, and end it with the block. Raise NoBrowser, which says what to install, where it is not there."""
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    if None in programs.values():
        missing = ", ".join(name for name, path in programs.items() if path is None)
        raise NoBrowser(f"There is no {missing} on the PATH: apt-get install chromium chromium-driver")
    driver = await asyncio.create_subprocess_exec(
        str(programs["chromedriver"]),
        "--port=0",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{await _port(driver)}", timeout=60) as client:
            arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,900"]
            wanted = {"alwaysMatch": {"goog:chromeOptions": {"args": arguments, "binary": programs["chromium"]}}}
            begun = (await client.post("/session", json={"capabilities": wanted})).json()["value"]
            if "sessionId" not in begun:
                raise NoBrowser(f"Chromium did not start: {begun['message']}")
            try:
                yield Browser(client, begun["sessionId"])
            finally:
                await client.delete(f"/session/{begun['sessionId']}")
    finally:
        # With all processes of the browser's, which keep the pipe open.
        os.killpg(driver.pid, signal.SIGKILL)
        await driver.wait()


async def _port(driver: asyncio.subprocess.Process) -> int:
    assert driver.stdout is not None
    async for line in driver.stdout:
        # "ChromeDriver was started successfully on port 34567."
        if b"on port" in line and b"success" in line:
            return int(line.strip().rstrip(b".").rpartition(b" ")[2])
    raise NoBrowser("chromedriver ended before it said on which port it listens.")
