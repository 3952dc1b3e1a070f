"""What stands on a card: keys, identity, purse; bytes and values, no I/O."""
