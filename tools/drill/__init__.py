"""An outage drill of a site, on readers that are real or simulated: `onecard drill`."""
