"""The kernel fixture itself: it must be trusted before anything is tested with it."""

from __future__ import annotations

import time

import pytest

pytestmark = pytest.mark.slow


def test_a_cell_brings_back_its_result_streams_and_status(bare_kernel):
    cell = bare_kernel.run("import sys\nprint('out'); print('err', file=sys.stderr)\n1 + 1")
    assert (cell.status, cell.error, cell.stdout, cell.stderr) == ("ok", None, "out\n", "err\n")
    assert cell.result == {"text/plain": "2"}
    failed = bare_kernel.run("1 / 0")
    assert (failed.status, failed.error["ename"]) == ("error", "ZeroDivisionError")
    assert bare_kernel.run("import time; time.sleep(0.3)").seconds == pytest.approx(0.35, abs=0.1)


def test_displays_are_shown_as_they_stand_after_later_updates(bare_kernel):
    cell = bare_kernel.run("handle = display('first', display_id=True)")
    assert cell.displays == [{"text/plain": "'first'"}]
    update = bare_kernel.run("handle.update('second')")
    assert cell.displays == [{"text/plain": "'second'"}]
    assert (update.outputs, len(update.of_type("update_display_data"))) == ([], 1)


def test_stop_reaches_a_cell_that_was_submitted(bare_kernel):
    cell = bare_kernel.submit("print('here', flush=True)\nimport time\ntime.sleep(30)")
    bare_kernel.read_until(lambda: "here" in cell.stdout)
    pressed = time.monotonic()
    bare_kernel.interrupt()
    assert cell.wait().error["ename"] == "KeyboardInterrupt"
    assert time.monotonic() - pressed < 5


def test_comm_messages_go_both_ways_with_their_buffers(bare_kernel):
    opened = bare_kernel.run(
        "from ipykernel.comm import Comm\n"
        "comm = Comm('echo', data={'hello': 1})\n"
        "comm.on_msg(lambda msg: comm.send(msg['content']['data'], buffers=msg['buffers']))"
    )
    [opening] = opened.of_type("comm_open")
    assert opening["content"]["data"] == {"hello": 1}

    def echoes():
        return [m for m in bare_kernel.messages if m["header"]["msg_type"] == "comm_msg"]

    bare_kernel.send_comm(opening["content"]["comm_id"], {"ping": 2}, buffers=[b"bytes"])
    bare_kernel.read_until(echoes)
    [echo] = echoes()
    assert (echo["content"]["data"], [bytes(b) for b in echo["buffers"]]) == ({"ping": 2}, [b"bytes"])


def test_a_cell_that_does_not_end_is_a_timeout(bare_kernel):
    with pytest.raises(TimeoutError, match=r"0\.2 s went by without an answer to"):
        bare_kernel.run("import time; time.sleep(20)", timeout=0.2)
