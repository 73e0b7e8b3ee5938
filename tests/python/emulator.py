"""Runs an emulator of AWS on loopback until standard input ends: `emulator.py moto|ministack PORT FOLDER`.

However the test that began it ends, its end of the pipe closes, and so does this.
"""

import os
import sys
import threading

kind, port, folder = sys.argv[1:]


def end_with_standard_input():
    def wait():
        while os.read(0, 1):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


end_with_standard_input()
if kind == "moto":
    import moto_mended  # noqa: F401
    from moto.server import main

    main(["-H", "127.0.0.1", "-p", port])
else:
    # It would listen on every interface, and with one protocol more at a fixed port.
    os.environ |= {
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": port,
        "STATE_DIR": folder,
    }
    from ministack import app

    sys.argv = ["ministack"]
    app.main()
