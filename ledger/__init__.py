"""The ledger: what runs in the card centre. Records in, double entry and signed receipts out."""
