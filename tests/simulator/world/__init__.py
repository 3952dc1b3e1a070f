"""Time, network and the tap."""
