"""Builds the container images and says how large they are: python -m delivery.images [device] [camera] [workstation]

With docker, podman or buildah, whichever is there. *camera* is the device image that reads cameras and video, too. Each
image is then tried: it must not run as root, must know its version, and hold no compiler. `--try BUNDLE PICTURES` also
runs a device image as it comes, and asks its health check until it says that all is well. Sizes go to
benchmarks/speed/results/delivered.json.

Without a registry: `sh delivery/docker/debian_base.sh`, then `--base localhost/debian:bookworm-slim`. Where the network
has a certificate of its own: `--certificates FILE` (podman, buildah), for pip while the image is built.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.lib.results_file import ResultsFile

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = ROOT / "delivery" / "docker" / "Dockerfile"
MOST_MB = {"device": 350}
HEALTHY_WITHIN_S = 120


@dataclass(frozen=True)
class Image:
    """A stage of the Dockerfile, the image's name, and the command in it. options: of the engine's build."""

    target: str
    tag: str
    program: str
    options: tuple[str, ...] = ()


CAMERA = ("--build-arg", "EXTRAS=video,hnsw,mqtt,serve,sign,plc")
IMAGES = {
    "device": Image("device", "panda-edge", "panda-edge"),
    "camera": Image("device", "panda-edge:camera", "panda-edge", CAMERA),
    "workstation": Image("workstation", "panda-train", "panda-train"),
}


class Engine:
    """docker, podman or buildah: the few things that are asked of them."""

    def __init__(self) -> None:
        found = [name for name in ("docker", "podman", "buildah") if shutil.which(name) and answers(name)]
        if not found:
            sys.exit("none of docker (with its daemon), podman and buildah is here; install one")
        self.name = found[0]

    def build(self, image: Image, base: str | None, certificates: Path | None, options: list[str]) -> None:
        command = [self.name, "build", "--file", str(DOCKERFILE), "--target", image.target, "--tag", image.tag]
        command += [*image.options, *options]
        if self.name != "docker":
            command += ["--format", "docker"]  # the other format has no health check
        if base is not None:
            command += ["--build-arg", f"BASE={base}"]
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as settings:
            if certificates is not None:
                settings.write("[global]\ncert = /run/network.crt\n")
                settings.flush()
                command += ["--volume", f"{certificates}:/run/network.crt:ro"]
                command += ["--volume", f"{settings.name}:/etc/pip.conf:ro"]
            if subprocess.run([*command, str(ROOT)], check=False).returncode:
                sys.exit(f"{self.name} could not build {image.tag}; see its lines above")

    def about(self, image: str) -> dict[str, Any]:
        """Its configuration as Docker writes it, and `Size` in bytes."""
        if self.name == "buildah":
            config: dict[str, Any] = json.loads(run("buildah", "inspect", "--type", "image", image))["Docker"]["config"]
            listed = json.loads(run("buildah", "images", "--json", image))
            return {**config, "Size": unpacked_bytes(image) if listed else 0}
        (found,) = json.loads(run(self.name, "image", "inspect", image))
        return {**found["Config"], "Size": found["Size"]}

    def start(self, image: str, volumes: dict[Path, str]) -> Container:
        mounts = [word for here, there in volumes.items() for word in ("--volume", f"{here}:{there}:ro")]
        if self.name == "buildah":
            return BuildahContainer(run("buildah", "from", image).strip(), mounts)
        return Container(self.name, image, mounts)


class Container:
    """One that runs `command` in it."""

    def __init__(self, engine: str, image: str, mounts: list[str]) -> None:
        self._engine = engine
        idle = ["--entrypoint", "sleep", *mounts, image, "infinity"]
        self._name = run(engine, "run", "--detach", "--rm", *idle).strip()

    def command(self, words: list[str]) -> list[str]:
        return [self._engine, "exec", self._name, *words]

    def remove(self) -> None:
        run(self._engine, "rm", "--force", self._name)


class BuildahContainer(Container):
    """buildah runs each command by itself, with the image's user, folder and environment."""

    def __init__(self, name: str, mounts: list[str]) -> None:
        self._name, self._mounts = name, mounts

    def command(self, words: list[str]) -> list[str]:
        return ["buildah", "run", *self._mounts, self._name, "--", *words]

    def remove(self) -> None:
        run("buildah", "rm", self._name)


