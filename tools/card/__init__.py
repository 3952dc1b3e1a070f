"""The card centre's desk: personalise a card, say what it is, check it, show what it says.

A *desk* is where a card lies: the simulated tray, an MFRC522 on a Raspberry Pi, a PC/SC reader.
What happens to a card there does not know which of them it is.
"""
