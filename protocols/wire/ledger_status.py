"""What the ledger's retained status says: its own word while it is there, its will behind that.

A hint without a seal: agents hurry by it, and refuse at once what nobody would answer in time.
"""

STATUS_ONLINE, STATUS_OFFLINE = b"online", b"offline"
