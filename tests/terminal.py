"""Programs in a terminal of any size, and what stands on its screen."""

import fcntl
import os
import pty
import struct
import termios

import pyte


def run(command, cwd, *, columns=80, rows=40, look=None, **env):
    """Run a program in a terminal: (exit code, frames); the last frame is what it leaves on the screen.

    `look` is called with the screen after every change.
    """
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(cwd)
        os.environ.update({"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": str(rows), **env})
        os.execv(command[0], [*map(str, command)])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    screen = pyte.Screen(columns, rows)
    stream, frames = pyte.ByteStream(screen), []
    while True:
        try:
            output = os.read(terminal, 65536)
        except OSError:  # the program has ended
            break
        if not output:
            break
        stream.feed(output)
        frame = "\n".join(line.rstrip() for line in screen.display).rstrip()
        if frame and frame not in frames[-1:]:
            frames.append(frame)
            if look:
                look(screen)
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), frames
