"""Who everybody is: the card centre's own authority, and brokers that let in whom it knows."""
