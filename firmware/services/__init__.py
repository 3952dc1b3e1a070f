"""What a role is made of: journal, outbox, uplink, clock, purse."""
