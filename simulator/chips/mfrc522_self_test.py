"""What the MFRC522's digital self test leaves in the FIFO (NXP data sheet, 16.1.1)."""

SELF_TEST_BYTES = 64

# VersionReg -> the bytes.
SELF_TEST_RESULTS = {
    0x91: bytes.fromhex(
        "00c637d532b7575cc2d87c4dd970c773"
        "10e6d2aa5ea13e5a14af3061c970db2e"
        "642272b5bd65f4ec22bcd37235cdaa41"
        "1fa7f35314de7e02d90fb55e251d2979"
    ),
    0x92: bytes.fromhex(
        "00eb66ba57bf2395d0e30d3d27895cde"
        "9d3ba700215b8982513aeb020ca50049"
        "7c844db3ccd21b815d4876d5716121a9"
        "86968338cf9d5b6ddc15ba3e7d953b2f"
    ),
}
