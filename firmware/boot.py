"""Runs before main.py and leaves everything as it is: above all it formats nothing (ADR on flash).

The stock _boot.py makes a new file system over an unreadable one. The journal has its own raw
partition, which no code but services/journal.py touches.
"""

import gc

# Importing leaves garbage between what stays. Collected early, it leaves no holes: the firmware
# then fits into a heap that is a fifth smaller.
gc.threshold(4096)
