"""Runs scripts of MQTT client calls and says what came out; on CPython and on MicroPython.

A script is a list of steps [name, arguments ..]; bytes are hex. The transcript has one line for
each step: what it returned or which error it raised, and the bytes to send. As a program: a JSON
list of scripts on standard input, one JSON list of transcripts on standard output.
"""

import binascii
import json
import sys

from protocols.wire.mqtt import MqttError
from protocols.wire.mqtt_client import MqttClient


def plain(value):
    """`value` as something JSON can carry: bytes as hex, tuples as lists."""
    if isinstance(value, (bytes, bytearray)):
        return "hex:" + binascii.hexlify(value).decode()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def run(client, name, arguments):
    """One step; its outcome."""
    if name == "receive":
        return client.receive(binascii.unhexlify(arguments[0]))
    if name == "publish":
        topic, payload, qos, retain = arguments
        return client.publish(topic, binascii.unhexlify(payload), qos, retain)
    return getattr(client, name)(*arguments)


def transcript(script):
    """What a fresh client does with a script."""
    client = MqttClient("reader-1", 60, "s/status", b"\xa1\x01\x00", "me", "secret")
    lines = []
    for step in script:
        try:
            outcome = ["ok", plain(run(client, step[0], step[1:]))]
        except MqttError as error:
            outcome = ["error", error.code]
        except ValueError:
            outcome = ["value error", 0]
        lines.append([step[0], outcome, plain(client.data_to_send())])
    return lines


if __name__ == "__main__":
    print(json.dumps([transcript(script) for script in json.loads(sys.stdin.read())]))
