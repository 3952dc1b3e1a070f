"""Payments through a bank, whoever is paid and why (docs/adr/0058-payments-are-one-room.md).

Who is due what stays where it is decided: holders of ended cards in ledger/payouts.py, merchants
in ledger/remittances.py. What a payment is, its account, its file, its tries and the bank's word
are here, and so is what files wait for behind a restore.
"""
