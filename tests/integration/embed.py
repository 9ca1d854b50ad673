# A program in Python that embeds the host through ctypes: its Python tasks run in the existing interpreter, and what
# belongs to the program is unchanged: stdout, stdin, time.sleep. Arguments: the library, the plugins' folder.
import ctypes
import io
import json
import sys
import time

library, plugins = ctypes.CDLL(sys.argv[1]), sys.argv[2]
code = """
import time
print("inside")
time.sleep(0.01)
if task.args != 7 or __import__("sys").stdin is None:
    task.fail("something is not as it was")
"""
entry = {"plugin": "python", "type": "shutdown_on_exit", "config": {"code": code, "args": 7}}
manifest = json.dumps({"plugin_dirs": [plugins], "tasks": [entry]}).encode()
sys.stdout = printed = io.StringIO()
for turn in range(3):
    host = ctypes.c_void_p()
    assert library.taskhost_create(None, ctypes.byref(host)) == 0
    assert library.taskhost_load_text(host, manifest, ctypes.c_size_t(len(manifest)), b"/") == 0
    assert library.taskhost_run(host) == 0
    library.taskhost_destroy(host)
    print("outside", turn)
    time.sleep(0.001)
assert printed.getvalue() == "outside 0\noutside 1\noutside 2\n"
