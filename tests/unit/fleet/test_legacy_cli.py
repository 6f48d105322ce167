"""`kapok legacy decode`: JSON and 0, one line and 65, one line and 64."""

import json
from pathlib import Path

import legacy_fuzz
import pytest
from cli_rig import refusal, run

HJ = "##0101QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;"
HJ += "CP=&&RtdInterval=30&&1C80"


@pytest.mark.parametrize("vector", legacy_fuzz.vectors()[::4], ids=lambda one: one["hex"][:28])
def test_a_good_frame_is_json(tmp_path: Path, vector: dict[str, str]) -> None:
    spaced = " ".join(vector["hex"][i : i + 2] for i in range(0, len(vector["hex"]), 2))
    for text in ([vector["hex"].lower()], [spaced], spaced.split()):
        result = run(tmp_path, "legacy", "decode", "--protocol", vector["protocol"], *text)
        assert result.exit_code == 0
        assert json.loads(result.stdout)["protocol"] == vector["protocol"]
        assert result.stderr == ""


@pytest.mark.parametrize(
    ("protocol", "text", "why"),
    [
        ("cjt188", "FEFEFEFE6810443322110033780103 1F900081 16", "checksum 81, computed 80"),
        ("cjt188", "", "no frame"),
        ("dlt645", "68610100000000 68110433333433 14 16 00", "1 bytes behind the frame"),
        ("dlt645", "68610100000000", "cut short"),
        ("modbus", "010300000005C985", "CRC C985, computed 85C9"),
        ("sl651", "7E7E01001234567812342F0008020003591011155111036BCB", "CRC 6BCB, computed 6BCA"),
        ("hj212", HJ.replace("1C80", "1C81"), "CRC 1C81, computed 1C80"),
        ("hj212", HJ.encode().hex(), "cut short"),
    ],
)
def test_a_bad_frame_is_one_line(tmp_path: Path, protocol: str, text: str, why: str) -> None:
    line = refusal(tmp_path, "legacy", "decode", "--protocol", protocol, text, code=65)
    assert line.startswith(f"kapok: {protocol}: byte ")
    assert why in line


@pytest.mark.parametrize(
    "words",
    [
        ["--protocol", "mbus", "68"],
        ["--protocol", "cjt188"],
        ["68"],
        ["--protocol", "cjt188", "6G"],
        ["--protocol", "cjt188", "681"],
        ["--protocol", "cjt188", "--nothing", "68"],
        ["--protocol", "cjt188", "--variant", "modbus-crc", "68"],
    ],
)
def test_a_wrong_call_is_another_code(tmp_path: Path, words: list[str]) -> None:
    refusal(tmp_path, "legacy", "decode", *words, code=64)


def test_a_packet_of_text_and_its_variant(tmp_path: Path) -> None:
    result = run(tmp_path, "legacy", "decode", "--protocol", "hj212", HJ)
    assert json.loads(result.stdout)["cp"] == [{"RtdInterval": "30"}]
    from fleet.legacy.protocols import crc

    check = f"{crc.modbus(HJ[6:-4].encode()):04X}"
    line = refusal(tmp_path, "legacy", "decode", "--protocol", "hj212", HJ[:-4] + check, code=65)
    assert "variant modbus-crc takes it" in line
    result = run(
        tmp_path, "legacy", "decode", "--protocol", "hj212", "--variant", "modbus-crc",
        HJ[:-4] + check,
    )  # fmt: skip
    told = json.loads(result.stdout)
    assert told["variant"] == "modbus-crc"
    assert told["notes"] == ["variant: modbus-crc"]
    assert told["crc"] == check
