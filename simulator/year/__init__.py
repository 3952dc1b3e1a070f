"""A year of a campus: what its holders do, day by day, booked and held against an own account."""
