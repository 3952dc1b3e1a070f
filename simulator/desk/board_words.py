"""What the page says of a real board at a serial port, in Chinese and in English."""

# key: (Chinese, English)
TEXTS = {
    "board": ("真板", "Real board"),
    "board_port": ("串口", "Serial port"),
    "board_told": ("它说了什么", "What it has told"),
    "board_quiet": ("尚未听到记录", "No record of it has come yet"),
    "board_hint": (
        "在真读卡器上刷真卡、按真键；屏幕、灯和声音只在板上",
        "Hold a real card to it, press its keys; display, lights and sound are its own",
    ),
    "board_let_go": ("松开串口", "Let go of the port"),
    "board_take": ("接上串口", "Take the port"),
    "card_away": ("真卡", "Real card"),
}
# What is known of the board, by a state of boards.STATES.
STATES = {
    "up": ("应答正常", "It answers"),
    "looking": ("正在找它", "It is being looked for"),
    "silent": ("不应答：查供电、程序、设备号", "It is silent: power, program, device number?"),
    "garbled": ("应答是乱码：查波特率和接线", "It answers garbage: baud rate, wiring?"),
    "twice": ("两块板同一设备号", "Two boards answer to one number"),
    "noisy": ("线上有人抢话", "Somebody speaks unasked on the line"),
    "no-port": ("串口打不开或已拔掉", "The port cannot be opened, or is gone"),
    "no-agent": ("楼里没有代理在问它", "No agent polls it: the building is dark"),
    "cut": ("桌面已松开串口", "The desk has let go of the port"),
}
