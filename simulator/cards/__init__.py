"""Cards and the radio field they share."""
