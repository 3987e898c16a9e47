"""The kernels' rooms: what a file includes lies in its own room or one below it, and no room's files form a circle."""

import re
from pathlib import Path

KERNEL = Path(__file__).parents[2] / "edge" / "kernel"
ROOMS = ["base", "simd", "search", "python", "library"]  # each may include what lies in it and in those before it
INCLUDE = re.compile(r'^#include "(\w+)/(\w+)\.h"', re.MULTILINE)
# At the start of a line, as clang-format leaves a function that other files can see.
DECLARED = re.compile(r"^(?!static|typedef|extern)\w[\w *]*?(\w+)\([^;{]*\);", re.MULTILINE)


def arrows():
    """(room, name) of every file that includes, and of what it includes; x.c and x.h are one."""
    for file in sorted(KERNEL.glob("*/*.[ch]")):
        for room, name in INCLUDE.findall(file.read_text()):
            yield (file.parent.name, file.stem), (room, name)


def test_rooms_include_only_rooms_below_them():
    found = list(arrows())
    assert len(found) > 30
    assert {room for (room, _), _ in found} == set(ROOMS)
    upwards = [f"{a}/{x} → {b}/{y}" for (a, x), (b, y) in found if ROOMS.index(b) > ROOMS.index(a)]
    assert not upwards, ", ".join(upwards)


def test_the_library_and_the_binding_do_not_know_each_other():
    assert not [a for a, (room, _) in arrows() if {a[0], room} == {"python", "library"}]


def test_the_files_of_a_room_form_no_circle():
    within = {(file, included) for file, included in arrows() if file[0] == included[0] and file != included}
    while ends := {a for a, _ in within} ^ {b for _, b in within}:  # nothing leads to them, or from them
        within = {arrow for arrow in within if not ends & set(arrow)}
    assert not within, ", ".join(sorted(f"{a[1]} → {b[1]} in {a[0]}/" for a, b in within))


def test_a_header_declares_what_the_file_of_its_name_defines():
    """So that an include says what a file needs: a circle cannot hide behind another's header."""
    checked = 0
    for header in KERNEL.glob("[bs]*/*.h"):
        for function in DECLARED.findall(header.read_text()):
            if header.stem == "ops":  # the table of each level, and the choice between them
                continue
            text = header.with_suffix(".c").read_text()
            assert re.search(rf"^\w[^;\n]*\b{function}\([^;]*?\)\n?\s*{{", text, re.MULTILINE), (header.name, function)
            checked += 1
    assert checked > 12
