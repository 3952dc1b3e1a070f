"""Somebody at a browser who uses the keyboard alone: each key is counted, and told."""

import os
import time

# What is a file, and no page to look at.
FILES = ("/list", "/open", ".xlsx", "/lists/merchants", "/lists/readers")
SHOTS = os.environ.get("ONECARD_SHOTS") == "1"
TAB_MAX = 120
JOB = "persona job"


class Hands:
    """A page, and hands that never leave the keys.

    An action is a key pressed, a text typed at once, or a tap on the reader at the counter, which
    types for the clerk; `keys` counts every letter of the texts too. `record`: what takes a job
    that is told (a name and (persona, job, actions, keys, seconds)).
    """

    def __init__(self, page, record=None):
        self.page = page
        # For good: waited for anew each time, a window of files that opens at once is missed.
        page.on("filechooser", lambda chooser: None)
        self._record = record
        self.begin()

    def begin(self):
        """What is done from now on is counted."""
        self.actions = self.keys = 0
        self._begun_s = time.monotonic()

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)
            self.actions += 1
            self.keys += 1

    def type(self, text):
        self.page.keyboard.type(text)
        self.actions += 1
        self.keys += len(text)

    def tap(self, text):
        """A card on the reader at the counter, which types its number and Enter."""
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")
        self.actions += 1

    def reach(self, locator):
        """Tab until that has the focus, as somebody does who sees it."""
        element = locator.first
        element.wait_for(state="visible")
        for _ in range(TAB_MAX):
            if element.evaluate("one => one === document.activeElement"):
                return
            self.press("Tab")
        raise AssertionError("no key leads there")

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

    def follow(self, locator):
        """To what has the focus next, and through it."""
        self.reach(locator)
        self.go("Enter")

    def choose(self, locator, file):
        """A file, in the window that Space opens on its field."""
        self.reach(locator)
        with self.page.expect_file_chooser() as chooser:
            self.press("Space")
        chooser.value.set_files(file)

    def taken(self, locator):
        """The file that comes of a link or a button."""
        self.reach(locator)
        with self.page.expect_download() as download:
            self.press("Enter")
        return download.value

    def told(self, persona, job, at_most=12):
        """Keep what the job took. More actions than that are a way that is too long to mend here;
        the time is this machine's, and nothing is held to it."""
        took = self.actions, self.keys, round(time.monotonic() - self._begun_s, 1)
        self._record(JOB, (persona, job, *took))
        assert self.actions <= at_most, (job, self.actions)
        self.begin()

    def shoot(self, repo_root, name, window=None):
        """A picture for the documents, at a desk of 1366 by 768 if nothing else is said."""
        if not SHOTS:
            return
        before = self.page.viewport_size
        self.page.set_viewport_size(window or {"width": 1366, "height": 768})
        path = repo_root / "docs" / "img" / f"{name}.png"
        self.page.screenshot(path=path, full_page=True, animations="disabled")
        self.page.set_viewport_size(before)
