"""What runs on a reader: boards, drivers, services, roles."""
