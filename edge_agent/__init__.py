"""What runs in a building: takes records from readers, keeps them, brings them to the ledger."""
