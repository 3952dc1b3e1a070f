"""An acquirer in a process of its own, and what may go wrong between it and the ledger."""
