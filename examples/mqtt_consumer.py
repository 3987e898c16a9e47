"""Print what `panda-edge watch --mqtt mqtt://broker/line1` sends: python mqtt_consumer.py broker line1"""

import json
import sys

import paho.mqtt.client as mqtt

seen: set[str] = set()  # an event may come twice (at least once is promised)


def show(client: mqtt.Client, userdata: None, message: mqtt.MQTTMessage) -> None:
    event = json.loads(message.payload)
    if event["id"] in seen:
        return
    seen.add(event["id"])
    if "notice" in event:
        print("notice:", event["text"], flush=True)
    elif event["not_judged"]:
        print(event["where"], "not judged:", event["not_judged"], flush=True)
    else:
        print(event["where"], "ANOMALOUS" if event["anomalous"] else "normal", event["score"], flush=True)


host, _, port = sys.argv[1].partition(":")
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.on_message = show
client.on_connect = lambda client, *_: client.subscribe(sys.argv[2], qos=1)
client.connect(host, int(port or 1883))
client.loop_forever()
