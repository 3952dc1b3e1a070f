"""One file per board: the only firmware that imports machine, esp32, network, socket, select."""
