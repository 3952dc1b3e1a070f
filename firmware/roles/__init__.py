"""What a reader is for: one state machine per role, over the same services and drivers."""
