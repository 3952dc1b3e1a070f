"""A DS3231 on I2C: a clock with a crystal, a cell of its own, and a thermometer.

Registers of Maxim's data sheet 19-5170. Its oscillator-stop flag says that time was lost since it
was last set: then it is not asked for it. It is set in 24-hour form and UTC, and its weekday means
nothing here. Its century bit is not used: it counts from 2000 to 2099.
"""

ADDRESS = 0x68
_TIME, _CONTROL, _STATUS, _CELSIUS = 0x00, 0x0E, 0x0F, 0x11
_OSCILLATOR_STOPPED = 0x80  # of the status; what else is in it nobody uses here
_RUN = 0x1C  # of the control: it runs on its cell, and its pin is an alarm that nobody set
_EPOCH_2000_S = 946684800
_DAY_S, _FOUR_YEARS_DAYS = 86400, 1461
_MONTH_DAYS = b"\x1f\x1c\x1f\x1e\x1f\x1e\x1f\x1f\x1e\x1f\x1e\x1f"


class Ds3231:
    """The chip behind `i2c`, a machine.I2C. Whatever the bus refuses is an OSError."""

    def __init__(self, i2c):
        self._i2c = i2c

    def utc_s(self):
        """Seconds since 1970; None where it has stopped, or says what no clock says."""
        if self._read(_STATUS, 1)[0] & _OSCILLATOR_STOPPED:
            return None
        second, minute, hour, _, day, month, year = [
            (byte >> 4) * 10 + (byte & 15) for byte in self._read(_TIME, 7)
        ]
        if second > 59 or minute > 59 or hour > 23 or not 1 <= month <= 12 or year > 99:
            return None
        if not 1 <= day <= _days_of(month, year):
            return None
        days = year * 365 + (year + 3) // 4 + day - 1
        for before in range(1, month):
            days += _days_of(before, year)
        return _EPOCH_2000_S + days * _DAY_S + (hour * 60 + minute) * 60 + second

    def set(self, utc_s):
        """Set it to seconds since 1970, of 2000 to 2099; it has not stopped since."""
        days, seconds = divmod(utc_s - _EPOCH_2000_S, _DAY_S)
        year, days = days // _FOUR_YEARS_DAYS * 4, days % _FOUR_YEARS_DAYS
        while days >= (366 if year % 4 == 0 else 365):
            days -= 366 if year % 4 == 0 else 365
            year += 1
        month = 1
        while days >= _days_of(month, year):
            days -= _days_of(month, year)
            month += 1
        fields = (seconds % 60, seconds // 60 % 60, seconds // 3600, 1, days + 1, month, year)
        data = bytes([field // 10 << 4 | field % 10 for field in fields])
        self._i2c.writeto_mem(ADDRESS, _CONTROL, bytes((_RUN,)))
        self._i2c.writeto_mem(ADDRESS, _TIME, data)
        self._i2c.writeto_mem(ADDRESS, _STATUS, b"\x00")

    def celsius(self):
        """Degrees, rounded down."""
        byte = self._read(_CELSIUS, 1)[0]
        return byte - 256 if byte > 127 else byte

    def _read(self, register, count):
        return self._i2c.readfrom_mem(ADDRESS, register, count)


def _days_of(month, year):
    return 29 if month == 2 and year % 4 == 0 else _MONTH_DAYS[month - 1]
