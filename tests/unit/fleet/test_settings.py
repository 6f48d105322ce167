"""Settings: what kapok.toml may say, and one clear line for whatever else it says."""

from pathlib import Path

import pytest

from fleet import settings
from fleet.settings import CONFIG, TEMPLATE, SettingsError


def write(folder: Path, text: str | bytes) -> Path:
    """A data folder whose kapok.toml holds this."""
    raw = text.encode() if isinstance(text, str) else text
    (folder / CONFIG).write_bytes(raw)
    return folder


def test_the_template_gives_the_defaults(tmp_path: Path) -> None:
    of_template = settings.load(write(tmp_path, TEMPLATE))
    assert of_template == settings.load(write(tmp_path, ""))
    assert (of_template.api_host, of_template.api_port) == ("127.0.0.1", 8080)
    assert (of_template.broker_host, of_template.broker_port) == ("127.0.0.1", 8883)
    assert of_template.broker_names == ("localhost", "127.0.0.1")
    assert of_template.external is None
    assert (of_template.coap_host, of_template.coap_port) == ("127.0.0.1", 5683)
    assert of_template.pkcs11 is None
    assert of_template.wrapping_key == tmp_path / "pki" / "wrapping.key"
    assert of_template.pki == tmp_path / "pki"
    assert of_template.run_file == tmp_path / "run.json"


def test_options_win_over_the_file(tmp_path: Path) -> None:
    write(tmp_path, '[api]\nport = 1\n[broker]\nport = 2\naddress = "embedded"\n')
    found = settings.load(tmp_path, port=0, broker_port=4, broker="mq.example:8883")
    assert (found.api_port, found.broker_port) == (0, 4)
    assert found.external == ("mq.example", 8883)


@pytest.mark.parametrize(("text", "port"), [("7", 7), ("0", 0), ('"off"', None)])
def test_coap_may_be_off(tmp_path: Path, text: str, port: int | None) -> None:
    write(tmp_path, f"[coap]\nport = {text}\n")
    assert settings.load(tmp_path).coap_port == port
    assert settings.load(tmp_path, coap_port=5684).coap_port == 5684
    assert settings.load(tmp_path, coap_port="off").coap_port is None


def test_enrolment_has_a_port_and_defaults_by_area(tmp_path: Path) -> None:
    found = settings.load(write(tmp_path, ""))
    assert (found.enrol_host, found.enrol_port) == ("127.0.0.1", 8443)
    assert settings.load(tmp_path, enrol_port="off").enrol_port is None
    assert settings.load(tmp_path, enrol_port=0).enrol_port == 0
    text = '[enrol.defaults.4401]\napn = "a"\n'
    found = settings.load(write(tmp_path, text))
    assert found.enrol_defaults == {"4401": {"apn": "a"}}
    with pytest.raises(SettingsError, match="a table named by an area"):
        settings.load(write(tmp_path, '[enrol.defaults.north]\napn = "a"\n'))


def test_a_token_is_named_by_module_labels_and_pin(tmp_path: Path) -> None:
    text = 'module = "/m.so"\ntoken = "t"\nlabel = "l"\npin_file = '
    token = settings.load(write(tmp_path, f'[keys.pkcs11]\n{text}"pin"\n')).pkcs11
    assert token == settings.Pkcs11(Path("/m.so"), "t", "l", tmp_path / "pin")
    token = settings.load(write(tmp_path, f'[keys.pkcs11]\n{text}"/etc/pin"\n')).pkcs11
    assert token is not None
    assert token.pin_file == Path("/etc/pin")


