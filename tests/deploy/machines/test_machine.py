from tests.deploy import network
from tests.deploy.machine import Machine
from tests.deploy.needs import unless
from tests.deploy.rootfs import rootfs

pytestmark = unless("systemd-nspawn", "mmdebstrap", "ip")


def test_two_machines_reach_each_other_and_go_off(tmp_path):
    network.make()
    root = rootfs("machine")
    one, other = (Machine(root, tmp_path, number) for number in (2, 3))
    try:
        one.boot()
        other.boot()
        print(one.run("ip", "address"), one.run("systemctl", "is-system-running", "--wait"))
        ask = f"import socket; socket.create_connection(('{other.address}', 22))"
        other.run("systemctl", "is-system-running", "--wait")
        try:
            one.run("python3", "-c", ask)
        except Exception as e:
            print(str(e)[-100:])
        one.poweroff()
        other.cut()
        assert not one.alive and not other.alive
    finally:
        one.remove()
        other.remove()
