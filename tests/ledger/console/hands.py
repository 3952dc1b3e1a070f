"""Somebody at a browser who uses the keyboard alone: what they do is counted, and told."""

import os
import time

# What is a file, and no page to look at.
FILES = ("/list", "/open", ".xlsx", "/lists/merchants", "/lists/readers")
SHOTS = os.environ.get("ONECARD_SHOTS") == "1"


class Hands:
    """A page, and hands that never leave the keys; an action is a key, or a text typed at once."""

    def __init__(self, page):
        self.page = page
        self.actions = 0
        self._begun_s = time.monotonic()

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)
            self.actions += 1

    def type(self, text):
        self.page.keyboard.type(text)
        self.actions += 1

    def find(self, text):
        """Search, and be on the page of what fits alone."""
        self.press("/")
        self.type(text)
        self.go("Enter")

    def go(self, *keys):
        """Press them; the last one leads to another page."""
        self.press(*keys[:-1])
        with self.page.expect_navigation():
            self.press(keys[-1])
        self.page.wait_for_selector("body[data-ready]")

    def told(self, job):
        """Print what the job took; that is this machine's, and nothing is held to it."""
        print(f"{job}: {self.actions} actions, {time.monotonic() - self._begun_s:.1f} s")

    def shoot(self, repo_root, name):
        if SHOTS:
            self.page.screenshot(path=repo_root / "docs" / "img" / f"{name}.png", full_page=True)
