"""Judge what OpenCV captures: python cv2_loop.py parts.panda 0 (a camera's number), or a video's name."""

import sys

import cv2

import panda_edge


def main(bundle: str, source: str) -> None:
    detector = panda_edge.load(bundle)
    capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
    if not capture.isOpened():
        sys.exit(f"error: {source} cannot be opened; give a camera's number or a video file")
    while True:
        there, frame = capture.read()
        if not there:
            break
        result = detector.segment(frame, color="BGR")  # OpenCV's order of colours
        print(f"{result.score:.4f} {'anomalous' if result.anomalous else 'normal'} {result.ms:.0f} ms", flush=True)
        for region in result.regions or ():
            left, top, right, bottom = region.box
            cv2.rectangle(frame, (left, top), (right, bottom), (0, 0, 255), 2)
    capture.release()


if __name__ == "__main__":
    main(*sys.argv[1:])