@pytest.mark.parametrize(
    ("address", "host"), [("mq:1", "mq"), ("[::1]:65535", "::1"), ("10.0.0.1:8883", "10.0.0.1")]
)
def test_an_external_broker_is_a_host_and_a_port(tmp_path: Path, address: str, host: str) -> None:
    found = settings.load(write(tmp_path, f'[broker]\naddress = "{address}"\n'))
    assert found.external == (host, int(address.rpartition(":")[2]))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[api", "end of document"),
        (b"\xff", "utf-8"),
        ("x = " + "9" * 5000, "integer"),
        ("x = " + "[" * 5000, "recursion"),
        ("api = 3", "api is a table"),
        ("[api]\nport = '8080'", "api.port"),
        ("[api]\nport = true", "api.port"),
        ("[api]\nport = 65536", "api.port"),
        ("[api]\nport = -1", "api.port"),
        ("[api]\nhost = ''", "host"),
        ("[api]\nhost = 'a b'", "host"),
        ("[api]\nprot = 8080", "no such key: 'prot'; one of host, port"),
        ("[apis]\nport = 8080", "no such key: 'apis'"),
        ("[coap]\nport = 65536", "coap.port"),
        ("[coap]\nport = 'on'", "coap.port is a port number or 'off'"),
        ("[coap]\nport = true", "coap.port"),
        ("[coap]\nhost = 'a b'", "host"),
        ("[keys]\npkcs12 = {}", "no such key: 'pkcs12'; one of pkcs11"),
        ("[keys]\npkcs11 = '/m.so'", "pkcs11 is a table"),
        ("[keys.pkcs11]\nmodule = '/m.so'", "lacks 'token'; it takes module, token, label"),
        ("[keys.pkcs11]\nmodule=''\ntoken='t'\nlabel='l'\npin_file='p'", "module is a text"),
        ("[keys.pkcs11]\npin = '1'", "no such key: 'pin'"),
        ("[broker]\nreload = 'pidfile:run/pid'", "broker.reload is 'pidfile:/PATH'"),
        ("[broker]\nreload = 'systemctl reload'", "broker.reload"),
        ("[broker]\nreload = []", "broker.reload"),
        ("[broker]\nreload = ['kill', 1]", "broker.reload"),
        ("[identity]\nrotate_days = 0", "identity.rotate_days"),
        ("[control]\nvalve_per_minute = 0", "control.valve_per_minute"),
        ("[control]\nother_per_minute = true", "control.other_per_minute"),
        ("[control]\nper_minute = 5", "no such key"),
        ("[identity]\nrotate_days = true", "identity.rotate_days"),
        ("[broker]\nport = 1.5", "broker.port"),
        ("[broker]\nhost = 7", "host"),
        ("[broker]\nnames = []", "broker.names"),
        ("[broker]\nnames = 'localhost'", "broker.names"),
        ("[broker]\nnames = ['localhost', '']", "broker.names"),
        ("[broker]\nnames = ['a..b']", "broker.names"),
        ("[broker]\naddress = 'mq'", "HOST:PORT"),
        ("[broker]\naddress = ':8883'", "HOST:PORT"),
        ("[broker]\naddress = 'mq:0'", "HOST:PORT"),
        ("[broker]\naddress = 'mq:65536'", "HOST:PORT"),
        ("[broker]\naddress = 'mq:１'", "HOST:PORT"),
        ("[broker]\naddress = 'a..b:1'", "HOST:PORT"),
    ],
)
def test_bad_settings_give_one_line(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as refused:
        settings.load(write(tmp_path, text))
    assert len(str(refused.value).splitlines()) == 1


def test_how_a_broker_is_told_to_read_the_list_again(tmp_path: Path) -> None:
    found = settings.load(write(tmp_path, '[broker]\nreload = "pidfile:/run/m.pid"\n'))
    assert (found.reload, found.rotate_days) == (Path("/run/m.pid"), 365)
    text = '[broker]\nreload = ["systemctl", "reload", "m"]\n[identity]\nrotate_days = 30\n'
    found = settings.load(write(tmp_path, text))
    assert (found.reload, found.rotate_days) == (("systemctl", "reload", "m"), 30)


def test_a_folder_without_settings_names_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"kapok --data .* init"):
        settings.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("host", "reached_at"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104
        ("::", "::1"),
        ("10.1.2.3", "10.1.2.3"),
    ],
)
def test_the_fleet_reaches_its_own_broker_where_it_listens(
    tmp_path: Path, host: str, reached_at: str
) -> None:
    """Whatever names nodes use: the certificate answers to that address as well."""
    found = settings.load(
        write(tmp_path, f'[broker]\nhost = "{host}"\nnames = ["gw.example", "{reached_at}"]\n')
    )
    assert found.own_broker_host == reached_at
    assert found.certificate_names == ("gw.example", reached_at)


@pytest.mark.parametrize("name", ["wh?at", "50%", "a#b", "a b", "数据", "a%20b", "a:b@c", "-x"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    """A URL as text would end the path at a question mark, and open another file."""
    from fleet.setup import init

    folder = tmp_path / name
    init(folder)
    assert (folder / "kapok.db").stat().st_size > 0
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
