"""MFRC522 register map: names, reset values, writable bits, and who reacts (NXP data sheet, 9.3).

`read` and `write` name methods of the model; a register without them is plain storage.
An address missing here is reserved.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Register:
    """One address: `mask` holds the bits that a host write can store."""

    name: str
    reset: int = 0
    mask: int = 0xFF
    read: str = ""
    write: str = ""

    @property
    def is_read_only(self) -> bool:
        """True when a write to it can have no effect."""
        return self.mask == 0 and not self.write


def _read_only(name: str, reset: int = 0, read: str = "") -> Register:
    return Register(name, reset, 0, read)


COMMAND, COM_IEN, DIV_IEN, COM_IRQ, DIV_IRQ, ERROR, STATUS1, STATUS2 = range(0x01, 0x09)
FIFO_DATA, FIFO_LEVEL, WATER_LEVEL, CONTROL, BIT_FRAMING, COLL = range(0x09, 0x0F)
MODE, TX_MODE, RX_MODE, TX_CONTROL, TX_ASK = range(0x11, 0x16)
MF_RX = 0x1D
DEMOD, CRC_RESULT_HI, CRC_RESULT_LO = 0x19, 0x21, 0x22
MOD_WIDTH, RF_CFG = 0x24, 0x26
T_MODE, T_PRESCALER, T_RELOAD_HI, T_RELOAD_LO, T_COUNTER_HI, T_COUNTER_LO = range(0x2A, 0x30)
AUTO_TEST, VERSION = 0x36, 0x37

REGISTERS = {
    COMMAND: Register("Command", 0x20, 0x20, "_read_command", "_write_command"),
    COM_IEN: Register("ComIEn", 0x80),
    DIV_IEN: Register("DivIEn", 0x00, 0x94),
    COM_IRQ: Register("ComIrq", 0x14, 0, "", "_write_com_irq"),
    DIV_IRQ: Register("DivIrq", 0x00, 0, "", "_write_div_irq"),
    ERROR: _read_only("Error"),
    STATUS1: _read_only("Status1", 0x21, "_read_status1"),
    STATUS2: Register("Status2", 0x00, 0, "_read_status2", "_write_status2"),
    FIFO_DATA: Register("FIFOData", 0, 0, "_read_fifo", "_write_fifo"),
    FIFO_LEVEL: Register("FIFOLevel", 0, 0, "_read_fifo_level", "_write_fifo_level"),
    WATER_LEVEL: Register("WaterLevel", 0x08, 0x3F, "", "_write_water_level"),
    CONTROL: Register("Control", 0x10, 0, "", "_write_control"),
    BIT_FRAMING: Register("BitFraming", 0x00, 0xF7, "", "_write_bit_framing"),
    COLL: Register("Coll", 0xA0, 0x80),
    MODE: Register("Mode", 0x3F, 0xAB),
    TX_MODE: Register("TxMode", 0x00, 0xF8),
    RX_MODE: Register("RxMode", 0x00, 0xFC),
    TX_CONTROL: Register("TxControl", 0x80, 0xFB, "", "_write_tx_control"),
    TX_ASK: Register("TxASK", 0x00, 0x40),
    0x16: Register("TxSel", 0x10, 0x3F),
    0x17: Register("RxSel", 0x84),
    0x18: Register("RxThreshold", 0x84, 0xF7),
    DEMOD: Register("Demod", 0x4D),
    0x1C: Register("MfTx", 0x62, 0x03),
    MF_RX: Register("MfRx", 0x00, 0x10),
    0x1F: Register("SerialSpeed", 0xEB),
    CRC_RESULT_HI: _read_only("CRCResultHi", 0xFF),
    CRC_RESULT_LO: _read_only("CRCResultLo", 0xFF),
    MOD_WIDTH: Register("ModWidth", 0x26),
    RF_CFG: Register("RFCfg", 0x48, 0x70),
    0x27: Register("GsN", 0x88),
    0x28: Register("CWGsP", 0x20, 0x3F),
    0x29: Register("ModGsP", 0x20, 0x3F),
    T_MODE: Register("TMode"),
    T_PRESCALER: Register("TPrescaler"),
    T_RELOAD_HI: Register("TReloadHi"),
    T_RELOAD_LO: Register("TReloadLo"),
    T_COUNTER_HI: _read_only("TCounterValHi", 0, "_read_counter_high"),
    T_COUNTER_LO: _read_only("TCounterValLo", 0, "_read_counter_low"),
    0x31: Register("TestSel1"),
    0x32: Register("TestSel2"),
    0x33: Register("TestPinEn", 0x80),
    0x34: Register("TestPinValue"),
    0x35: _read_only("TestBus"),
    AUTO_TEST: Register("AutoTest", 0x40, 0x4F),
    VERSION: _read_only("Version", 0x92, "_read_version"),
    0x38: Register("AnalogTest"),
    0x39: Register("TestDAC1", 0x00, 0x3F),
    0x3A: Register("TestDAC2", 0x00, 0x3F),
    0x3B: _read_only("TestADC"),
}

IDLE, MEM, RANDOM_ID, CALC_CRC, TRANSMIT = range(5)
NO_CHANGE, RECEIVE, TRANSCEIVE, AUTHENT, SOFT_RESET = 0x7, 0x8, 0xC, 0xE, 0xF

# ComIrqReg; DivIrqReg has CRC_IRQ only.
TX_IRQ, RX_IRQ, IDLE_IRQ, HI_ALERT_IRQ = 0x40, 0x20, 0x10, 0x08
LO_ALERT_IRQ, ERR_IRQ, TIMER_IRQ, CRC_IRQ = 0x04, 0x02, 0x01, 0x04
# ErrorReg
WR_ERR, TEMP_ERR, BUFFER_OVFL, COLL_ERR = 0x80, 0x40, 0x10, 0x08
CRC_ERR, PARITY_ERR, PROTOCOL_ERR = 0x04, 0x02, 0x01

SELF_TEST = 9  # AutoTestReg, bits 0 to 3
# ModWidthReg that cards understand, by rate: 106, 212, 424 and 848 kbit/s.
PAUSES = ((0x26,), (0x13, 0x15), (0x0A,), (0x05,), (), (), (), ())
CRC_PRESETS = (0x0000, 0x6363, 0xA671, 0xFFFF)
