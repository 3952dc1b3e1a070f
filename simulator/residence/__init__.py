"""A dormitory for a fortnight: doors at work, people, and whatever goes wrong with both."""