def answers(engine: str) -> bool:
    """Whether it works: docker does only with its daemon."""
    return subprocess.run([engine, "info"], capture_output=True, check=False).returncode == 0


def unpacked_bytes(image: str) -> int:
    """Bytes of all files of an image, as buildah lays them out."""
    container = run("buildah", "from", image).strip()
    try:
        mounted = run("buildah", "mount", container).strip()
        return int(run("du", "--summarize", "--bytes", mounted).split()[0])
    finally:
        run("buildah", "rm", container)


def run(*command: str) -> str:
    """What a command says on stdout. Ends the program where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return done.stdout


def check(engine: Engine, name: str) -> dict[str, Any]:
    """The row of an image. Ends the program where it breaks a promise."""
    image = IMAGES[name]
    about = engine.about(image.tag)
    container = engine.start(image.tag, {})
    try:
        user = run(*container.command(["id", "-u"])).strip()
        version = run(*container.command([image.program, "--version"])).strip()
        with_compiler = subprocess.run(container.command(["sh", "-c", "command -v cc gcc g++"]), capture_output=True)
    finally:
        container.remove()
    mb = round(about["Size"] / 1e6)
    most = MOST_MB.get(name, mb)
    if user == "0" or with_compiler.returncode == 0 or mb > most:
        sys.exit(
            f"{image.tag}: user {user}, compiler {with_compiler.stdout!r}, {mb} MB; "
            f"none of root, a compiler, more than {most} MB is allowed"
        )
    return {"mb": mb, "user": user, "version": version, "built_with": engine.name}


def try_device(engine: Engine, tag: str, bundle: Path, pictures: Path) -> dict[str, Any]:
    """Runs what a device image runs by itself, and asks its own health check."""
    about = engine.about(tag)
    health = about["Healthcheck"]["Test"]
    container = engine.start(tag, {bundle.resolve(): "/bundle", pictures.resolve(): "/incoming"})
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        running = subprocess.Popen(container.command(about["Entrypoint"] + about["Cmd"]), stdout=said)
        try:
            while subprocess.run(container.command(health[1:]), capture_output=True, check=False).returncode:
                if running.poll() is not None or time.monotonic() - started > HEALTHY_WITHIN_S:
                    sys.exit("the device image is not healthy")
                time.sleep(1)
            healthy = round(time.monotonic() - started, 1)
            wanted = sum(path.is_file() for path in pictures.iterdir())
            while len(events := outcomes(said)) < wanted and time.monotonic() - started < 2 * HEALTHY_WITHIN_S:
                time.sleep(1)
        finally:
            running.terminate()
            running.wait(30)
            container.remove()
    return {"healthy_after_s": healthy, "pictures": wanted, "judged": len(events)}


def outcomes(said: Any) -> list[dict[str, Any]]:
    """The judged pictures among the lines of `watch --jsonl -`."""
    said.seek(0)
    return [event for line in said if line.endswith("\n") for event in [json.loads(line)] if "score" in event]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", choices=[*IMAGES, []], help="all where none is named")
    parser.add_argument("--base", help="an image in the place of debian:bookworm-slim")
    parser.add_argument("--certificates", type=Path, help="a file that pip trusts while it is built")
    parser.add_argument("--option", action="append", default=[], help="for the engine's build, such as --layers")
    parser.add_argument("--built", action="store_true", help="build nothing: check what is there")
    parser.add_argument("--try", dest="tried", nargs=2, type=Path, metavar=("BUNDLE", "PICTURES"))
    given = parser.parse_args()
    engine, rows = Engine(), ResultsFile("speed/results/delivered")
    for name in given.targets or IMAGES:
        if not given.built:
            engine.build(IMAGES[name], given.base, given.certificates, given.option)
        row = check(engine, name) | {"base": given.base or "docker.io/library/debian:bookworm-slim"}
        if IMAGES[name].target == "device" and given.tried:
            row["tried"] = try_device(engine, IMAGES[name].tag, *given.tried)
        rows.update(f"image {name}", **row, command="python -m delivery.images")
        print(name, row)


if __name__ == "__main__":
    main()
