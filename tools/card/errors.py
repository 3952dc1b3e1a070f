"""What can go wrong at a desk, in words for the person who sits there."""


class BadInput(Exception):
    """A file, a key or an option cannot be used; nothing has been done to a card."""


class DeskMissing(BadInput):
    """There is no such desk here: a package or a device is missing."""


class NoCard(Exception):
    """No card, or more than one, lies on the desk."""


class CardUnfit(Exception):
    """The card cannot become what it should; the text says which part of it and why."""
