"""What the updater needs of a POS's board: all of it, and the flash that both images are on."""

import esp32

from firmware.boards.esp32 import Board, NotProvisioned, RawFlash


class UpdateBoard(Board):
    """NotProvisioned when there is no partition for two images."""

    def _wire(self, nvs):
        """As a POS, and the two slots."""
        super()._wire(nvs)
        find, data = esp32.Partition.find, esp32.Partition.TYPE_DATA
        found = find(data, label="romfs")
        if not found:
            raise NotProvisioned("no partition named romfs")
        self.image_flash = RawFlash(found[0])
