"""Calls ``hello.Hello/Say`` over one channel until its input ends, then counts what it got.

python client.py 8089       # Ctrl-D ends it
"""

import json
import sys
import threading
from collections import Counter

import grpc

CALLERS, PAUSE_S, DEADLINE_S = 4, 0.02, 2.0


def keep_calling(channel: grpc.Channel, ended: threading.Event, seen: Counter) -> None:
    say = channel.unary_unary("/hello.Hello/Say")
    while not ended.wait(PAUSE_S):
        try:
            seen[say(b"", timeout=DEADLINE_S).decode()] += 1
        except grpc.RpcError as error:
            seen[error.code().name] += 1


def main() -> None:
    ended, counts = threading.Event(), [Counter() for _ in range(CALLERS)]
    with grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}") as channel:
        threads = [
            threading.Thread(target=keep_calling, args=(channel, ended, seen)) for seen in counts
        ]
        for thread in threads:
            thread.start()
        sys.stdin.read()
        ended.set()
        for thread in threads:
            thread.join()
    print(json.dumps(sum(counts, Counter())))


if __name__ == "__main__":
    main()
